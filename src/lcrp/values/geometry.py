"""How a picture was placed in a model's input (no torch).

Boxes are xyxy in pixels: (left, top, right, bottom), or [N, 4] of these. Axes: H W input, P Q picture.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Box = tuple[float, float, float, float]
Boxes = npt.NDArray[np.float64]
Heatmap = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]
EDGE = 2.0  # pixels of the input, within which a box ends at an edge
ResizeName = Literal["letterbox", "stretch", "none", "shorter_crop", "rect"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OnPicture:
    """A heatmap of the input, moved to the picture: `values.sum() + beside` is the sum of the heatmap.

    Attributes:
        values: [P, Q] float64, what lies on every pixel of the picture; zero where the input does not show it.
        beside: sum of what lies in the bars beside the picture, which belongs to none of its pixels.
        unseen: share of the picture's area that the input does not show (cut away by a crop), in [0, 1].
    """

    values: npt.NDArray[np.float64]
    beside: float
    unseen: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A part of a picture, in its pixels: rows from `top` to before `bottom`, columns from `left` to before `right`."""

    top: int
    left: int
    bottom: int
    right: int

    def span(self, axis: int) -> tuple[int, int]:
        """First row (axis 0) or column (axis 1), and the one behind the last."""
        return (self.top, self.bottom) if axis == 0 else (self.left, self.right)


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """Affine placement of a picture in the model input: input = picture * scale + offset.

    Attributes:
        picture_size: (height, width) of the picture as it lies on disk, in pixels.
        input_size: (height, width) of the model input, in pixels.
        scale: (vertical, horizontal) input pixels per picture pixel.
        offset: (top, left) of the picture in the input, in input pixels; negative after a centre crop.
        resize: name of the rule that placed it.
        tile: the part of the picture that was placed; None is all of it.
    """

    picture_size: tuple[int, int]
    input_size: tuple[int, int]
    scale: tuple[float, float]
    offset: tuple[float, float]
    resize: ResizeName = "none"
    tile: Tile | None = None

    @classmethod
    def identity(cls, size: tuple[int, int]) -> "Geometry":
        """Geometry of a picture that is the model input as it stands."""
        return cls(picture_size=size, input_size=size, scale=(1.0, 1.0), offset=(0.0, 0.0))

    def of_tile(self, tile: Tile, picture_size: tuple[int, int]) -> "Geometry":
        """The same placement, for the picture of which what was placed is a tile."""
        top, left = (
            at - start * scale for at, start, scale in zip(self.offset, (tile.top, tile.left), self.scale, strict=True)
        )
        return replace(self, picture_size=picture_size, offset=(top, left), tile=tile)

    def to_input(self, boxes: Boxes) -> Boxes:
        """Boxes [N, 4] of the picture in input pixels [N, 4]."""
        scale, offset = self._by_column()
        return np.asarray(boxes, dtype=np.float64) * scale + offset

    def to_picture(self, boxes: Boxes) -> Boxes:
        """Boxes [N, 4] of the model input in picture pixels [N, 4]."""
        scale, offset = self._by_column()
        return (np.asarray(boxes, dtype=np.float64) - offset) / scale

    def box_to_input(self, box: Box) -> Box:
        """A box of the picture in input pixels."""
        left, top, right, bottom = self.to_input(np.array([box]))[0].tolist()
        return left, top, right, bottom

    def box_to_picture(self, box: Box) -> Box:
        """A box of the model input in picture pixels, without what lies beside the picture."""
        left, top, right, bottom = self.boxes_to_picture(np.array([box]))[0].tolist()
        return left, top, right, bottom

    def boxes_to_picture(self, boxes: Boxes) -> Boxes:
        """Boxes [N, 4] of the model input in picture pixels [N, 4], without what lies beside the picture."""
        (top, bottom), (left, right) = self.span(0), self.span(1)
        return np.clip(self.to_picture(boxes), [left, top] * 2, [right, bottom] * 2)

    def seen(self) -> Box:
        """The part of the picture that the input shows, in the picture's pixels."""
        return self.box_to_picture((0, 0, self.input_size[1], self.input_size[0]))

    def cut_sides(self, box: Box) -> tuple[str, ...]:
        """Sides at which a box of the picture ends where the input shows no more of it, though the picture goes on."""
        (down, across), (height, width) = self.scale, self.picture_size
        sides = zip(
            ("left", "top", "right", "bottom"), box, self.seen(), (0, 0, width, height), (across, down) * 2, strict=True
        )
        return tuple(
            name for name, side, seen, end, scale in sides if abs(side - seen) <= EDGE / scale and abs(seen - end) > 0.5
        )

    def mask_to_picture(self, mask: Mask) -> Mask:
        """A mask [H, W] of the input on the picture, [P, Q]: what lies under the centre of every pixel.

        False where the input does not show the picture.
        """
        (rows, seen_rows), (columns, seen_columns) = (self._under_centres(axis) for axis in (0, 1))
        found: Mask = mask[rows][:, columns] & seen_rows[:, None] & seen_columns
        return found

    def map_to_picture(self, heatmap: Heatmap) -> OnPicture:
        """A heatmap [H, W] of the input on the picture.

        Every input pixel spreads its value evenly over its own area, and every picture pixel takes what falls on it:
        value * overlap / area. Sums are kept; what falls beside the picture is counted.
        """
        values = np.asarray(heatmap, dtype=np.float64)
        moved = values
        for axis in (0, 1):
            moved = _resampled(moved, self._edges(axis), axis)
        covered = np.outer(*(self._covered(axis) for axis in (0, 1)))  # [H, W]
        (shown_rows, shown_columns) = (np.ptp(self._edges(axis)) / self._extent(axis) for axis in (0, 1))
        return OnPicture(
            values=moved,
            beside=float((values * (1 - covered)).sum()),
            unseen=float(1 - min(1.0, shown_rows) * min(1.0, shown_columns)),
        )

    @property
    def pixel_aspect(self) -> float:
        """Width over height, in the picture, of what one input pixel shows: 1 unless the picture was squeezed."""
        return self.scale[0] / self.scale[1]

    def content(self) -> tuple[int, int, int, int]:
        """(top, left, bottom, right) of the picture's visible part in the input, in whole pixels."""
        height, width = self.input_size
        (top, bottom), (left, right) = (
            tuple(round(self.offset[axis] + edge * self.scale[axis]) for edge in self.span(axis)) for axis in (0, 1)
        )
        return max(0, top), max(0, left), min(height, bottom), min(width, right)

    def span(self, axis: int) -> tuple[int, int]:
        """First and last edge, along an axis, of what was placed of the picture: all of it, or the tile."""
        return (0, self.picture_size[axis]) if self.tile is None else self.tile.span(axis)

    def _by_column(self) -> tuple[Boxes, Boxes]:
        (vertical, horizontal), (top, left) = self.scale, self.offset
        return np.array([horizontal, vertical] * 2), np.array([left, top] * 2)

    def _extent(self, axis: int) -> float:
        """Input pixels that the whole picture takes along an axis, seen or not."""
        return self.picture_size[axis] * self.scale[axis]

    def _edges(self, axis: int) -> npt.NDArray[np.float64]:
        """Edges of the picture's pixels in the input, [P + 1], cut to it."""
        edges = np.arange(self.picture_size[axis] + 1).clip(*self.span(axis)) * self.scale[axis] + self.offset[axis]
        return edges.clip(0, self.input_size[axis])

    def _covered(self, axis: int) -> npt.NDArray[np.float64]:
        """Share of every input pixel along an axis that the picture covers, [H]."""
        start = np.arange(self.input_size[axis])
        first, last = self._edges(axis)[[0, -1]]
        shares: npt.NDArray[np.float64] = np.clip(np.minimum(last, start + 1) - np.maximum(first, start), 0, 1)
        return shares

    def _under_centres(self, axis: int) -> tuple[npt.NDArray[np.int64], Mask]:
        """Input pixel under the centre of every picture pixel along an axis, and whether there is one, [P] each."""
        places = np.arange(self.picture_size[axis])
        pixels = np.floor((places + 0.5) * self.scale[axis] + self.offset[axis]).astype(np.int64)
        start, end = self.span(axis)
        is_shown = (pixels >= 0) & (pixels < self.input_size[axis]) & (places >= start) & (places < end)
        return pixels.clip(0, self.input_size[axis] - 1), is_shown


def _resampled(values: npt.NDArray[np.float64], edges: npt.NDArray[np.float64], axis: int) -> npt.NDArray[np.float64]:
    """Values [H, W] between consecutive edges along an axis: the sum of value times overlap.

    Overlaps are summed one by one, for differences of running sums would lose the small values beside large ones.
    """
    size = values.shape[axis]
    by_column = np.ones(2, dtype=np.int64)
    by_column[axis] = -1
    first = np.floor(edges[:-1]).astype(np.int64)
    found = np.zeros((1, 1))
    for step in range(int((np.ceil(edges[1:]) - first).max(initial=1))):
        pixel = first + step
        overlap = (np.minimum(edges[1:], pixel + 1) - np.maximum(edges[:-1], pixel)).clip(0)
        found = found + np.take(values, pixel.clip(0, size - 1), axis=axis) * overlap.reshape(by_column)
    return found
