"""The figure of the concepts that carry what classes need of their context.

Coordinates are inches from the top left corner.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lcrp.figures import colours, crops, panels, wording
from lcrp.figures.content import in_proportion
from lcrp.figures.head import Head, draw_head, fitted_head
from lcrp.figures.legible import shown_name
from lcrp.figures.measure import fitted_size, line_height, shortened, text_width, wrapped
from lcrp.figures.missed import number
from lcrp.figures.rect import Rect
from lcrp.figures.saving import save
from lcrp.figures.sheet import EDGE, Lines, Sheet
from lcrp.values.audit import CarrierView, GroundView, Loss, Outcome
from lcrp.values.explanation import Reference
from lcrp.values.shares import MINUS

PANEL, GAP, COLUMN_GAP = 1.30, 0.07, 0.30
BARS = 2.15
CELL, ACROSS, DOWN = 0.585, 4, 2  # of references
CAPTION, CELL_CAPTION = 0.20, 0.145
CLASS_LINE, TITLE_LINE, BELOW = 0.36, 0.25, 0.20
SMALL, TINY, TINIEST = 7.5, 6.5, 5.5  # points
LOST = "#b3261e"
BAR = 0.17  # high
COLOURS = {"usual": "#d1661f", "others": colours.OUTSIDE}
SHOWN = ("its own picture", "where the concept lies", "without its class", "where it lies then")
NOTES = (
    "yellow: the object · red: relevance through the concept for the decision, blue: against it, both maps on one scale"
    " · crops: bright, within the white line, what the concept looks at where it counts most"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where columns begin and how wide the figure is."""

    panels: tuple[float, ...]
    bars: float
    references: float
    width: float

    @classmethod
    def plain(cls) -> "Places":
        """Four panels, bars, references."""
        first = [EDGE, EDGE + PANEL + GAP]
        second = [first[1] + PANEL + COLUMN_GAP * 0.6, first[1] + 2 * PANEL + COLUMN_GAP * 0.6 + GAP]
        bars = second[1] + PANEL + COLUMN_GAP
        references = bars + BARS + COLUMN_GAP
        width = references + ACROSS * (CELL + GAP) - GAP + EDGE
        return cls(panels=(*first, *second), bars=bars, references=references, width=width)


def draw_carriers(path: Path, carriers: Sequence[CarrierView], title: str) -> None:
    """Draw the concepts of every class that needs its context, a row each.

    Args:
        path: PNG file to write.
        carriers: those of one class after each other.
        title: network and dataset in words.
    """
    names = [text for one in carriers for text in (one.class_name, one.title)]
    references = [reference.class_name for one in carriers for reference in one.references]
    save(lambda: carriers_figure(carriers, title), [path], dpi=150, names=[title, *names, *references])


def carriers_figure(carriers: Sequence[CarrierView], title: str) -> Figure:
    """Concepts, one row each, below the name of their class."""
    places = Places.plain()
    head = fitted_head(statement(carriers), title, places.width, note=NOTES)
    rows = [_title_lines(one, places.width) for one in carriers]
    firsts = [not place or carriers[place - 1].class_name != one.class_name for place, one in enumerate(carriers)]
    groups = [
        _group_lines(one, places.width) if is_first else None for one, is_first in zip(carriers, firsts, strict=True)
    ]
    heights = [
        (0.0 if group is None else CLASS_LINE + group.height) + lines.height + CAPTION + PANEL + BELOW
        for group, lines in zip(groups, rows, strict=True)
    ]
    sheet = Sheet.of_size(places.width, head.height + sum(heights) + EDGE * 0.5)
    draw_head(sheet, head)
    scale = _scale(carriers)
    top = _top(head)
    for one, group, lines, height in zip(carriers, groups, rows, heights, strict=True):
        inner = top
        if group is not None:
            _write_class(sheet, one, top)
            inner = sheet.write_lines(group, EDGE, top + CLASS_LINE)
        inner = sheet.write_lines(lines, EDGE, inner) + CAPTION
        _draw_row(sheet, places, one, inner, scale)
        top += height
    return sheet.figure


def statement(carriers: Sequence[CarrierView]) -> str:
    """What is asked."""
    names = list(dict.fromkeys(shown_name(one.class_name) for one in carriers))
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    needs = "needs of its" if len(names) == 1 else "need of their"
    return f"Which concepts carry what {listed} {needs} context?"


def concept_words(one: CarrierView) -> str:
    """What is said of a concept beside its name."""
    cut, low, high = one.cut
    interval = "" if isnan(low) else f" ({signed(low)} to {signed(high)})"
    told = f"without it{' alone' if one.group else ''} the fall is smaller by {signed(cut)}{interval}"
    if not one.is_carrier:
        told = f"comes nearest, but does not surely carry it: {told}"
    if isnan(one.relevance_share):
        return told
    gone, there = one.relevance_share, "in pictures without the class"
    if gone > 1:
        return f"{told}; {there} its relevance speaks against it"
    if gone < 0:
        return f"{told}; {there} its relevance is larger by {wording.percent(-gone)}"
    return f"{told}; {wording.percent(gone)} of its relevance is gone {there}"


def signed(value: float) -> str:
    """Two decimals; less than that, one digit."""
    return f"{MINUS if value < 0 else ''}{number(abs(value))}"


def _top(head: Head) -> float:
    return head.height + 0.02


def _title_lines(one: CarrierView, width: float) -> Lines:
    lines = wrapped(f"{shown_name(one.title)} \N{EM DASH} {concept_words(one)}", width - 2 * EDGE, 9.5)
    return Lines(lines=tuple(lines), size=9.5, color=colours.INK if one.is_carrier else colours.FAINT)


def _group_lines(one: CarrierView, width: float) -> Lines:
    """What the concepts of a class do together; no lines where there are not several."""
    lines = wrapped(one.group, width - 2 * EDGE, 9.5, "bold") if one.group else []
    return Lines(lines=tuple(lines), size=9.5, weight="bold")


def _write_class(sheet: Sheet, one: CarrierView, top: float) -> None:
    baseline = top + CLASS_LINE - 0.12
    line = Rectangle((EDGE / sheet.width, 1 - (top + 0.02) / sheet.height), 1 - 2 * EDGE / sheet.width, 0.0)
    line.set(edgecolor="#d5d9de", linewidth=0.8, transform=sheet.figure.transFigure)
    sheet.figure.add_artist(line)
    needs = f"{shown_name(one.class_name)} needs its context"
    size = fitted_size(needs, 0.6 * sheet.width, 12.0, 6.0, "bold")
    first = sheet.write(needs, EDGE, baseline, size=size, weight="bold")
    sheet.append(first, f"without it the score falls by {signed(one.difference)}", size=9.5, color=colours.FAINT)


def _draw_row(sheet: Sheet, places: Places, one: CarrierView, top: float, scale: tuple[float, float]) -> None:
    """Panels, bars and references, whose upper edge is `top`."""
    shade = colours.shading(one.seen[0].heatmap, "diverging") if one.seen and one.seen[0].heatmap is not None else None
    for place, left in enumerate(places.panels[: 2 * len(one.seen)]):
        view = one.seen[place // 2]
        is_map = place % 2 == 1
        ground = view.picture
        if is_map and view.heatmap is not None and shade is not None:
            ground = colours.overlay(view.picture, view.heatmap, shade)
        _draw_panel(sheet, Rect(left=left, top=top, width=PANEL, height=PANEL), view, ground)
        color = colours.FAINT if is_map or view.outcome is Outcome.KEPT else LOST
        text = SHOWN[place] if is_map else _scored(SHOWN[place], view)
        size = fitted_size(text, PANEL, SMALL, 5.0)
        sheet.write(text, left, top - 0.06, size=size, color=color if is_map or color == LOST else colours.INK)
    _draw_bars(sheet, places.bars, top, one, scale)
    for place, reference in enumerate(one.references[: ACROSS * DOWN]):
        down, across = divmod(place, ACROSS)
        left = places.references + across * (CELL + GAP)
        _draw_reference(sheet, reference, left, top + down * (CELL + CELL_CAPTION))
    told = "where it counts most" if one.references else "nowhere does it count"
    sheet.write(told, places.references, top - 0.06, size=SMALL, color=colours.FAINT)


def _scored(label: str, view: GroundView) -> str:
    lost = "" if view.outcome is Outcome.KEPT else ", lost"
    return f"{label}: {number(view.score)}{lost}"


def _draw_panel(sheet: Sheet, box: Rect, view: GroundView, ground: np.ndarray) -> None:
    height, width = view.outline.shape
    scale = min(box.width / width, box.height / height)
    place = Rect(left=box.left, top=box.top, width=width * scale, height=height * scale)
    panels.draw_panel(sheet, place, ground, panels.Object(mask=view.outline, box=None, inset=None), outline=0.8)


def _draw_bars(sheet: Sheet, left: float, top: float, one: CarrierView, scale: tuple[float, float]) -> None:
    """What taking the concept away costs, in usual surroundings and in others, on the scale of all rows."""
    sheet.write("taken away, it costs the score", left, top - 0.06, size=SMALL, color=colours.FAINT)
    unit = BARS / (scale[1] - scale[0])
    zero = left - scale[0] * unit
    for place, (name, words, loss) in enumerate(
        (("usual", "in usual surroundings", one.usual), ("others", "in pictures without its class", one.others))
    ):
        upper = top + 0.05 + place * 0.62
        sheet.write(words, left, upper + 0.10, size=SMALL)
        _draw_bar(sheet, Rect(left=zero, top=upper + 0.15, width=unit, height=BAR), loss, COLOURS[name], left)
        left_of_it = number(max(0.0, loss.score - loss.value))
        text = f"{signed(loss.value)}: {number(loss.score)} \N{RIGHTWARDS ARROW} {left_of_it}"
        sheet.write(text, left, upper + 0.15 + BAR + 0.13, size=SMALL, color=colours.FAINT)
    sheet.write(f"mean of {one.num_decisions} decisions", left, top + PANEL - 0.005, size=TINY, color=colours.FAINT)


def _draw_bar(sheet: Sheet, unit: Rect, loss: Loss, colour: str, least: float) -> None:
    """A bar from zero, which lies at the left edge of `unit`, whose width is 1; whiskers within the column."""

    def across(value: float) -> float:
        return min(least + BARS, max(least, unit.left + value * unit.width))

    def rectangle(start: float, stop: float, top: float, height: float, **more: object) -> None:
        place = Rect(left=min(start, stop), top=top, width=abs(stop - start), height=height)
        x, y, width, high = place.within((sheet.width, sheet.height))
        sheet.figure.add_artist(
            Rectangle((x, y), width, high, transform=sheet.figure.transFigure, **more)  # type: ignore[arg-type]
        )

    rectangle(unit.left, across(loss.value), unit.top, unit.height, facecolor=colour, linewidth=0.0)
    rectangle(unit.left, unit.left, unit.top - 0.03, unit.height + 0.06, edgecolor=colours.INK, linewidth=0.8)
    if not isnan(loss.low):
        middle = unit.top + unit.height / 2
        rectangle(across(loss.low), across(loss.high), middle, 0.0, edgecolor=colours.INK, linewidth=0.9)


def _scale(carriers: Sequence[CarrierView]) -> tuple[float, float]:
    """The largest gain and the largest loss that are drawn, with their intervals; 0 lies between."""
    losses = [loss for one in carriers for loss in (one.usual, one.others)]
    ends = [end for loss in losses for end in (loss.value, loss.low, loss.high) if not isnan(end)]
    return min([-0.005, *ends]), max([0.02, *ends])


def _draw_reference(sheet: Sheet, reference: Reference, left: float, top: float) -> None:
    picture = in_proportion(reference.picture, reference.pixel_aspect)
    crop = crops.reference_crop(picture, in_proportion(reference.heatmap, reference.pixel_aspect))
    panels.draw_crop(sheet, Rect(left=left, top=top, width=CELL, height=CELL), crop)
    share = wording.share_text(reference.score)
    text = f"{shown_name(reference.class_name)} {share}".strip()
    size = fitted_size(text, CELL + 0.6 * GAP, TINY, TINIEST)
    if size == TINIEST:
        room = CELL - text_width(f" {share}", size)
        text = f"{shortened(shown_name(reference.class_name), room, size)} {share}".strip()
    sheet.write(text, left, top + CELL + 0.8 * line_height(TINY), size=size, color=colours.FAINT)
