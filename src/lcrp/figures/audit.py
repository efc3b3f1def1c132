"""Figures of stage=audit: objects before their grounds, and what is said of every class."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lcrp.figures import colours
from lcrp.figures.head import add_head
from lcrp.figures.legible import shown_name
from lcrp.figures.measure import shortened
from lcrp.figures.saving import save
from lcrp.figures.sheet import Sheet
from lcrp.values.audit import GroundView, Outcome, Verdict
from lcrp.values.evidence import Table

PANEL = 1.5  # inches
LABEL = 7.5  # points
MOST_CLASSES = 40
COLOURS = {Verdict.NEEDS: "#d1661f", Verdict.DOES_NOT: "#1f6fb4", Verdict.CANNOT_TELL: "#8a8a8a"}
GROUND_QUESTION = "What becomes of a decision, once something else surrounds its object?"
CLASS_QUESTION = "Which classes need their context?"


def draw_grounds(path: Path, shown: Mapping[str, Sequence[GroundView | None]], title: str) -> None:
    """Draw one object of every class before its grounds, a row each, with scores.

    Args:
        path: PNG file to write.
        shown: by class; grounds of one kind stand below each other, None where an object has none.
        title: network and dataset in words.
    """

    def build() -> Figure:
        columns = max(len(views) for views in shown.values())
        sheet = Sheet.of_size(PANEL * columns + 0.8, (PANEL + 0.42) * len(shown) + 0.8, layout="constrained")
        add_head(sheet, GROUND_QUESTION, title)
        axes = sheet.figure.subplots(len(shown), columns, squeeze=False)
        for row, (name, views) in zip(axes, shown.items(), strict=True):
            for place, panel in enumerate(row):
                panel.set_xticks([])
                panel.set_yticks([])
                view = views[place] if place < len(views) else None
                if view is None:
                    panel.set_axis_off()
                else:
                    _draw_ground(panel, view)
            row[0].set_ylabel(shown_name(name))
        return sheet.figure

    labels = [view.label for views in shown.values() for view in views if view is not None]
    save(build, [path], dpi=150, names=[title, *shown, *labels])


def _draw_ground(axes: Axes, view: GroundView) -> None:
    axes.imshow(view.picture)
    if view.outline.any() and not view.outline.all():
        axes.contour(view.outline.astype(np.float64), levels=[0.5], colors=["#ffd400"], linewidths=0.7)
    is_kept = view.outcome is Outcome.KEPT
    told = f"{view.score:.2f}" if is_kept else f"{view.score:.2f}, lost"
    label = shortened(shown_name(view.label), PANEL, LABEL)
    axes.set_title(f"{label}\n{told}", fontsize=LABEL, color="black" if is_kept else "#b3261e")


def draw_verdicts(path: Path, verdicts: Table, *, least: float, title: str) -> None:
    """Draw the difference of every class with its interval, beside what counts as a need.

    Args:
        path: PNG file to write.
        verdicts: with a row per class.
        least: what counts as a need.
        title: network and dataset in words.
    """
    order = np.argsort(-np.nan_to_num(np.asarray(verdicts.columns["difference"]), nan=-1.0))[:MOST_CLASSES].tolist()
    names = [str(verdicts.columns["class"][place]) for place in order]

    def build() -> Figure:
        sheet = Sheet.of_size(8.0, 1.9 + 0.3 * max(4, len(order)), layout="constrained")
        add_head(sheet, CLASS_QUESTION, title)
        axes = sheet.figure.subplots()
        for row, place in enumerate(order):
            verdict = Verdict(verdicts.columns["verdict"][place])
            value, low, high = (float(verdicts.columns[name][place]) for name in ("difference", "low", "high"))
            axes.hlines(row, low, high, color=COLOURS[verdict], linewidth=2.4, alpha=0.6)
            axes.plot(value, row, "o", color=COLOURS[verdict], markersize=5.5)
        counts = [int(verdicts.columns["objects"][place]) for place in order]
        labels = [f"{shown_name(name)} ({count})" for name, count in zip(names, counts, strict=True)]
        axes.set_yticks(range(len(order)), labels)
        axes.set_ylim(len(order) - 0.5, -0.5)
        axes.axvline(0.0, color=colours.FAINT, linewidth=0.8)
        axes.axvline(least, color="black", linewidth=0.8, linestyle=":")
        for verdict, colour in COLOURS.items():
            axes.plot([], [], "o-", color=colour, label=str(verdict))
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
        axes.set_xlabel(f"score in usual surroundings less that in others (95 % interval; dotted: {least:g})")
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        return sheet.figure

    save(build, [path], dpi=150, names=[title, *names])
