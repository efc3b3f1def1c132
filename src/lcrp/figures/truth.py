"""The figure of stage=truth: how far each method agrees with what interventions say."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lcrp.figures import colours
from lcrp.figures.head import add_head
from lcrp.figures.legible import shown_name
from lcrp.figures.saving import save
from lcrp.figures.sheet import Sheet
from lcrp.values.evidence import Table

CONTEXT, PARTS = "#1f6fb4", "#d1661f"
CLASSES = ("#1f6fb4", "#d1661f", "#2c8a4b", "#8b5a2b", "#7b4fa3", "#c23b6b", "#4d4d4d")


def draw_truth(path: Path, methods: Table, targets: Table, *, method: str, title: str) -> None:
    """Draw the rank correlations of all methods, and one method's shares beside the causal reliance.

    Args:
        path: PNG file to write.
        methods: with a row per method: its agreement on context and parts, and intervals.
        targets: with a row per target: its causal reliance, and the methods' shares on the context.
        method: whose shares are drawn.
        title: what was measured.
    """

    def build() -> Figure:
        sheet = Sheet.of_size(11.0, 2.4 + 0.42 * max(7, len(methods.columns["method"])), layout="constrained")
        add_head(sheet, "Does relevance agree with what interventions do to the decision?", title)
        left, right = sheet.figure.subplots(1, 2, width_ratios=(1.15, 1.0))
        _draw_agreement(left, methods)
        _draw_shares(right, targets, method)
        return sheet.figure

    classes = [str(name) for name in targets.columns["class"]]
    save(build, [path], dpi=150, names=[title, *classes])


def _draw_agreement(axes: Axes, methods: Table) -> None:
    names = [str(name) for name in methods.columns["method"]]
    rows = np.arange(len(names), dtype=np.float64)
    for kind, shift, colour in (("context", -0.14, CONTEXT), ("parts", 0.14, PARTS)):
        value, low, high = (
            np.asarray(methods.columns[f"{kind}_agreement{end}"], dtype=np.float64) for end in ("", "_low", "_high")
        )
        axes.hlines(rows + shift, low, high, color=colour, linewidth=2.2, alpha=0.55)
        axes.plot(value, rows + shift, "o", color=colour, markersize=5.5, label=kind)
    axes.axvline(0.0, color=colours.FAINT, linewidth=0.8)
    axes.set_yticks(rows, names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel("rank correlation of relevance with causal reliance (95 % interval)")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
    _quiet(axes)


def _draw_shares(axes: Axes, targets: Table, method: str) -> None:
    share = np.asarray(targets.columns[f"share_{method}"], dtype=np.float64)
    reliance = np.asarray(targets.columns["context_reliance"], dtype=np.float64)
    classes = np.asarray(targets.columns["class"], dtype=str)
    known = ~(np.isnan(share) | np.isnan(reliance))
    for number, name in enumerate(sorted(set(classes[known].tolist()))):
        rows = known & (classes == name)
        colour = CLASSES[number % len(CLASSES)]
        axes.plot(
            reliance[rows], share[rows], "o", color=colour, markersize=5.0, alpha=0.75, label=shown_name(name), mew=0
        )
    axes.axvline(0.0, color=colours.FAINT, linewidth=0.8)
    axes.set_xlabel("causal reliance: fall of the read-out over another context")
    axes.set_ylabel(f"relevance on the own context ({method})")
    axes.set_ylim(bottom=0.0)
    if known.any():
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=6, frameon=False, columnspacing=0.9)
    _quiet(axes)


def _quiet(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="x", color=colours.EMPTY, linewidth=0.8)
    axes.set_axisbelow(True)
