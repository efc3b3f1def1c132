"""The rows of a figure: a concept's heatmap, and what it looks for elsewhere."""

from dataclasses import dataclass

from lcrp.figures import colours, crops, missed, panels, wording
from lcrp.figures.layout import NARROWEST, Columns, Layout
from lcrp.figures.measure import SLACK, fitted_lines, fitted_size, line_height, shortened, text_width, wrapped
from lcrp.figures.rect import Rect
from lcrp.figures.sheet import APPEND_GAP, Lines, Sheet
from lcrp.figures.tags import draw_plate
from lcrp.values.explanation import ConceptExplanation, Explanation, Reference

HEADING = 10.5  # points
NOTE = 8.0
NAME, PART_SIZES = 10.5, (9.5, 9.0, 8.5)
CAPTION_SIZES = (7.5, 7.0, 6.5)
MOST_CAPTION_LINES = 3
GAP = 0.07
HEADING_OFFSET = 0.065  # inches: puts headings on the baseline of those of the left column
THIS = "this picture"


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What is written in and above the rows, made to fit.

    Attributes:
        headings: above the heatmaps, and above the crops.
        title_lines: lines of a row's title: the part in the decision goes below the name where it has no room beside.
        part_size: size of that part, in points.
        captions: by concept and reference.
        caption_size: in points.
    """

    headings: tuple[tuple[Lines, ...], tuple[Lines, ...]]
    title_lines: int
    part_size: float
    captions: tuple[tuple[tuple[str, ...], ...], ...]
    caption_size: float

    @property
    def heading_height(self) -> float:
        """Inches that the headings take."""
        return HEADING_OFFSET + max(sum(lines.height for lines in heading) for heading in self.headings) + GAP

    @property
    def title_height(self) -> float:
        """Inches that a row's title takes."""
        return line_height(NAME) + (self.title_lines - 1) * line_height(self.part_size) + GAP

    @property
    def caption_height(self) -> float:
        """Inches that a caption takes."""
        most = max((len(lines) for row in self.captions for lines in row), default=1)
        return 0.05 + most * line_height(self.caption_size)


def fitted_words(explanation: Explanation, widths: Columns) -> Words:
    """The words of all rows for columns of the given widths."""
    size, captions = _captions(explanation, widths.cell)
    draft = Words(headings=((), ()), title_lines=1, part_size=PART_SIZES[0], captions=captions, caption_size=size)
    caption = draft.caption_height
    title_lines, part_size = _title_lines(explanation, widths.row_width(caption))
    return Words(
        headings=_headings(explanation, max(NARROWEST, widths.panel(caption)[0]), widths.grid_width),
        title_lines=title_lines,
        part_size=part_size,
        captions=captions,
        caption_size=size,
    )


def draw_headings(sheet: Sheet, layout: Layout, words: Words) -> None:
    """Say what the columns on the right are."""
    for place, heading in zip((layout.concepts_heading, layout.references_heading), words.headings, strict=True):
        if place is None or not layout.rows:
            continue
        top = place.top + HEADING_OFFSET
        for lines in heading:
            top = sheet.write_lines(lines, place.left, top)


def draw_concept(
    sheet: Sheet, layout: Layout, words: Words, explanation: Explanation, shown: panels.Object, number: int
) -> None:
    """Draw the row of a concept."""
    concept, row = explanation.concepts[number], layout.rows[number]
    _write_title(sheet, row.title, words, concept, explanation)
    scale: colours.Scale = "sequential" if explanation.mode == "activation" else "diverging"
    ground = colours.overlay(explanation.picture, concept.heatmap, colours.shading(concept.heatmap, scale))
    panels.draw_panel(sheet, row.panel, ground, shown, outline=0.9)
    for reference, lines, cell in zip(concept.references, words.captions[number], row.cells, strict=False):
        _draw_reference(sheet, reference, Lines(lines=lines, size=words.caption_size), cell)
    _note_missing(sheet, row.cells, concept)


def _write_title(
    sheet: Sheet, place: Rect, words: Words, concept: ConceptExplanation, explanation: Explanation
) -> None:
    name, part = _title(concept, explanation)
    baseline = place.top + 0.8 * line_height(NAME)
    if words.title_lines > 1:
        name = shortened(name, place.width, NAME, "bold")
    written = sheet.write(name, place.left, baseline, size=NAME, weight="bold")
    if words.title_lines == 1:
        sheet.append(written, part, size=words.part_size)
        return
    lines = wrapped(part, place.width, words.part_size)
    sheet.write_lines(Lines(lines=tuple(lines), size=words.part_size), place.left, place.top + line_height(NAME))


def _title(concept: ConceptExplanation, explanation: Explanation) -> tuple[str, str]:
    if explanation.missed is not None:
        return missed.concept_title(concept, explanation.class_name)
    region, poles = wording.region(explanation), wording.contrasted(explanation)
    return wording.concept_title(concept, explanation.mode, region, explanation.geometry, poles)


def _title_lines(explanation: Explanation, width: float) -> tuple[int, float]:
    """Lines of a row's title, and the size of what follows the name."""
    titles = [_title(concept, explanation) for concept in explanation.concepts]
    for size in PART_SIZES:
        widths = (text_width(name, NAME, "bold") + text_width(part, size) for name, part in titles)
        if all(SLACK * needed + APPEND_GAP <= width for needed in widths):
            return 1, size
    size = PART_SIZES[-1]
    return 1 + max((len(wrapped(part, width, size)) for _, part in titles), default=0), size


def _headings(explanation: Explanation, panel: float, grid: float) -> tuple[tuple[Lines, ...], tuple[Lines, ...]]:
    rows, references, told = _heading_words(explanation)
    heading = _heading(rows, panel)
    if any("…" in line for line in heading.lines):  # rows name the classes, too
        heading = _heading(wording.concepts_heading(explanation.mode, explanation.concepts), panel)
    concepts = (heading,)
    if not grid:
        return concepts, ()
    note = Lines(lines=tuple(wrapped(told, grid, NOTE)), size=NOTE, color=colours.FAINT)
    return concepts, (_heading(references, grid), note)


def _heading_words(explanation: Explanation) -> tuple[str, str, str]:
    """What the rows are, what the crops are, and how to read these."""
    if explanation.missed is not None:
        name = explanation.class_name
        rows = missed.concepts_heading(explanation.concepts, name)
        return rows, missed.references_heading(name), missed.references_note()
    poles = wording.contrasted(explanation)
    rows = wording.concepts_heading(explanation.mode, explanation.concepts, poles)
    return rows, wording.references_heading(), wording.references_note(explanation.mode)


def _heading(text: str, width: float) -> Lines:
    size, lines = fitted_lines(text, width, (HEADING, 10.0, 9.5), 2, "bold")
    return Lines(lines=tuple(lines), size=size, weight="bold")


def _captions(explanation: Explanation, width: float) -> tuple[float, tuple[tuple[tuple[str, ...], ...], ...]]:
    """Size and lines of all captions: the largest size at which each has at most three lines."""
    for size in CAPTION_SIZES:
        captions = tuple(
            tuple(_caption(reference, width, size) for reference in concept.references)
            for concept in explanation.concepts
        )
        if all(len(lines) <= MOST_CAPTION_LINES for row in captions for lines in row):
            return size, captions
    return CAPTION_SIZES[-1], tuple(
        tuple(_cut(reference, lines, width) for reference, lines in zip(concept.references, row, strict=True))
        for concept, row in zip(explanation.concepts, captions, strict=True)
    )


def _caption(reference: Reference, width: float, size: float) -> tuple[str, ...]:
    """Class and share of a reference; the share stands beside the end of the name, or below it."""
    share = wording.share_text(reference.score)
    if not reference.class_name:
        return (share,)
    *first, last = wrapped(reference.class_name, width, size)
    if SLACK * text_width(f"{last}  {share}", size) <= width:
        return (*first, f"{last}  {share}")
    return (*first, last, share)


def _cut(reference: Reference, lines: tuple[str, ...], width: float) -> tuple[str, ...]:
    if len(lines) <= MOST_CAPTION_LINES:
        return lines
    _, kept = fitted_lines(reference.class_name, width, CAPTION_SIZES[-1:], MOST_CAPTION_LINES - 1)
    return (*kept, lines[-1])


def _draw_reference(sheet: Sheet, reference: Reference, caption: Lines, cell: Rect) -> None:
    panels.draw_crop(sheet, cell, crops.reference_crop(reference.picture, reference.heatmap))
    if reference.is_explained_picture:
        size = fitted_size(THIS, cell.width - 0.1, 7.0, 5.0, "bold")
        plate = Rect(left=cell.left, top=cell.top, width=SLACK * text_width(THIS, size, "bold") + 0.08, height=0.15)
        draw_plate(sheet, plate)
        sheet.write(THIS, cell.left + 0.04, cell.top + 0.105, size=size, weight="bold").set_zorder(7)
    sheet.write_lines(caption, cell.left + cell.width / 2, cell.bottom + 0.02, ha="center")


def _note_missing(sheet: Sheet, cells: tuple[Rect, ...], concept: ConceptExplanation) -> None:
    found = len(concept.references)
    note = wording.missing_note(found, len(cells), concept.lost)
    if not note:
        return
    for gap in _gaps(cells, found):
        axes = sheet.add_axes(gap)
        axes.set_facecolor(colours.EMPTY)
        for spine in axes.spines.values():
            spine.set_visible(False)
    size, lines = fitted_lines(note, gap.width - 0.06, (8.0, 7.0, 6.0), 4)
    words = Lines(lines=tuple(lines), size=size, color=colours.FAINT)
    sheet.write_lines(words, (gap.left + gap.right) / 2, (gap.top + gap.bottom - words.height) / 2, ha="center")


def _gaps(cells: tuple[Rect, ...], filled: int) -> list[Rect]:
    """The empty part of a grid: one area if nothing is filled, else the rest of every line."""
    empty = cells[filled:]
    tops = sorted({cell.top for cell in empty})
    lines = [[cell for cell in empty if cell.top == top] for top in tops] if filled else [list(empty)]
    return [
        Rect(
            left=min(cell.left for cell in line),
            top=line[0].top,
            width=max(cell.right for cell in line) - min(cell.left for cell in line),
            height=max(cell.bottom for cell in line) - line[0].top,
        )
        for line in lines
    ]
