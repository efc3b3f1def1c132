"""Figures of how much classes and concepts lean on their context.

Coordinates of the concepts' figure are inches from the top left corner.
"""

from collections.abc import Sequence
from math import ceil
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lcrp.figures import colours, crops, panels, wording
from lcrp.figures.layout import Rect
from lcrp.figures.saving import save
from lcrp.values.context import ContextClass, ContextCloud, ContextConcept, ContextReference

MARGIN, GAP = 0.25, 0.10  # inches
BAND, TITLE, CAPTION = 0.62, 0.30, 0.22
PANEL = 1.45
SURROUNDINGS = 1.25  # shown of a picture, in units of what object and relevance take
NARROWEST = 7.0
MOST_COLOURS = 10  # classes told apart by colour
MOST_CLASSES = 30  # with a bar of their own


def draw_clouds(clouds: Sequence[ContextCloud], title: str, path: Path) -> None:
    """Draw context scores against sensitivities, one panel per layer."""
    save(lambda: clouds_figure(clouds, title), [path])


def draw_classes(classes: Sequence[ContextClass], title: str, path: Path) -> None:
    """Draw, per class, the share of relevance outside the object beside the share of the area."""
    save(lambda: classes_figure(classes[:MOST_CLASSES], title), [path])


def draw_concepts(concepts: Sequence[ContextConcept], title: str, path: Path) -> None:
    """Draw concepts, one row each, with their reference samples and where they sit in these."""
    save(lambda: concepts_figure(concepts, title), [path])


def clouds_figure(clouds: Sequence[ContextCloud], title: str) -> Figure:
    """Context scores against sensitivities, one panel per layer."""
    columns = min(3, len(clouds))
    rows = ceil(len(clouds) / columns)
    figure = Figure(figsize=(3.9 * columns + 1.3, 3.9 * rows + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=9, color=colours.FAINT)
    names = list(dict.fromkeys(sorted(name for cloud in clouds for name in cloud.class_names)))
    for number, cloud in enumerate(clouds):
        axes = figure.add_subplot(rows, columns, number + 1)
        _draw_cloud(axes, cloud, names)
    if 1 < len(names) <= MOST_COLOURS:
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right upper", frameon=False, fontsize=8, handletextpad=0.2)
    return figure


def classes_figure(classes: Sequence[ContextClass], title: str) -> Figure:
    """Per class, the share of relevance outside the object beside the share of the area."""
    figure = Figure(figsize=(6.6, 1.5 + 0.30 * len(classes)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    places = np.arange(len(classes))
    value = np.array([one.outside for one in classes])
    ends = np.array([[one.outside - one.low, one.high - one.outside] for one in classes]).T  # [2, K]
    ends = np.nan_to_num(np.maximum(ends, 0.0))
    axes.barh(places, value, height=0.62, color=colours.OBJECT, label="relevance outside the object")
    axes.errorbar(value, places, xerr=ends, fmt="none", ecolor=colours.INK, elinewidth=1.0, capsize=2.5)
    area = [one.area for one in classes]
    axes.plot(area, places, "|", color=colours.OUTSIDE, markersize=13, markeredgewidth=2.4, label="area outside")
    axes.set_yticks(places, [one.name for one in classes], fontsize=8.5)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("share outside the object (line: 95 % interval over pictures)", fontsize=8.5)
    axes.set_title(title, fontsize=9, color=colours.FAINT)
    axes.tick_params(labelsize=8.5)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure


def concepts_figure(concepts: Sequence[ContextConcept], title: str) -> Figure:
    """Concepts, one row each, with their reference samples and where they sit in these."""
    most = max((len(concept.references) for concept in concepts), default=0)
    width = max(NARROWEST, 2 * MARGIN + most * PANEL + max(0, most - 1) * GAP)
    row_height = TITLE + PANEL + CAPTION
    height = BAND + len(concepts) * row_height + MARGIN
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    _write(figure, "Concepts that look at the context", (MARGIN, 0.30), size=12.0, weight="bold")
    small = wording.fitted_size(title, width - 2 * MARGIN, 8.5, 5.5)
    _write(figure, title, (MARGIN, 0.50), size=small, color=colours.FAINT)
    for number, concept in enumerate(concepts):
        top = BAND + number * row_height
        heading = (
            f"{concept.class_name} · concept {concept.concept} — {wording.percent(concept.context)} of its relevance "
            f"lies outside the object · {wording.share_text(concept.relevance)} of the class's relevance"
        )
        size = wording.fitted_size(heading, width - 2 * MARGIN, 9.5, 6.0)
        _write(figure, heading, (MARGIN, top + TITLE - 0.08), size=size)
        for place, reference in enumerate(concept.references):
            left = MARGIN + place * (PANEL + GAP)
            _draw_reference(figure, reference, Rect(left=left, top=top + TITLE, width=PANEL, height=PANEL))
    return figure


def _draw_cloud(axes: Axes, cloud: ContextCloud, names: Sequence[str]) -> None:
    axes.plot([0, 1], [0, 1], color=colours.OUTSIDE, linewidth=0.8, zorder=0)
    palette = colormaps["tab10"]
    owner = np.array(cloud.class_names)
    if len(names) <= MOST_COLOURS:
        for number, name in enumerate(names):
            rows = owner == name
            colour = palette(number)
            axes.scatter(cloud.context[rows], cloud.sensitivity[rows], s=14, color=colour, alpha=0.75, lw=0, label=name)
    else:
        axes.scatter(cloud.context, cloud.sensitivity, s=10, color=palette(0), alpha=0.5, lw=0)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_aspect("equal")
    axes.set_xlabel("context score", fontsize=9)
    axes.set_ylabel("change by replaced backgrounds", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(f"{cloud.layer}\n{cloud.note}", fontsize=8.5)


def _draw_reference(figure: Figure, reference: ContextReference, cell: Rect) -> None:
    """The part of a picture that holds the object and the concept's relevance."""
    visibility = crops.relative_visibility(reference.heatmap)
    seen = reference.mask if visibility is None else reference.mask | (visibility > crops.VISIBLE)
    top, left, bottom, right = crops.square_window(
        crops.bounding_window(seen), seen.shape, min_side=min(seen.shape) // 4, context=SURROUNDINGS
    )
    window = slice(top, bottom), slice(left, right)
    scale = min(cell.width / (right - left), cell.height / (bottom - top))
    place = Rect(left=cell.left, top=cell.top, width=(right - left) * scale, height=(bottom - top) * scale)
    ground = colours.overlay(reference.picture, reference.heatmap, colours.shading(reference.heatmap, "diverging"))
    shown = panels.Object(mask=reference.mask[window], box=None, inset=None)
    panels.draw_panel(figure, place, ground[window], shown, outline=0.7)
    text = "no relevance" if np.isnan(reference.outside) else f"{wording.percent(reference.outside)} outside"
    _write(figure, text, (cell.left, cell.bottom + CAPTION - 0.08), size=7.0, color=colours.FAINT)


def _write(
    figure: Figure,
    text: str,
    place: tuple[float, float],
    *,
    size: float,
    weight: str = "normal",
    color: str = colours.INK,
) -> None:
    """A line that begins at (left, baseline)."""
    width, height = figure.get_size_inches()
    left, baseline = place
    figure.text(left / width, 1.0 - baseline / height, text, fontsize=size, weight=weight, color=color, va="baseline")
