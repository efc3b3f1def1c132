"""Panels of a figure: a picture with the object's outline, and a zoomed inset where the object is small.

Axes: H W picture (the visible content of the model input). Coordinates are pixels, the picture spans
[0, W] x [0, H].
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import AbstractPathEffect, withStroke

from lcrp.figures import colours, crops
from lcrp.figures.layout import Rect
from lcrp.figures.wording import POINTS_PER_INCH, shortened, text_width
from lcrp.values.explanation import Mask

Array = npt.NDArray[np.floating]
Window = tuple[int, int, int, int]

SMALL_TARGET = 0.25  # of the picture's side: smaller objects get an inset
INSET_SIDE = 0.44  # of the panel's shorter side
INSET_CONTEXT = 2.2  # zoomed region, in units of the object's longer side
FRAME = "#2b3038"
TAG_SIZE = 8.5  # points
TAG_PADDING = 0.04  # inches
TAG_HEIGHT = 0.26  # inches
INSET_EDGE = 0.05  # inches between an inset and the panel's edge


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
    """

    mask: Mask
    box: tuple[float, float, float, float] | None
    inset: Inset | None


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


def add_axes(figure: Figure, place: Rect) -> Axes:
    """Bare axes at a place given in inches."""
    width, height = figure.get_size_inches()
    axes = figure.add_axes(place.within((float(width), float(height))))
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_linewidth(0.6)
        spine.set_edgecolor(FRAME)
    return axes


def draw_panel(figure: Figure, place: Rect, picture: Array, shown: Object, *, outline: float = 1.2) -> Axes:
    """Picture [H, W, 3] with the object's outline and, for a small object, an inset."""
    axes = add_axes(figure, place)
    _show(axes, picture, shown, outline)
    if shown.inset is not None:
        top, left, bottom, right = shown.inset.window
        axes.add_patch(_framed(shown.inset.window, linewidth=0.8))
        inner = add_axes(figure, inset_place(shown.inset, place))
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


def draw_tag(axes: Axes, text: str, shown: Object, panel: Rect) -> None:
    """Label above the object (inside its upper edge where there is no room), within the panel and beside an inset."""
    top, left, _bottom, _right = crops.bounding_window(shown.mask)
    height, width = shown.mask.shape
    text = shortened(text, panel.width - 2 * TAG_PADDING, TAG_SIZE, "bold")
    extent = (text_width(text, TAG_SIZE, "bold") + 2 * TAG_PADDING) * width / panel.width  # in pixels
    above = top * panel.height / height > TAG_HEIGHT
    low, high = 0.0, width - extent
    if shown.inset is not None:
        inset = inset_place(shown.inset, panel)
        upper = panel.top + top * panel.height / height - (TAG_HEIGHT if above else 0.0)  # inches
        if upper < inset.bottom and upper + TAG_HEIGHT > inset.top:
            room = (inset.width + 2 * INSET_EDGE) * width / panel.width
            low, high = (low, high - room) if shown.inset.at_right else (low + room, high)
    axes.annotate(
        text,
        xy=(max(0.0, min(max(float(left), low), high)), top),
        xytext=(TAG_PADDING * POINTS_PER_INCH, 3.2 if above else -3.2),
        textcoords="offset points",
        ha="left",
        va="bottom" if above else "top",
        fontsize=TAG_SIZE,
        weight="bold",
        color=colours.INK,
        bbox={"boxstyle": "square,pad=0.22", "facecolor": colours.OBJECT, "edgecolor": FRAME, "linewidth": 0.5},
        zorder=6,
    )


def draw_crop(figure: Figure, place: Rect, crop: crops.ReferenceCrop) -> None:
    """Reference crop: dark outside its mask, a white line along the mask's edge, its aspect kept."""
    axes = add_axes(figure, place)
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
    halo: list[AbstractPathEffect] = [withStroke(linewidth=outline + 1.2, foreground=(0.0, 0.0, 0.0, 0.75))]
    if shown.box is not None:
        left, top, right, bottom = shown.box
        box = Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=colours.OBJECT, zorder=4)
        box.set_linewidth(outline)
        box.set_path_effects(halo)
        axes.add_patch(box)
    elif shown.mask.any() and not shown.mask.all():
        line = axes.contour(
            np.arange(width) + 0.5,
            np.arange(height) + 0.5,
            shown.mask.astype(np.float64),
            levels=[0.5],
            colors=colours.OBJECT,
            linewidths=outline,
        )
        line.set_path_effects(halo)
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)


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
