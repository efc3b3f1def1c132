"""Panels of a figure: a picture with the object's outline, and a zoomed inset where the object is small.

Axes: H W picture (the visible content of the model input). Coordinates are pixels, the picture spans
[0, W] x [0, H].
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from lcrp.figures import colours, crops
from lcrp.figures.outlines import draw_mask_outline
from lcrp.figures.rect import Rect
from lcrp.figures.sheet import FRAME, Sheet
from lcrp.values.geometry import Box, Mask

Array = npt.NDArray[np.floating]
Window = tuple[int, int, int, int]
Dashes = tuple[float, tuple[float, ...]]

SMALL_TARGET = 0.22  # of the picture's side: smaller objects get an inset
INSET_SIDE = 0.44  # of the panel's shorter side
INSET_CONTEXT = 1.5  # zoomed region, in units of the object's longer side
INSET_EDGE = 0.05  # inches between an inset and the panel's edge
LINE_SHARE = 0.035  # of a mask's shorter side: its outline is no wider, or it would hide a small object
THINNEST = 0.6  # points
THICKER = 2.2  # the side of a box that is explained


@dataclass(frozen=True, slots=True, kw_only=True)
class Inset:
    """A zoomed region and where it is shown.

    Attributes:
        window: (top, left, bottom, right) of the region, in pixels.
        at_right: whether it is shown at the right edge, else left.
        at_bottom: whether it is shown at the lower edge, else the upper one.
    """

    window: Window
    at_right: bool
    at_bottom: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Object:
    """The explained object as it is drawn.

    Attributes:
        mask: [H, W] the object.
        box: (left, top, right, bottom) for a detection, else None.
        inset: the zoom, for a small object.
        side: of the box ('left', ...), where that is explained; it is drawn thicker.
        beside: other boxes that tell of it, and how their outlines are dashed.
    """

    mask: Mask
    box: Box | None
    inset: Inset | None
    side: str = ""
    beside: tuple[tuple[Box, Dashes], ...] = ()


def inset_for(mask: Mask, heatmap: Array) -> Inset | None:
    """Zoom on a small object, in the corner that hides the least relevance; None for a large or no object."""
    height, width = mask.shape
    top, left, bottom, right = crops.bounding_window(mask)
    longer = max((bottom - top) / height, (right - left) / width)
    if not mask.any() or longer >= SMALL_TARGET:
        return None
    smallest = max(8, min(height, width) // 12)
    window = crops.square_window((top, left, bottom, right), mask.shape, min_side=smallest, context=INSET_CONTEXT)
    corners = [(at_right, at_bottom) for at_bottom in (True, False) for at_right in (True, False)]
    at_right, at_bottom = min(corners, key=lambda corner: _hidden(corner, window, heatmap))
    return Inset(window=window, at_right=at_right, at_bottom=at_bottom)


def draw_panel(sheet: Sheet, place: Rect, picture: Array, shown: Object, *, outline: float = 1.2) -> Axes:
    """Picture [H, W, 3] with the object's outline and, for a small object, an inset."""
    axes = sheet.add_axes(place)
    _show(axes, picture, shown, outline)
    if shown.inset is not None:
        top, left, bottom, right = shown.inset.window
        axes.add_patch(_framed(shown.inset.window, linewidth=0.8))
        inner = sheet.add_axes(inset_place(shown.inset, place))
        _show(inner, picture, shown, outline)
        inner.set_xlim(left, right)
        inner.set_ylim(bottom, top)
        for spine in inner.spines.values():
            spine.set_visible(False)
        inner.add_patch(_framed(shown.inset.window, linewidth=1.8))
    return axes


def inset_place(inset: Inset, panel: Rect) -> Rect:
    """Where an inset lies in its panel."""
    side, edge = INSET_SIDE * min(panel.width, panel.height), INSET_EDGE
    return Rect(
        left=panel.right - side - edge if inset.at_right else panel.left + edge,
        top=panel.bottom - side - edge if inset.at_bottom else panel.top + edge,
        width=side,
        height=side,
    )


def draw_crop(sheet: Sheet, place: Rect, crop: crops.ReferenceCrop) -> None:
    """Reference crop: dark outside its mask, a white line along the mask's edge, its aspect kept."""
    axes = sheet.add_axes(place)
    axes.set_facecolor(colours.EMPTY)
    height, width = crop.visibility.shape
    axes.imshow(np.clip(crop.picture, 0.0, 1.0), extent=(0, width, height, 0), interpolation="bicubic")
    if crop.visibility.min() < crops.VISIBLE and min(height, width) > 1:
        columns, rows = np.arange(width) + 0.5, np.arange(height) + 0.5
        # contours end half a pixel before the picture does: repeat the border
        columns[[0, -1]], rows[[0, -1]] = (0, width), (0, height)
        level = [crops.VISIBLE]
        axes.contourf(
            columns, rows, crop.visibility, levels=[-1.0, *level], colors=["black"], alpha=0.5, antialiased=True
        )
        line = axes.contour(columns, rows, crop.visibility, levels=level, colors="white", linewidths=0.9)
        line.set_path_effects([withStroke(linewidth=1.7, foreground=(0.0, 0.0, 0.0, 0.45))])
    side = max(width, height)
    axes.set_xlim((width - side) / 2, (width + side) / 2)
    axes.set_ylim((height + side) / 2, (height - side) / 2)


def _show(axes: Axes, picture: Array, shown: Object, outline: float) -> None:
    height, width = shown.mask.shape
    axes.imshow(np.clip(picture, 0.0, 1.0), extent=(0, width, height, 0), interpolation="bicubic", aspect="auto")
    if shown.box is not None:
        for box, dashes in shown.beside:
            draw_box(axes, box, min(outline, 1.2), dashes=dashes)
        draw_box(axes, shown.box, outline)
        if shown.side:
            _draw_side(axes, shown.box, shown.side, THICKER * outline)
    elif shown.mask.any() and not shown.mask.all():
        draw_mask_outline(axes, shown.mask, _thin(axes, shown.mask, outline))
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)


def draw_box(axes: Axes, box: Box, width: float, *, dashes: Dashes | None = None) -> None:
    """The object's outline around a box in the axes' units, with a line of `width` points, or a white dashed one."""
    left, top, right, bottom = box
    colour = colours.OBJECT if dashes is None else "white"
    outline = Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=colour, zorder=4)
    outline.set_linewidth(width)
    if dashes is not None:
        outline.set_linestyle(dashes)
    outline.set_path_effects([withStroke(linewidth=width + 1.2, foreground=(0.0, 0.0, 0.0, 0.75))])
    axes.add_patch(outline)


def _draw_side(axes: Axes, box: tuple[float, float, float, float], side: str, width: float) -> None:
    left, top, right, bottom = box
    x = {"left": (left, left), "right": (right, right)}.get(side, (left, right))
    y = {"top": (top, top), "bottom": (bottom, bottom)}.get(side, (top, bottom))
    (line,) = axes.plot(x, y, color=colours.OBJECT, linewidth=width, zorder=4, solid_capstyle="butt")
    line.set_path_effects([withStroke(linewidth=width + 1.2, foreground=(0.0, 0.0, 0.0, 0.75))])


def _thin(axes: Axes, mask: Mask, outline: float) -> float:
    """Width of an outline, less where the mask is small on the page."""
    top, left, bottom, right = crops.bounding_window(mask)
    points = axes.bbox.height * 72.0 / axes.figure.dpi / mask.shape[0]
    return float(max(THINNEST, min(outline, LINE_SHARE * points * min(bottom - top, right - left))))


def _framed(window: Window, *, linewidth: float) -> Rectangle:
    top, left, bottom, right = window
    frame = Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor="white", zorder=5, clip_on=False)
    frame.set_linewidth(linewidth)
    frame.set_path_effects([withStroke(linewidth=linewidth + 1.0, foreground=FRAME)])
    return frame


def _hidden(corner: tuple[bool, bool], window: Window, heatmap: Array) -> tuple[float, float]:
    """How much of the zoomed region, then of the relevance, an inset in a corner would hide."""
    height, width = heatmap.shape
    side = round(INSET_SIDE * min(height, width)) + 2
    at_right, at_bottom = corner
    rows = slice(height - side, height) if at_bottom else slice(0, side)
    columns = slice(width - side, width) if at_right else slice(0, side)
    top, left, bottom, right = window
    overlap_rows = min(bottom, rows.stop) - max(top, rows.start)
    overlap_columns = min(right, columns.stop) - max(left, columns.start)
    covered = max(0, overlap_rows) * max(0, overlap_columns)
    return float(covered), float(np.abs(heatmap[rows, columns]).sum())
