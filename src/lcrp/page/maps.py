"""Signed maps and masks as the page holds them: on a coarse grid, in one byte a cell.

A cell c of a map with limit m stands for sign(c) * (c / 127)^2 * m: small values keep more steps than large ones.

Axes: H W what is shown, h w grid.
"""

import numpy as np
import numpy.typing as npt

from lcrp.values.geometry import Geometry, Mask

GRID = 64  # cells along the longer side
FINE_GRID = 160  # of masks, whose edge is drawn
STEPS = 127

Heatmap = npt.NDArray[np.floating]


def grid_size(size: tuple[int, ...], longest: int) -> tuple[int, int]:
    """(rows, columns) of a grid over [H, W], with at most `longest` cells along a side."""
    height, width = size[0], size[1]
    factor = min(1.0, longest / max(height, width))
    return max(1, round(height * factor)), max(1, round(width * factor))


def gridded(heatmap: Heatmap, longest: int = GRID) -> npt.NDArray[np.float64]:
    """A heatmap [H, W] on a coarser grid [h, w]: sums stay as they are."""
    rows, columns = grid_size(heatmap.shape, longest)
    height, width = heatmap.shape
    placed = Geometry(
        picture_size=(rows, columns),
        input_size=(height, width),
        scale=(height / rows, width / columns),
        offset=(0.0, 0.0),
    )
    return placed.map_to_picture(heatmap).values


def coarse_mask(mask: Mask) -> npt.NDArray[np.uint8]:
    """Share of every cell that the mask covers, in 255ths, [h, w]."""
    size = grid_size(mask.shape, FINE_GRID)
    area = (mask.shape[0] / size[0]) * (mask.shape[1] / size[1])
    covered = gridded(mask.astype(np.float64), FINE_GRID) / area
    shares: npt.NDArray[np.uint8] = np.round(255.0 * covered.clip(0.0, 1.0)).astype(np.uint8)
    return shares


def quantised(values: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.int8], float]:
    """A map [h, w] in bytes, and its limit: the largest absolute value, 0 for a map without any."""
    limit = float(np.abs(values).max(initial=0.0))
    if not limit > 0.0:
        return np.zeros(values.shape, dtype=np.int8), 0.0
    steps = np.round(STEPS * np.sqrt(np.abs(values) / limit))
    return (np.sign(values) * steps).astype(np.int8), limit


def restored(cells: npt.NDArray[np.int8], limit: float) -> npt.NDArray[np.float64]:
    """The map [h, w] that bytes stand for."""
    share = cells.astype(np.float64) / STEPS
    restored: npt.NDArray[np.float64] = np.sign(share) * share**2 * limit
    return restored
