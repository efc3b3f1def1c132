"""The figure of one explanation: what was decided, where the relevance lies, which concepts carried it.

Rows are concepts. From left to right: the input and the decision's heatmap, the heatmaps of the single concepts,
and what each concept looks for elsewhere. All coordinates are inches from the top left corner.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text

from lcrp.figures import colours, crops, panels, wording
from lcrp.figures.content import without_padding
from lcrp.figures.layout import CAPTION, NARROWEST, Layout, Rect, Row, figure_layout
from lcrp.figures.saving import save
from lcrp.values.explanation import ConceptExplanation, Explanation, Reference

_ALIGN = ("left", "center", "right")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Canvas:
    figure: Figure
    layout: Layout
    explanation: Explanation
    shown: panels.Object


def draw_explanation(
    explanation: Explanation, paths: Sequence[Path], *, num_references: int | None = None, dpi: int = 200
) -> None:
    """Draw an explanation and write it in the format of each path's suffix.

    Args:
        explanation: what is drawn; padding around its `content` is cut away.
        paths: files to write: .png, .svg or .pdf.
        num_references: reference samples that were asked for per concept; a note tells where fewer were found.
            None takes the most that any concept has.
        dpi: pixels per inch of a PNG.

    Raises:
        ConfigError: if a suffix is none of these.
    """
    save(partial(explanation_figure, explanation, num_references=num_references), paths, dpi=dpi)


def explanation_figure(explanation: Explanation, *, num_references: int | None = None) -> Figure:
    """The figure of an explanation, not yet written."""
    explanation = without_padding(explanation)
    found = max((len(concept.references) for concept in explanation.concepts), default=0)
    height, width = explanation.mask.shape
    layout = figure_layout(
        aspect=width / height,
        num_concepts=len(explanation.concepts),
        num_references=found if num_references is None else max(found, num_references),
    )
    figure = Figure(figsize=layout.size)
    FigureCanvasAgg(figure)
    inset = panels.inset_for(explanation.mask, explanation.heatmap)
    shown = panels.Object(mask=explanation.mask, box=explanation.explained.box, inset=inset)
    canvas = _Canvas(figure=figure, layout=layout, explanation=explanation, shown=shown)
    _draw_band(canvas)
    _draw_decision(canvas)
    _draw_bars(canvas)
    _draw_shares(canvas)
    for concept, row in zip(explanation.concepts, layout.rows, strict=True):
        _draw_concept(canvas, concept, row)
    _note_references(canvas)
    return figure


def _draw_band(canvas: _Canvas) -> None:
    band = canvas.layout.band
    first, second = wording.headline(canvas.explanation)
    one_line = f"{first} {second}".strip()
    size = wording.fitted_size(one_line, band.width, 15.0, 11.5, "bold")
    if wording.text_width(one_line, size, "bold") <= band.width:
        written = _write(canvas, first, band.left, 0.36, size=size, weight="bold")
        _append(canvas, written, second, size=size, color=colours.FAINT)
    else:
        size = wording.fitted_size(first, band.width, 13.0, 8.0, "bold")
        _write(canvas, wording.shortened(first, band.width, size, "bold"), band.left, 0.30, size=size, weight="bold")
        size = wording.fitted_size(second, band.width, size, 7.0)
        _write(canvas, second, band.left, 0.50, size=size, color=colours.FAINT)
    small = wording.subtitle(canvas.explanation)
    size = wording.fitted_size(small, band.width, 8.5, 7.0)
    small = wording.shortened(small, band.width, size)
    _write(canvas, small, band.left, band.height - 0.16, size=size, color=colours.FAINT)


def _draw_decision(canvas: _Canvas) -> None:
    explanation, layout, shown = canvas.explanation, canvas.layout, canvas.shown
    picture = explanation.picture
    if shown.box is None:
        picture = colours.tinted(picture, shown.mask)
    axes = panels.draw_panel(canvas.figure, layout.picture, picture, shown, outline=1.8)
    panels.draw_tag(axes, wording.label(explanation), shown, layout.picture)
    _header(canvas, "Input and decision", layout.picture)
    shade = colours.shading(explanation.heatmap, "diverging")
    ground = colours.overlay(explanation.picture, explanation.heatmap, shade)
    panels.draw_panel(canvas.figure, layout.heatmap, ground, shown, outline=1.0)
    _header(canvas, "Where the relevance lies", layout.heatmap)


def _draw_bars(canvas: _Canvas) -> None:
    place = canvas.layout.bars
    entries: list[tuple[colours.Scale, tuple[str, str, str]]] = [("diverging", ("against", "relevance", "for"))]
    if canvas.explanation.mode == "activation":
        entries.append(("sequential", ("0", "activation", "high")))
    width = (place.width - 0.16 * (len(entries) - 1)) / len(entries)
    for number, (scale, words) in enumerate(entries):
        bar = Rect(left=place.left + number * (width + 0.16), top=place.top + 0.12, width=width, height=0.11)
        axes = panels.add_axes(canvas.figure, bar)
        axes.imshow(colours.colour_bar(scale), aspect="auto", extent=(0, 1, 0, 1), interpolation="bilinear")
        for word, x, align in zip(words, (bar.left, bar.left + width / 2, bar.right), _ALIGN, strict=True):
            _write(canvas, word, x, bar.bottom + 0.13, size=7.5, ha=align, color=colours.INK)
    if place.height > 0.5:
        note = "each map is scaled by its own largest values"
        size = wording.fitted_size(note, place.width, 6.5, 5.0)
        _write(
            canvas, note, place.left + place.width / 2, place.top + 0.49, size=size, ha="center", color=colours.FAINT
        )


def _draw_shares(canvas: _Canvas) -> None:
    explanation, place = canvas.explanation, canvas.layout.shares
    entries = [("area", explanation.outside_area)]
    if wording.has_positive(explanation):
        entries.insert(0, ("relevance", explanation.outside))
    names = 0.68
    for number, (name, outside) in enumerate(entries):
        top = place.top + 0.12 + 0.21 * number
        _write(canvas, name, place.left, top + 0.125, size=7.5)
        bar = Rect(left=place.left + names, top=top, width=place.width - names, height=0.17)
        axes = panels.add_axes(canvas.figure, bar)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.barh([0.5], [1.0 - outside], height=1.0, color=colours.OBJECT)
        axes.barh([0.5], [outside], left=[1.0 - outside], height=1.0, color=colours.OUTSIDE)
        inside, without = f"{wording.percent(1.0 - outside)} inside", f"{wording.percent(outside)} outside"
        for text, share, x, align in ((inside, 1.0 - outside, 0.05, "left"), (without, outside, -0.05, "right")):
            if wording.text_width(text, 6.8) + 0.1 <= share * bar.width:
                edge = bar.left if align == "left" else bar.right
                ink = colours.INK if align == "left" else "white"
                _write(canvas, text, edge + x, top + 0.125, size=6.8, ha=align, color=ink)


def _draw_concept(canvas: _Canvas, concept: ConceptExplanation, row: Row) -> None:
    explanation = canvas.explanation
    scale: colours.Scale = "sequential" if explanation.mode == "activation" else "diverging"
    name, part = wording.concept_title(concept, explanation.mode)
    baseline = row.title.bottom - 0.09
    written = _write(canvas, name, row.title.left, baseline, size=10.5, weight="bold")
    room = row.title.width - wording.text_width(name, 10.5, "bold") - 0.15
    _append(canvas, written, part, size=wording.fitted_size(part, room, 10.0, 6.5))
    ground = colours.overlay(explanation.picture, concept.heatmap, colours.shading(concept.heatmap, scale))
    panels.draw_panel(canvas.figure, row.panel, ground, canvas.shown, outline=0.9)
    for reference, cell in zip(concept.references, row.cells, strict=False):
        _draw_reference(canvas, reference, cell)
    _note_missing(canvas, concept, row)


def _draw_reference(canvas: _Canvas, reference: Reference, cell: Rect) -> None:
    panels.draw_crop(canvas.figure, cell, crops.reference_crop(reference.picture, reference.heatmap))
    size = 7.0 if cell.width > 0.8 else 6.0
    text = wording.captioned(reference.class_name, wording.share_text(reference.score), cell.width, size)
    _write(canvas, text, cell.left + cell.width / 2, cell.bottom + CAPTION - 0.05, size=size, ha="center")


def _note_missing(canvas: _Canvas, concept: ConceptExplanation, row: Row) -> None:
    note = wording.missing_note(len(concept.references), len(row.cells))
    if not note:
        return
    for gap in _gaps(row.cells, len(concept.references)):
        axes = panels.add_axes(canvas.figure, gap)
        axes.set_facecolor(colours.EMPTY)
        for spine in axes.spines.values():
            spine.set_visible(False)
    size = wording.fitted_size(note, gap.width - 0.06, 8.0, 5.0)
    middle = (gap.top + gap.bottom) / 2 + 0.04
    _write(canvas, note, (gap.left + gap.right) / 2, middle, size=size, ha="center", color=colours.FAINT)


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


def _note_references(canvas: _Canvas) -> None:
    """Say what the reference crops are, above the first grid, if there is room beside the concept's title."""
    row = next((row for row in canvas.layout.rows if row.cells), None)
    if row is None:
        return
    title = " ".join(wording.concept_title(canvas.explanation.concepts[0], canvas.explanation.mode))
    room = row.title.right - row.title.left - wording.text_width(title, 10.5, "bold") - 0.3
    note = wording.references_note(canvas.explanation.mode)
    size = wording.fitted_size(note, room, 8.0, 6.0)
    if wording.text_width(note, size) <= room:
        _write(canvas, note, row.title.right, row.title.bottom - 0.09, size=size, ha="right", color=colours.FAINT)


def _header(canvas: _Canvas, text: str, below: Rect) -> None:
    size = wording.fitted_size(text, max(below.width, NARROWEST), 10.5, 7.0, "bold")
    _write(canvas, text, below.left, below.top - 0.09, size=size, weight="bold")


def _write(
    canvas: _Canvas,
    text: str,
    left: float,
    baseline: float,
    *,
    size: float,
    weight: str = "normal",
    color: str = colours.INK,
    ha: str = "left",
) -> Text:
    width, height = canvas.layout.size
    return canvas.figure.text(
        left / width, 1.0 - baseline / height, text, fontsize=size, weight=weight, color=color, ha=ha, va="baseline"
    )


def _append(canvas: _Canvas, before: Text, text: str, *, size: float, color: str = colours.INK) -> None:
    """Write on, on the same baseline, wherever the text before ends when it is drawn."""
    after = Annotation(
        text,
        xy=(1.0, before.get_position()[1]),
        xycoords=(before, "figure fraction"),
        xytext=(0.75 * size, 0.0),
        textcoords="offset points",
        fontsize=size,
        color=color,
        va="baseline",
        annotation_clip=False,
    )
    canvas.figure.add_artist(after)
