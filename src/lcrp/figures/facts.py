"""What stands below the input and the decision's heatmap: shares, colours, the annotation, other decisions.

Each part knows the height that it needs before the figure is laid out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from lcrp.figures import colours, missed, panels, wording
from lcrp.figures.measure import fitted_lines, fitted_size, line_height, text_width, wrapped
from lcrp.figures.rect import Rect
from lcrp.figures.sheet import FRAME, Lines, Sheet
from lcrp.values.explanation import MOSTLY, Explanation, OtherDecision

SIZE = 8.0  # points
SMALL = 7.5
NAMES = 0.72  # inches for the names of bars
BAR = 0.17
STEP = 0.21  # from one bar to the next
MOST_OTHERS = 6  # decisions that are listed
THUMBNAIL = 0.46  # of the column: the small picture with the other decisions
THUMBNAIL_HIGHEST = 1.3  # inches, where it stands beside the list
LARGE_HIGHEST = 2.4  # where it stands above it
GAP = 0.08
OUTLINE_STEP = 0.18  # from one line of the outlines' names to the next
OTHERS = ("#1f6fb2", "#7a4fa3", "#2c8a4b", "#d1661f", "#3aa39b", "#c23b6b")  # one colour per decision that is listed
SCALED = "each map is scaled by its own largest values"
_ALIGN = ("left", "center", "right")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a figure: the height that it needs, and how it is drawn into a place of that height."""

    height: float
    draw: Callable[[Sheet, Rect], None]


def parts_below_picture(explanation: Explanation, width: float, *, is_enlarged: bool) -> list[Part]:
    """What belongs to the input, for a column of a given width: outline, annotation, runners-up and others."""
    parts = [_outline(explanation, width, is_enlarged=is_enlarged), _shares(explanation)]
    if explanation.annotated is not None:
        parts.append(_annotation(explanation, width))
    if explanation.runners_up:
        parts.append(_runners_up(explanation, width))
    return parts


def parts_below_heatmap(explanation: Explanation, width: float) -> list[Part]:
    """What belongs to the heatmap: its colours."""
    return [_colours(explanation, width)]


def others_part(explanation: Explanation, width: float, *, is_large: bool = False) -> list[Part]:
    """The model's other decisions about the picture, on a small one and in a list; empty if there are none.

    Args:
        explanation: with the other decisions.
        width: of the column.
        is_large: whether the small picture takes the whole column, above the list.
    """
    if not explanation.others:
        return []
    has_boxes = any(other.box is not None for other in explanation.others)
    aspect = explanation.mask.shape[1] / explanation.mask.shape[0]
    small = min(width, LARGE_HIGHEST * aspect) if is_large else min(THUMBNAIL * width, THUMBNAIL_HIGHEST * aspect)
    small *= has_boxes
    room = width if is_large or not small else width - small - GAP
    indent = 0.16 if small else 0.0
    entries = [_entry(other, room - indent, wording.shown(explanation)) for other in explanation.others[:MOST_OTHERS]]
    hidden = len(explanation.others) - len(entries)
    picture_height = small / aspect
    listed = sum(len(lines) for lines in entries) + bool(hidden)
    title = f"Also found in this {wording.shown(explanation)}"

    def draw(sheet: Sheet, place: Rect) -> None:
        top = sheet.write_lines(Lines(lines=(title,), size=SIZE, weight="bold"), place.left, place.top) + 0.04
        left = place.left
        if small:
            panel = Rect(left=place.left, top=top, width=small, height=picture_height)
            _draw_others(sheet, explanation, panel)
            left, top = (place.left, panel.bottom + GAP) if is_large else (panel.right + GAP, top)
        for number, lines in enumerate(entries):
            if small:
                _swatch(sheet, left, top + 0.03, OTHERS[number])
            top = sheet.write_lines(Lines(lines=tuple(lines), size=SMALL), left + indent, top)
        if hidden:
            rest = Lines(lines=(f"and {hidden} more",), size=SMALL, color=colours.FAINT)
            sheet.write_lines(rest, left + indent, top)

    list_height = listed * line_height(SMALL)
    body = picture_height + GAP + list_height if is_large else max(picture_height, list_height)
    return [Part(height=line_height(SIZE) + 0.04 + body, draw=draw)]


def _entry(other: OtherDecision, width: float, shown: str) -> list[str]:
    share = "" if other.box is not None else f" · {wording.percent(other.share)} of the {shown}"
    return wrapped(f"{other.class_name} {other.confidence:.2f}{share}", width, SMALL)


def _draw_others(sheet: Sheet, explanation: Explanation, panel: Rect) -> None:
    axes = sheet.add_axes(panel)
    height, width = explanation.mask.shape
    axes.imshow(
        colours.faded(explanation.picture), extent=(0, width, height, 0), interpolation="bicubic", aspect="auto"
    )
    for number, other in reversed(list(enumerate(explanation.others))):
        if other.box is None:
            continue
        left, top, right, bottom = other.box
        is_listed = number < MOST_OTHERS
        colour = OTHERS[number] if is_listed else colours.OUTSIDE
        edge = Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=colour)
        edge.set_linewidth(1.2 if is_listed else 0.6)
        axes.add_patch(edge)
    if explanation.explained.box is not None:
        panels.draw_box(axes, explanation.explained.box, 0.9)
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)


def _outline(explanation: Explanation, width: float, *, is_enlarged: bool) -> Part:
    """What the outlines in the panels are."""
    text = f"{wording.region(explanation)} that is explained"
    if wording.is_side(explanation):
        text = "box; thick: what is explained"
    if explanation.missed is not None:
        text = "missed object"
    entries: list[tuple[str, str, panels.Dashes | None]] = [(colours.OBJECT, text, None)]
    if explanation.missed is not None:
        entries += [("white", dashed, dashes) for dashed, dashes in missed.outlines(explanation.missed)]
    if is_enlarged:
        entries.append(("white", "enlarged", None))
    lines = _in_lines([0.22 + text_width(text, SMALL) + 0.16 for _, text, _ in entries], width)

    def draw(sheet: Sheet, place: Rect) -> None:
        for (colour, text, dashes), (left, line) in zip(entries, lines, strict=True):
            top = place.top + OUTLINE_STEP * line
            _frame(sheet, place.left + left, top + 0.025, colour, dashes)
            sheet.write(text, place.left + left + 0.22, top + 0.125, size=SMALL)

    return Part(height=0.15 + OUTLINE_STEP * lines[-1][1], draw=draw)


def _in_lines(widths: Sequence[float], room: float) -> list[tuple[float, int]]:
    """Left edge and line of things of some widths, side by side as far as there is room."""
    places, left, line = [], 0.0, 0
    for width in widths:
        if left and left + width > room + 0.16:
            left, line = 0.0, line + 1
        places.append((left, line))
        left += width
    return places


def _colours(explanation: Explanation, width: float) -> Part:
    """Colour bars, and how maps are scaled."""
    low, high = wording.poles(explanation)
    words = (low, "relevance", high)
    if explanation.mode != "activation" and sum(text_width(word, SMALL) + GAP for word in words) > width:
        return _long_poles(low, high, width)
    entries: list[tuple[colours.Scale, tuple[str, str, str]]] = [("diverging", words)]
    if explanation.mode == "activation":
        entries.append(("sequential", ("0", "activation", "high")))
    size, lines = fitted_lines(SCALED, width, (SMALL, 7.0), 1)
    breadth = (width - 0.16 * (len(entries) - 1)) / len(entries)

    def draw(sheet: Sheet, place: Rect) -> None:
        for number, (scale, words) in enumerate(entries):
            bar = Rect(left=place.left + number * (breadth + 0.16), top=place.top, width=breadth, height=0.11)
            axes = sheet.add_axes(bar)
            axes.imshow(colours.colour_bar(scale), aspect="auto", extent=(0, 1, 0, 1), interpolation="bilinear")
            for word, x, align in zip(words, (bar.left, bar.left + breadth / 2, bar.right), _ALIGN, strict=True):
                sheet.write(word, x, bar.bottom + 0.13, size=SMALL, ha=align)
        sheet.write_lines(Lines(lines=tuple(lines), size=size, color=colours.FAINT), place.left, place.top + 0.27)

    return Part(height=0.27 + len(lines) * line_height(size), draw=draw)


def _long_poles(low: str, high: str, width: float) -> Part:
    """The same where the words do not stand side by side: a line or more for each colour, beside a swatch of it."""
    entries = [(0, wrapped(low, width - 0.16, SMALL)), (-1, wrapped(high, width - 0.16, SMALL))]
    size, note = fitted_lines(SCALED, width, (SMALL, 7.0), 1)

    def draw(sheet: Sheet, place: Rect) -> None:
        axes = sheet.add_axes(Rect(left=place.left, top=place.top, width=width, height=0.11))
        axes.imshow(colours.colour_bar("diverging"), aspect="auto", extent=(0, 1, 0, 1), interpolation="bilinear")
        top = place.top + 0.15
        for end, lines in entries:
            _swatch(sheet, place.left, top + 0.03, to_hex(colours.colour_bar("diverging")[0, end]))
            top = sheet.write_lines(Lines(lines=tuple(lines), size=SMALL), place.left + 0.16, top)
        sheet.write_lines(Lines(lines=tuple(note), size=size, color=colours.FAINT), place.left, top)

    num_lines = sum(len(lines) for _, lines in entries)
    return Part(height=0.15 + num_lines * line_height(SMALL) + len(note) * line_height(size), draw=draw)


def _shares(explanation: Explanation) -> Part:
    """Bars of what lies inside and outside the object: of the relevance, and of the picture's area."""
    entries = [("area", explanation.outside_area)]
    if wording.has_positive(explanation):
        name = "positive" if explanation.against >= MOSTLY else "relevance"
        entries.insert(0, (name, explanation.outside))

    def draw(sheet: Sheet, place: Rect) -> None:
        for number, (name, outside) in enumerate(entries):
            top = place.top + STEP * number
            sheet.write(name, place.left, top + 0.125, size=SIZE)
            bar = Rect(left=place.left + NAMES, top=top, width=place.width - NAMES, height=BAR)
            _draw_share(sheet, bar, outside)

    return Part(height=STEP * (len(entries) - 1) + BAR, draw=draw)


def _draw_share(sheet: Sheet, bar: Rect, outside: float) -> None:
    axes = sheet.add_axes(bar)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.barh([0.5], [1.0 - outside], height=1.0, color=colours.OBJECT)
    axes.barh([0.5], [outside], left=[1.0 - outside], height=1.0, color=colours.OUTSIDE)
    inside, without = f"{wording.percent(1.0 - outside)} inside", f"{wording.percent(outside)} outside"
    for text, share, x, align in ((inside, 1.0 - outside, 0.05, "left"), (without, outside, -0.05, "right")):
        if text_width(text, 7.2) + 0.1 <= share * bar.width:
            edge = bar.left if align == "left" else bar.right
            ink = colours.INK if align == "left" else "white"
            sheet.write(text, edge + x, bar.top + 0.125, size=7.2, ha=align, color=ink)


def _annotation(explanation: Explanation, width: float) -> Part:
    assert explanation.annotated is not None
    colour = {"hit": colours.HIT, "false alarm": colours.ALARM, "unlabelled": colours.FAINT}[
        explanation.annotated.verdict
    ]
    text = wording.annotation_verdict(explanation.annotated, explanation.class_name)
    lines = Lines(lines=tuple(wrapped(text, width, SIZE)), size=SIZE, color=colour)

    def draw(sheet: Sheet, place: Rect) -> None:
        sheet.write_lines(lines, place.left, place.top)

    return Part(height=lines.height, draw=draw)


def _runners_up(explanation: Explanation, width: float) -> Part:
    """The other classes for this decision, with their confidence."""
    what = f"this {wording.region(explanation)}" if explanation.missed is None else "its best box"
    title = Lines(lines=(f"Other classes of {what}",), size=SIZE, weight="bold")
    step = line_height(SMALL) + 0.075
    entries: Sequence[tuple[str, float]] = explanation.runners_up

    def draw(sheet: Sheet, place: Rect) -> None:
        top = sheet.write_lines(title, place.left, place.top) + 0.02
        for name, confidence in entries:
            number = f"{confidence:.2f}"
            size = fitted_size(name, width - text_width(number, SMALL) - GAP, SMALL, 5.5)
            sheet.write(name, place.left, top + 0.105, size=size)
            sheet.write(number, place.left + width, top + 0.105, size=SMALL, ha="right")
            _draw_confidence(sheet, Rect(left=place.left, top=top + 0.135, width=width, height=0.035), confidence)
            top += step

    return Part(height=title.height + 0.02 + len(entries) * step - 0.03, draw=draw)


def _draw_confidence(sheet: Sheet, bar: Rect, confidence: float) -> None:
    for share, colour in ((1.0, colours.EMPTY), (float(np.clip(confidence, 0.0, 1.0)), colours.OUTSIDE)):
        left, bottom, width, height = bar.within((sheet.width, sheet.height))
        patch = Rectangle((left, bottom), share * width, height, facecolor=colour, linewidth=0)
        patch.set_transform(sheet.figure.transFigure)
        sheet.figure.add_artist(patch)


def _swatch(sheet: Sheet, left: float, top: float, colour: str) -> None:
    place = Rect(left=left, top=top, width=0.09, height=0.09).within((sheet.width, sheet.height))
    patch = Rectangle(place[:2], *place[2:], facecolor=colour, linewidth=0, transform=sheet.figure.transFigure)
    sheet.figure.add_artist(patch)


def _frame(sheet: Sheet, left: float, top: float, colour: str, dashes: panels.Dashes | None) -> None:
    """A small frame as it is drawn around the object."""
    place = Rect(left=left, top=top, width=0.15, height=0.10).within((sheet.width, sheet.height))
    for line, shade in ((2.6, FRAME), (1.4, colour)):
        patch = Rectangle(
            place[:2], *place[2:], fill=False, edgecolor=shade, linewidth=line, transform=sheet.figure.transFigure
        )
        if dashes is not None and shade == colour:
            patch.set_linestyle((dashes[0], tuple(length / 2 for length in dashes[1])))
        sheet.figure.add_artist(patch)
