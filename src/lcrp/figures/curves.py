"""The figure of flipping and insertion: a column per layer, and beside them how the methods come out on average.

Axes: X step.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lcrp.evidence.intervals import Interval
from lcrp.figures import colours
from lcrp.figures.head import add_head
from lcrp.figures.measure import wrapped
from lcrp.figures.saving import save
from lcrp.figures.sheet import Sheet
from lcrp.values.evidence import CurvePanel

MAX_COLUMNS = 5  # layers shown
COLUMN, HEIGHT = 2.7, 6.0  # inches
NEUTRAL = "#9aa1ab"
_COLOURS = ("#b3161d", "#e8743b", "#c79a00", "#1f6fb2", "#3aa39b", "#7a4fa3", "#5b8c2a", "#b05c8e")


def draw_curves(
    path: Path, panels: Sequence[CurvePanel], areas: Mapping[str, Mapping[str, Interval]], *, title: str
) -> None:
    """Draw mean curves with their standard errors, and the areas averaged over all layers.

    Args:
        path: the PNG, SVG or PDF.
        panels: by layer; of many, some that are evenly spread are shown.
        areas: 'flipping' and 'insertion', by method in the order of their colours.
        title: model and dataset.
    """
    chosen = sorted({round(place) for place in np.linspace(0, len(panels) - 1, min(MAX_COLUMNS, len(panels)))})
    shade = _shades(list(areas["flipping"]))

    def build() -> Figure:
        sheet = Sheet.of_size(COLUMN * (len(chosen) + 1.35), HEIGHT, layout="constrained")
        add_head(sheet, "Whose order of concepts is right?", title)
        figure = sheet.figure
        widths = [1.0] * len(chosen) + [1.05]
        axes = figure.subplots(2, len(chosen) + 1, squeeze=False, sharey=False, width_ratios=widths)
        for column, place in enumerate(chosen):
            _draw_layer(axes[:, column], panels[place], shade, is_first=column == 0)
        for row, curve in enumerate(("flipping", "insertion")):
            _draw_areas(axes[row, -1], areas[curve], shade, f"area of {curve}, all layers")
        return figure

    save(build, [path], dpi=150)


def _shades(names: Sequence[str]) -> dict[str, str]:
    named = [name for name in names if name != "random"]
    return {name: _COLOURS[place % len(_COLOURS)] for place, name in enumerate(named)} | {"random": NEUTRAL}


def _draw_layer(axes: npt.NDArray[np.object_], panel: CurvePanel, shade: Mapping[str, str], *, is_first: bool) -> None:
    for row, (axis, curve) in enumerate(zip(axes, ("flipping", "insertion"), strict=True)):
        for line in panel.lines:
            mean, error = getattr(line, curve)
            style = "--" if line.name == "random" else "-"
            axis.fill_between(panel.share, mean - error, mean + error, color=shade[line.name], alpha=0.15, linewidth=0)
            axis.plot(panel.share, mean, color=shade[line.name], linewidth=1.4, linestyle=style)
        _tidy(axis)
        if row == 0:
            axis.set_title("\n".join(wrapped(panel.layer, COLUMN - 0.5, 8.5)), fontsize=8.5)
            axis.set_xlabel("share of channels taken away", fontsize=7.5, color=colours.FAINT)
        else:
            axis.set_xlabel("share of channels kept", fontsize=7.5, color=colours.FAINT)
    if is_first:
        axes[0].set_ylabel("flipping: change of the logit", fontsize=8)
        axes[1].set_ylabel("insertion: gain over none", fontsize=8)


def _draw_areas(axis: Axes, values: Mapping[str, Interval], shade: Mapping[str, str], title: str) -> None:
    """A dot and its interval per method, the best one on top."""
    order = sorted(values, key=lambda name: (not np.isnan(values[name].value), values[name].value))
    for place, name in enumerate(order):
        found = values[name]
        axis.plot(
            [found.low, found.high],
            [place, place],
            color=shade[name],
            linewidth=2.2,
            solid_capstyle="round",
            alpha=0.55,
        )
        axis.plot([found.value], [place], "o", color=shade[name], markersize=5)
    axis.set_yticks(range(len(order)), order, fontsize=8)
    for label, name in zip(axis.get_yticklabels(), order, strict=True):
        label.set_color(shade[name])
    axis.set_ylim(-0.6, len(order) - 0.4)
    axis.set_title(title, fontsize=8.5)
    axis.yaxis.tick_right()
    _tidy(axis)
    axis.set_xlabel("mean and 95 % interval over images", fontsize=7.5, color=colours.FAINT)


def _tidy(axis: Axes) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(colours.FAINT)
    axis.tick_params(labelsize=7.5, color=colours.FAINT)
    axis.grid(alpha=0.15)
