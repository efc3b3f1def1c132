"""The label of the object: beside it, never upon it.

Coordinates are inches in the figure; masks are [H, W].
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from matplotlib.patches import Rectangle

from lcrp.figures import colours, crops
from lcrp.figures.layout import NARROWEST, TITLE
from lcrp.figures.measure import SLACK, fitted_lines, line_height, text_width
from lcrp.figures.rect import Rect
from lcrp.figures.sheet import FRAME, Sheet
from lcrp.values.explanation import Mask

SIZES = (9.0, 8.5, 8.0, 7.5, 7.0)  # points
OUTSIDE_SIZES = (9.0, 8.0, 7.0, 6.0, 5.5)
PADDING = 0.045
GAP = 0.05  # between the object and its label
HEADING_GAP = 0.12  # between a heading and the label beside it
MOST_LINES = 5  # in a panel that is very narrow


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """A label and where it stands, and whether the panel's heading has its place beside it."""

    place: Rect
    lines: tuple[str, ...]
    size: float
    leaves_heading: bool


def fitted_tag(text: str, mask: Mask, panel: Rect, avoided: Rect | None, heading: float) -> Tag:
    """A label within a panel that covers neither the object nor what is to be avoided.

    Where there is no such place (the object fills the picture) it stands above the panel: beside the heading, or where
    there is no room, in its place.

    Args:
        text: of the label.
        mask: [H, W] the object.
        panel: where the picture is drawn.
        avoided: the inset.
        heading: width of the panel's heading.
    """
    most = 1 if _is_short(text, panel) else MOST_LINES
    size, lines = fitted_lines(text, panel.width - 2 * PADDING - 2 * GAP, SIZES, most, "bold")
    width = max(text_width(line, size, "bold") * 1.04 for line in lines) + 2 * PADDING
    height = len(lines) * line_height(size) + 2 * PADDING
    for left, top in _candidates(mask, panel, width, height):
        place = Rect(left=left, top=top, width=width, height=height)
        if _is_free(place, mask, panel, avoided):
            return Tag(place=place, lines=tuple(lines), size=size, leaves_heading=True)
    return _tag_above(text, panel, heading)


def _tag_above(text: str, panel: Rect, heading: float) -> Tag:
    """A label of one line above a panel."""
    room = max(panel.width, NARROWEST)
    for size in OUTSIDE_SIZES:
        width = text_width(text, size, "bold") * SLACK + 2 * PADDING
        if heading + HEADING_GAP + width <= room:
            left, lines = panel.left + heading + HEADING_GAP, [text]
            break
    else:
        left = panel.left
        size, lines = fitted_lines(text, room - 2 * PADDING, OUTSIDE_SIZES, 1, "bold")
        width = text_width(lines[0], size, "bold") * SLACK + 2 * PADDING
    height = line_height(size) + 2 * PADDING
    place = Rect(left=left, top=panel.top - height - (TITLE - height) / 2, width=width, height=height)
    return Tag(place=place, lines=tuple(lines), size=size, leaves_heading=left > panel.left)


def draw_tag(sheet: Sheet, tag: Tag) -> None:
    """Write a label on the object's colour."""
    draw_plate(sheet, tag.place)
    step = line_height(tag.size)
    for number, line in enumerate(tag.lines):
        baseline = tag.place.top + PADDING + (number + 0.78) * step
        sheet.write(line, tag.place.left + PADDING, baseline, size=tag.size, weight="bold").set_zorder(7)


def draw_plate(sheet: Sheet, place: Rect) -> None:
    """A small filled rectangle in the object's colour."""
    left, bottom, width, height = place.within((sheet.width, sheet.height))
    plate = Rectangle((left, bottom), width, height, facecolor=colours.OBJECT, edgecolor=FRAME, linewidth=0.5, zorder=6)
    plate.set_transform(sheet.figure.transFigure)
    sheet.figure.add_artist(plate)


def _is_short(text: str, panel: Rect) -> bool:
    return text_width(text, SIZES[-1], "bold") <= panel.width - 2 * PADDING - 2 * GAP


def _candidates(mask: Mask, panel: Rect, width: float, height: float) -> Iterator[tuple[float, float]]:
    """(left, top) of places, the best first: above the object, below, beside it, in its corners, in the panel's."""
    rows, columns = mask.shape
    top, left, bottom, right = crops.bounding_window(mask)
    down, across = panel.height / rows, panel.width / columns
    first, last = panel.left + left * across, panel.left + right * across
    upper, lower = panel.top + top * down, panel.top + bottom * down
    lefts = [first, last - width, panel.left + GAP, panel.right - width - GAP]
    kept = [min(max(one, panel.left + GAP), panel.right - width - GAP) for one in lefts]
    for y in (upper - height - GAP, lower + GAP):
        yield from ((x, y) for x in kept)
    for y in (upper, lower - height):
        yield from ((x, y) for x in (last + GAP, first - width - GAP))
    for y in (upper + GAP, lower - height - GAP):
        yield from ((x, y) for x in (first + GAP, last - width - GAP))
    for y in (panel.top + GAP, panel.bottom - height - GAP):
        yield from ((x, y) for x in (panel.left + GAP, panel.right - width - GAP))


def _is_free(place: Rect, mask: Mask, panel: Rect, avoided: Rect | None) -> bool:
    if place.left < panel.left or place.right > panel.right or place.top < panel.top or place.bottom > panel.bottom:
        return False
    if avoided is not None and _overlap(place, avoided):
        return False
    rows, columns = mask.shape
    down, across = rows / panel.height, columns / panel.width
    covered = mask[
        max(0, int(np.floor((place.top - panel.top) * down))) : int(np.ceil((place.bottom - panel.top) * down)),
        max(0, int(np.floor((place.left - panel.left) * across))) : int(np.ceil((place.right - panel.left) * across)),
    ]
    return not covered.any()


def _overlap(one: Rect, other: Rect) -> bool:
    across = min(one.right, other.right) - max(one.left, other.left)
    down = min(one.bottom, other.bottom) - max(one.top, other.top)
    return across > 0.0 and down > 0.0
