"""A sheet of pictures with what is annotated in them.

Axes: H W picture. Pictures are [H, W, 3] in [0, 1].
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lcrp.figures import colours
from lcrp.figures.rect import Rect
from lcrp.figures.sheet import Sheet
from lcrp.values.explanation import Mask, Picture
from lcrp.values.geometry import Box

COLUMNS = 6
_SIDE, _GAP, _EDGE, _HEAD, _FOOT = 2.0, 0.14, 0.24, 0.62, 0.26  # inches
_TINT = 0.35
_LONGEST_KEY = 30  # signs of a name below a picture
_PALETTE = (
    "#ffc400",
    "#00c2d1",
    "#ff5a5f",
    "#7ddf64",
    "#b388ff",
    "#ff9f1c",
    "#4dabf7",
    "#f06595",
    "#c0eb75",
    "#e8e8e8",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetObject:
    """What is annotated in a picture.

    Attributes:
        name: of its class.
        class_id: of its class, for the colour.
        mask: [H, W] its pixels, or None.
        box: (left, top, right, bottom) in pixels of the picture; None where masks of classes are annotated.
    """

    name: str
    class_id: int
    mask: Mask | None = None
    box: Box | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetPicture:
    """A picture of the sheet.

    Attributes:
        key: of the sample.
        picture: [H, W, 3].
        objects: what is annotated in it.
    """

    key: str
    picture: Picture
    objects: tuple[SheetObject, ...]


def contact_sheet(tiles: Sequence[SheetPicture], title: str) -> Figure:
    """Pictures in rows, their objects in their classes' colours, the classes' names beside them."""
    columns = min(COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    width = max(2 * _EDGE + columns * _SIDE + (columns - 1) * _GAP, 7.0)
    height = _HEAD + rows * (_SIDE + _FOOT) + (rows - 1) * _GAP + _EDGE
    sheet = Sheet.of_size(width, height)
    sheet.write(title, _EDGE, 0.38, size=12, weight="bold")
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        left = _EDGE + column * (_SIDE + _GAP)
        top = _HEAD + row * (_SIDE + _FOOT + _GAP)
        _draw(sheet, tile, left, top)
    return sheet.figure


def _draw(sheet: Sheet, tile: SheetPicture, left: float, top: float) -> None:
    """One picture within its square, its name below."""
    height, width = tile.picture.shape[:2]
    scale = _SIDE / max(height, width)
    size = (width * scale, height * scale)
    place = Rect(left=left + (_SIDE - size[0]) / 2, top=top + (_SIDE - size[1]) / 2, width=size[0], height=size[1])
    axes = sheet.add_axes(place)
    axes.imshow(_tinted(tile), extent=(0, width, height, 0), interpolation="nearest", aspect="auto")
    for one in tile.objects:
        colour = _colour(one.class_id)
        corner = _corner(one)
        if one.box is not None:
            x0, y0, x1, y1 = one.box
            axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=colour, linewidth=1.1))
        text = axes.text(*corner, one.name, fontsize=5.5, color=colours.INK, va="top", clip_on=True)
        text.set_bbox({"facecolor": colour, "edgecolor": "none", "pad": 0.8, "alpha": 0.85})
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    key = tile.key if len(tile.key) <= _LONGEST_KEY else f"...{tile.key[-_LONGEST_KEY:]}"
    sheet.write(key, left, top + _SIDE + 0.17, size=6.5, color=colours.FAINT)


def _tinted(tile: SheetPicture) -> Picture:
    """The picture, objects washed in their classes' colours."""
    picture = np.asarray(tile.picture, dtype=np.float64).copy()
    for one in tile.objects:
        if one.mask is not None:
            tint = np.array([int(_colour(one.class_id)[place : place + 2], 16) / 255.0 for place in (1, 3, 5)])
            picture[one.mask] = (1 - _TINT) * picture[one.mask] + _TINT * tint
    return picture


def _corner(one: SheetObject) -> tuple[float, float]:
    """Where the class's name stands: the upper left of the box, or of the mask."""
    if one.box is not None:
        return max(one.box[0], 0.0) + 1, max(one.box[1], 0.0) + 1
    assert one.mask is not None
    rows = np.flatnonzero(one.mask.any(axis=1))
    return float(np.flatnonzero(one.mask[rows[0]])[0]), float(rows[0])


def _colour(class_id: int) -> str:
    return _PALETTE[class_id % len(_PALETTE)]
