"""Heatmaps of which no more lies in memory than is not zero: a single neuron often sees a small part of a picture.

Axes: H W picture, h w window.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Heatmap = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactMap:
    """A heatmap that is zero outside a window.

    Attributes:
        size: (H, W).
        top: first row of the window.
        left: its first column.
        window: [h, w] its values.
    """

    size: tuple[int, int]
    top: int
    left: int
    window: Heatmap

    @classmethod
    def of(cls, heatmap: Heatmap) -> "CompactMap":
        """Of a heatmap [H, W]; the window has no row and no column of zeros at its edges."""
        is_seen = heatmap != 0
        rows, columns = np.flatnonzero(is_seen.any(axis=1)), np.flatnonzero(is_seen.any(axis=0))
        top, bottom = (int(rows[0]), int(rows[-1]) + 1) if rows.size else (0, 0)
        left, right = (int(columns[0]), int(columns[-1]) + 1) if columns.size else (0, 0)
        height, width = heatmap.shape
        return cls(size=(height, width), top=top, left=left, window=heatmap[top:bottom, left:right].copy())

    def whole(self) -> Heatmap:
        """The heatmap [H, W]."""
        heatmap = np.zeros(self.size, dtype=self.window.dtype)
        height, width = self.window.shape
        heatmap[self.top : self.top + height, self.left : self.left + width] = self.window
        return heatmap
