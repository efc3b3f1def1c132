"""The figure of stage=tune: candidates by three measures, and the chosen composite beside others."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lcrp.figures import colours
from lcrp.figures.head import add_head
from lcrp.figures.saving import save
from lcrp.figures.sheet import Sheet
from lcrp.values.evidence import Table

ROW = 0.19  # inches
SMALL = 7.5  # points
AHEAD, BEHIND, NEITHER = colours.HIT, colours.ALARM, "#8a94a3"
RUNGS = ("#cfd6de", "#9db4cc", "#5f8fbf", "#1f5f9f", "#0b3c6f")  # from few decisions to many
TITLES = {
    "channels": "concepts: insertion less flipping\n(logits)",
    "pixels": "pixels: insertion less deletion\n({unit})",
    "agreement": "agreement with single ablations\n(rank correlation)",
}


def draw_tuning(path: Path, candidates: Table, confirmation: Table, *, verdict: str, title: str, unit: str) -> None:
    """Draw the search above its confirmation.

    Args:
        path: PNG file to write.
        candidates: a row each, the best first.
        confirmation: a row per method and measure.
        verdict: in words.
        title: network and dataset in words.
        unit: of what pixels cost.
    """
    found = {name: np.asarray(values) for name, values in candidates.columns.items()}
    rows = [dict(zip(confirmation.columns, row, strict=True)) for row in confirmation.rows()]
    chosen = next(str(row["method"]) for row in rows if row["is_chosen"])
    others = [name for name in dict.fromkeys(str(row["method"]) for row in rows) if name != chosen]

    def build() -> Figure:
        heights = (len(found["rank"]) + 3) * ROW, (len(others) + 3.5) * ROW
        sheet = Sheet.of_size(11.0, sum(heights) + 1.9, layout="constrained")
        add_head(sheet, verdict, title)
        axes = sheet.figure.subplots(2, len(TITLES), sharey="row", squeeze=False, height_ratios=heights)
        for column, (measure, words) in enumerate(TITLES.items()):
            _draw_search(axes[0, column], found, measure, words.format(unit=unit.removeprefix("of ")))
            _draw_leads(axes[1, column], [row for row in rows if row["measure"] == measure], others)
        _name_rows(axes[0, 0], [str(name) for name in found["candidate"]], chosen)
        _name_rows(axes[1, 0], others, "")
        axes[0, 1].set_xlabel("ahead of the default, on the same decisions", fontsize=SMALL, color=colours.FAINT)
        axes[0, 0].set_ylabel("search", fontsize=9)
        axes[1, 0].set_ylabel("confirmation", fontsize=9)
        _explain_shades(axes[0, -1], found["decisions"])
        count = max(int(row["decisions"]) for row in rows)
        words = f"ahead of these: '{chosen}', on {count} other decisions (95 % interval)"
        axes[1, 1].set_xlabel(words, fontsize=SMALL, color=colours.FAINT)
        return sheet.figure

    save(build, [path], dpi=150, names=[title, verdict, chosen, *others])


def _draw_search(axis: Axes, found: Mapping[str, npt.NDArray[Any]], measure: str, words: str) -> None:
    values, places = found[f"{measure}_lead"].astype(float), np.arange(len(found["rank"]))
    shades = _shades(found["decisions"])
    for place, value in zip(places, values, strict=True):
        axis.plot(value, place, "o", color=shades[int(found["decisions"][place])], markersize=5)
    axis.axvline(0.0, color=colours.FAINT, linewidth=0.8, linestyle=":")
    axis.set_title(words, fontsize=8.5)
    axis.set_ylim(len(places) - 0.4, -0.6)
    _tidy(axis)


def _draw_leads(axis: Axes, rows: Sequence[Mapping[str, Any]], others: Sequence[str]) -> None:
    known = {str(row["method"]): row for row in rows}
    for place, name in enumerate(others):
        value, low, high = (float(known[name][key]) for key in ("lead", "lead_low", "lead_high"))
        colour = AHEAD if low > 0 else BEHIND if high < 0 else NEITHER
        axis.hlines(place, low, high, color=colour, linewidth=2.2, alpha=0.6)
        axis.plot(value, place, "o", color=colour, markersize=5)
    axis.axvline(0.0, color=colours.FAINT, linewidth=0.8, linestyle=":")
    axis.set_ylim(len(others) - 0.4, -0.6)
    _tidy(axis)


def _name_rows(axis: Axes, names: Sequence[str], bold: str) -> None:
    axis.set_yticks(range(len(names)), names, fontsize=SMALL)
    for label in axis.get_yticklabels():
        label.set_color(colours.INK)
        if label.get_text() == bold:
            label.set_fontweight("bold")


def _explain_shades(axis: Axes, decisions: npt.NDArray[Any]) -> None:
    for count, shade in _shades(decisions).items():
        axis.plot([], [], "o", color=shade, markersize=5, label=str(count))
    axis.legend(title="decisions", fontsize=SMALL, title_fontsize=SMALL, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _shades(decisions: npt.NDArray[Any]) -> dict[int, str]:
    """A colour for every number of decisions."""
    counts = sorted({int(count) for count in decisions})
    return {count: RUNGS[max(0, len(RUNGS) - len(counts)) + place] for place, count in enumerate(counts)}


def _tidy(axis: Axes) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(colours.FAINT)
    axis.tick_params(labelsize=SMALL, color=colours.FAINT)
    axis.grid(alpha=0.15)
