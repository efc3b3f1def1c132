"""The head of every figure: a statement in bold, what qualifies it, and where it comes from."""

from dataclasses import dataclass, replace

from matplotlib.layout_engine import ConstrainedLayoutEngine

from lcrp.figures import colours
from lcrp.figures.measure import SLACK, balanced, fitted_lines, line_height, text_width
from lcrp.figures.sheet import APPEND_GAP, EDGE, Lines, Sheet

STATEMENT_SIZES = (15.0, 14.0, 13.0, 12.0)  # points; smaller before a second line is begun
NOTE_SIZES = (10.0, 9.5, 9.0, 8.5)
SOURCE_SIZES = (8.5, 8.0, 7.5)
MOST_LINES = 6
GAP = 0.06  # inches between the parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The lines of a head, made to fit a width.

    Attributes:
        parts: what stands below each other.
        aside: what follows on the line of the statement; empty if it has a line of its own.
    """

    parts: tuple[Lines, ...]
    aside: str = ""

    @property
    def height(self) -> float:
        """Inches from the figure's upper edge to the end of the head."""
        return EDGE + sum(part.height + GAP for part in self.parts)


def fitted_head(
    statement: str, source: str, width: float, *, aside: str = "", note: str = "", note_color: str = colours.INK
) -> Head:
    """A head that fits a figure of the given width in inches; no word of the statement is lost.

    Args:
        statement: in bold.
        source: where the figure comes from, small and last.
        width: of the figure.
        aside: what to compare the statement with.
        note: a sentence of its own.
        note_color: of the note.
    """
    room = width - 2 * EDGE
    for size in STATEMENT_SIZES:
        needed = text_width(statement, size, "bold") + (APPEND_GAP + text_width(aside, size) if aside else 0.0)
        if SLACK * needed <= room:
            first = [Lines(lines=(statement,), size=size, weight="bold")]
            break
    else:
        lines = _fitted(statement, room, STATEMENT_SIZES[-2:], weight="bold")
        first = [replace(lines, lines=tuple(balanced(lines.lines, statement, room, lines.size, "bold")))]
        if aside:
            first.append(_fitted(aside, room, NOTE_SIZES, color=colours.FAINT))
            aside = ""
    parts = [*first, _fitted(note, room, NOTE_SIZES, color=note_color)] if note else first
    if source:
        parts.append(_fitted(source, room, SOURCE_SIZES, color=colours.FAINT))
    return Head(parts=tuple(parts), aside=aside)


def draw_head(sheet: Sheet, head: Head) -> None:
    """Write a head along the upper edge of a figure."""
    top = EDGE * 0.75
    for number, part in enumerate(head.parts):
        if number == 0 and head.aside:
            baseline = top + 0.8 * line_height(part.size)
            first = sheet.write(part.lines[0], EDGE, baseline, size=part.size, weight=part.weight)
            sheet.append(first, head.aside, size=part.size, color=colours.FAINT)
            top += part.height + GAP
        else:
            top = sheet.write_lines(part, EDGE, top) + GAP


def add_head(sheet: Sheet, statement: str, source: str) -> None:
    """Put a head on a figure whose layout engine places the rest below it."""
    head = fitted_head(statement, source, sheet.width)
    draw_head(sheet, head)
    engine = sheet.figure.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine)
    edge = EDGE / sheet.width
    engine.set(rect=(edge, 0.0, 1.0 - 2 * edge, 1.0 - head.height / sheet.height))


def _fitted(
    text: str, width: float, sizes: tuple[float, ...], *, weight: str = "normal", color: str = colours.INK
) -> Lines:
    """One line if a size permits it, else as many as are needed at the smallest."""
    size, lines = fitted_lines(text, width, sizes, 1, weight)
    if "".join(lines) != text:
        size, lines = fitted_lines(text, width, sizes[-1:], MOST_LINES, weight)
    return Lines(lines=tuple(lines), size=size, weight=weight, color=color)
