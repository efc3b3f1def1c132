"""The figure of one explanation: what was decided, where the relevance lies, which concepts carried it.

Rows are concepts. From left to right: the input and the decision's heatmap, the heatmaps of the single concepts,
and what each concept looks for elsewhere. All coordinates are inches from the top left corner.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from lcrp.figures import colours, facts, missed, panels, wording
from lcrp.figures.concepts import Words, draw_concept, draw_headings, fitted_words
from lcrp.figures.content import as_photographed
from lcrp.figures.facts import Part
from lcrp.figures.fonts import typesetting
from lcrp.figures.head import Head, draw_head, fitted_head
from lcrp.figures.layout import (
    NARROWEST,
    Columns,
    Heights,
    Layout,
    columns,
    figure_layout,
    is_stacked,
    spare_height,
)
from lcrp.figures.legible import legible, names_in
from lcrp.figures.measure import SLACK, fitted_size, text_width
from lcrp.figures.rect import Rect
from lcrp.figures.saving import save
from lcrp.figures.sheet import Sheet
from lcrp.figures.tags import draw_tag, fitted_tag
from lcrp.values.explanation import Explanation

HEADER = 10.5  # points
DECISION = "Input and decision"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """Everything that is written, made to fit, and where it goes."""

    layout: Layout
    head: Head
    words: Words
    below_picture: Sequence[Part]
    below_heatmap: Sequence[Part]


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
    """The figure of an explanation, not yet written; arguments as of `draw_explanation`."""
    with typesetting(names_in(explanation)):
        shown = as_photographed(legible(explanation))
        found = max((len(concept.references) for concept in shown.concepts), default=0)
        height, width = shown.mask.shape
        widths = columns(
            aspect=width / height,
            num_concepts=len(shown.concepts),
            num_references=found if num_references is None else max(found, num_references),
        )
        inset = panels.inset_for(shown.mask, shown.heatmap)
        plan = _planned(shown, widths, is_enlarged=inset is not None)
        sheet = Sheet.of_size(*plan.layout.size)
        draw_head(sheet, plan.head)
        outlined = _outlined(shown, inset)
        _draw_decision(sheet, plan, shown, outlined)
        draw_headings(sheet, plan.layout, plan.words)
        for number in range(len(shown.concepts)):
            draw_concept(sheet, plan.layout, plan.words, shown, outlined, number)
        return sheet.figure


def _outlined(shown: Explanation, inset: panels.Inset | None) -> panels.Object:
    """The object as it is outlined: by its mask where it has one, a missed one with its best box."""
    if shown.missed is None:
        side = shown.explained.read if wording.is_side(shown) else ""
        box = shown.explained.box if side or shown.explained.area is None else None  # a mask delimits it better
        return panels.Object(mask=shown.mask, box=box, inset=inset, side=side)
    miss, best = shown.missed.miss, shown.missed.box
    others = [best, *([] if miss.neighbour is None else [miss.neighbour.box])]
    dashes = [dash for _, dash in missed.outlines(shown.missed)]
    return panels.Object(mask=shown.mask, box=miss.box, inset=inset, beside=tuple(zip(others, dashes, strict=True)))


def _planned(explanation: Explanation, widths: Columns, *, is_enlarged: bool) -> _Plan:
    words = fitted_words(explanation, widths)
    below_picture = facts.parts_below_picture(explanation, widths.left, is_enlarged=is_enlarged)
    below_heatmap = facts.parts_below_heatmap(explanation, widths.left)
    others = facts.others_part(explanation, widths.left)
    heights = Heights(
        heading=words.heading_height,
        title=words.title_height,
        caption=words.caption_height,
        below_picture=[part.height for part in [*below_picture, *others]],
        below_heatmap=[part.height for part in below_heatmap],
    )
    stacked = is_stacked(widths, heights)
    if stacked and others:
        larger = facts.others_part(explanation, widths.left, is_large=True)
        if larger[0].height - others[0].height <= spare_height(widths, heights):
            others = larger
            heights = replace(heights, below_picture=[part.height for part in [*below_picture, *others]])
    if not stacked:  # the shorter column takes the others
        heights = replace(
            heights,
            below_picture=[part.height for part in below_picture],
            below_heatmap=[part.height for part in [*below_heatmap, *others]],
        )
    head = fitted_head(
        wording.headline(explanation)[0],
        wording.source(explanation),
        widths.width(heights.caption, stacked=stacked),
        aside=wording.headline(explanation)[1],
        note=wording.layer_note(explanation),
        note_color=colours.ALARM if wording.is_doubtful(explanation) else colours.INK,
    )
    return _Plan(
        layout=figure_layout(widths, heights, head=head.height, stacked=stacked),
        head=head,
        words=words,
        below_picture=[*below_picture, *others] if stacked else below_picture,
        below_heatmap=below_heatmap if stacked else [*below_heatmap, *others],
    )


def _draw_decision(sheet: Sheet, plan: _Plan, explanation: Explanation, shown: panels.Object) -> None:
    layout, picture = plan.layout, explanation.picture
    if shown.box is None:
        picture = colours.tinted(picture, shown.mask)
    panels.draw_panel(sheet, layout.picture, picture, shown, outline=1.8)
    avoided = None if shown.inset is None else panels.inset_place(shown.inset, layout.picture)
    heading = SLACK * text_width(DECISION, HEADER, "bold")
    tag = fitted_tag(wording.tag(explanation), shown.mask, layout.picture, avoided, heading)
    draw_tag(sheet, tag)
    if tag.leaves_heading:
        _header(sheet, DECISION, layout.picture)
    ground = colours.overlay(
        explanation.picture, explanation.heatmap, colours.shading(explanation.heatmap, "diverging")
    )
    panels.draw_panel(sheet, layout.heatmap, ground, shown, outline=1.0)
    _header(sheet, "Where the relevance lies", layout.heatmap)
    for part, place in zip(plan.below_picture, layout.below_picture, strict=True):
        part.draw(sheet, place)
    for part, place in zip(plan.below_heatmap, layout.below_heatmap, strict=True):
        part.draw(sheet, place)


def _header(sheet: Sheet, text: str, below: Rect) -> None:
    size = fitted_size(text, max(below.width, NARROWEST), HEADER, 7.0, "bold")
    sheet.write(text, below.left, below.top - 0.09, size=size, weight="bold")
