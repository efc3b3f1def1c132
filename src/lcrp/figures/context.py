"""Figures of how much classes and concepts lean on their context.

Coordinates of the concepts' figure are inches from the top left corner.
"""

from collections.abc import Sequence
from math import ceil
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lcrp.figures import colours, crops, panels, wording
from lcrp.figures.content import in_proportion
from lcrp.figures.head import add_head, draw_head, fitted_head
from lcrp.figures.legible import shown_name
from lcrp.figures.measure import fitted_size, wrapped
from lcrp.figures.rect import Rect
from lcrp.figures.saving import save
from lcrp.figures.sheet import EDGE, Sheet
from lcrp.values.context import ContextClass, ContextCloud, ContextConcept, ContextReference

GAP = 0.10  # inches
TITLE, CAPTION = 0.30, 0.22
PANEL = 1.45
SURROUNDINGS = 1.25  # shown of a picture, in units of what object and relevance take
NARROWEST = 7.0
LEGEND = 1.3  # beside the clouds
CONTEXT_SCORE = 0.5  # share of a concept's relevance outside the object from which on it looks at the context
LOOKS = f"at least {100 * CONTEXT_SCORE:.0f} % of its relevance lies outside the object"
COLOURS = "red: relevance for the decision, blue: against it, yellow: the object's outline"
MOST_COLOURS = 10  # classes told apart by colour
MOST_CLASSES = 30  # with a bar of their own


def draw_clouds(clouds: Sequence[ContextCloud], title: str, path: Path) -> None:
    """Draw context scores against sensitivities, one panel per layer."""
    names = [name for cloud in clouds for name in (cloud.layer, *cloud.class_names)]
    save(lambda: clouds_figure(clouds, title), [path], names=[title, *names])


def draw_classes(classes: Sequence[ContextClass], title: str, path: Path) -> None:
    """Draw, per class, the share of relevance outside the object beside the share of the area."""
    save(lambda: classes_figure(classes, title), [path], names=[title, *(one.name for one in classes)])


def draw_concepts(concepts: Sequence[ContextConcept], title: str, path: Path) -> None:
    """Draw concepts, one row each, with their reference samples and where they sit in these."""
    save(lambda: concepts_figure(concepts, title), [path], names=[title, *(one.class_name for one in concepts)])


def clouds_figure(clouds: Sequence[ContextCloud], title: str) -> Figure:
    """Context scores against sensitivities, one panel per layer."""
    columns = min(3, len(clouds))
    rows = ceil(len(clouds) / columns)
    width = max(NARROWEST, 3.9 * columns + LEGEND)
    sheet = Sheet.of_size(width, rows * ((width - LEGEND) / columns + 0.2) + 0.9, layout="constrained")
    add_head(sheet, "Do concepts that look at the context change with it?", title)
    names = list(dict.fromkeys(sorted(name for cloud in clouds for name in cloud.class_names)))
    panels_drawn = [sheet.figure.add_subplot(rows, columns, number + 1) for number in range(len(clouds))]
    for axes, cloud in zip(panels_drawn, clouds, strict=True):
        _draw_cloud(axes, cloud, names)
    if 1 < len(names) <= MOST_COLOURS:
        marks, labels = panels_drawn[0].get_legend_handles_labels()
        last = panels_drawn[columns - 1]
        last.legend(
            marks, labels, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8, handletextpad=0.2
        )
    return sheet.figure


def classes_figure(classes: Sequence[ContextClass], title: str) -> Figure:
    """Per class, the share of relevance outside the object beside the share of the area."""
    shown = classes[:MOST_CLASSES]
    sheet = Sheet.of_size(NARROWEST, 2.3 + 0.30 * len(shown), layout="constrained")
    left_out = f" · the first {len(shown)} of {len(classes)} classes" if len(shown) < len(classes) else ""
    add_head(sheet, "How much of the relevance lies outside the object", f"{title}{left_out}")
    axes = sheet.figure.add_subplot()
    places = np.arange(len(shown))
    value = np.array([one.outside for one in shown])
    axes.barh(places, value, height=0.62, color=colours.OBJECT, label="relevance outside the object")
    _draw_intervals(axes, shown, value, places)
    area = [one.area for one in shown]
    axes.plot(
        area,
        places,
        "|",
        color=colours.OUTSIDE,
        markersize=13,
        markeredgewidth=2.4,
        label="the picture's area outside it",
    )
    axes.set_yticks(places, [shown_name(one.name) for one in shown], fontsize=8.5)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("share outside the object (whiskers: 95 % interval over pictures)", fontsize=8.5)
    axes.tick_params(labelsize=8.5)
    axes.spines[["top", "right"]].set_visible(False)
    handles, labels = axes.get_legend_handles_labels()  # the bars come last
    sheet.figure.legend(handles[::-1], labels[::-1], loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return sheet.figure


def concepts_figure(concepts: Sequence[ContextConcept], title: str) -> Figure:
    """Concepts, one row each, with their reference samples and where they sit in these."""
    most = max((len(concept.references) for concept in concepts), default=0)
    width = max(NARROWEST, 2 * EDGE + most * PANEL + max(0, most - 1) * GAP)
    head = fitted_head(
        looking_outside(concepts), title, width, note=f"a concept looks at the context if {LOOKS}; {COLOURS}"
    )
    row_height = TITLE + PANEL + CAPTION
    sheet = Sheet.of_size(width, head.height + len(concepts) * row_height + EDGE)
    draw_head(sheet, head)
    for number, concept in enumerate(concepts):
        top = head.height + number * row_height
        heading = (
            f"{shown_name(concept.class_name)} · concept {concept.concept} — {wording.percent(concept.context)} of its "
            f"relevance lies outside the object · {wording.share_text(concept.relevance)} of the class's relevance"
        )
        size = fitted_size(heading, width - 2 * EDGE, 9.5, 6.0)
        sheet.write(heading, EDGE, top + TITLE - 0.08, size=size)
        for place, reference in enumerate(concept.references):
            left = EDGE + place * (PANEL + GAP)
            _draw_reference(sheet, reference, Rect(left=left, top=top + TITLE, width=PANEL, height=PANEL))
    return sheet.figure


def looking_outside(concepts: Sequence[ContextConcept]) -> str:
    """How many of the concepts look at the context, in words; they are those that do so most."""
    looking = sum(concept.context >= CONTEXT_SCORE for concept in concepts)
    if looking == len(concepts):
        return "Concepts that look at the context"
    if looking:
        return f"{looking} of these {len(concepts)} concepts {'looks' if looking == 1 else 'look'} at the context"
    return "No concept looks at the context; these do so most"


def _draw_intervals(
    axes: Axes, classes: Sequence[ContextClass], value: npt.NDArray[np.float64], places: npt.NDArray[np.intp]
) -> None:
    """Intervals with caps; a hollow mark where none is known: no line would say that it is certain."""
    ends = np.array([[one.outside - one.low, one.high - one.outside] for one in classes]).T  # [2, K]
    known = ~np.isnan(ends).any(axis=0)
    bounds = np.maximum(ends[:, known], 0.0)
    axes.errorbar(value[known], places[known], xerr=bounds, fmt="none", ecolor=colours.INK, elinewidth=1.0, capsize=2.5)
    if not known.all():
        axes.plot(
            value[~known],
            places[~known],
            "o",
            markerfacecolor="white",
            markeredgecolor=colours.INK,
            markersize=5.0,
            label="interval unknown (too few pictures)",
        )


def _draw_cloud(axes: Axes, cloud: ContextCloud, names: Sequence[str]) -> None:
    axes.plot([0, 1], [0, 1], color=colours.OUTSIDE, linewidth=0.8, zorder=0)
    palette = colormaps["tab10"]
    owner = np.array(cloud.class_names)
    if len(names) <= MOST_COLOURS:
        for number, name in enumerate(names):
            rows = owner == name
            colour = palette(number)
            points = cloud.context[rows], cloud.sensitivity[rows]
            axes.scatter(*points, s=14, color=colour, alpha=0.75, lw=0, label=shown_name(name))
    else:
        axes.scatter(cloud.context, cloud.sensitivity, s=10, color=palette(0), alpha=0.5, lw=0)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_aspect("equal")
    axes.set_xlabel("context score", fontsize=9)
    axes.set_ylabel("change by replaced backgrounds", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    layer = wrapped(cloud.layer, 3.0, 8.5)
    axes.set_title("\n".join([*layer, cloud.note]), fontsize=8.5)


def _draw_reference(sheet: Sheet, reference: ContextReference, cell: Rect) -> None:
    """The part of a picture that holds the object and the concept's relevance."""
    picture, heatmap, mask = (
        in_proportion(one, reference.pixel_aspect)
        for one in (reference.picture, reference.heatmap, reference.mask.astype(np.float64))
    )
    is_object = mask > 0
    visibility = crops.relative_visibility(heatmap)
    seen = is_object if visibility is None else is_object | (visibility > crops.VISIBLE)
    top, left, bottom, right = crops.square_window(
        crops.bounding_window(seen), seen.shape, min_side=min(seen.shape) // 4, context=SURROUNDINGS
    )
    window = slice(top, bottom), slice(left, right)
    scale = min(cell.width / (right - left), cell.height / (bottom - top))
    place = Rect(left=cell.left, top=cell.top, width=(right - left) * scale, height=(bottom - top) * scale)
    ground = colours.overlay(picture, heatmap, colours.shading(heatmap, "diverging"))
    shown = panels.Object(mask=is_object[window], box=None, inset=None)
    panels.draw_panel(sheet, place, ground[window], shown, outline=0.7)
    text = "no relevance" if np.isnan(reference.outside) else f"{wording.percent(reference.outside)} outside"
    sheet.write(text, cell.left, cell.bottom + CAPTION - 0.08, size=7.5, color=colours.FAINT)
