"""What stage=missed says in the log."""

from collections.abc import Iterator, Mapping, Sequence
from math import floor, isnan, log10
from typing import Any

import numpy as np

from lcrp.evidence.tide import NAMES
from lcrp.stages.missed.tables import ALL
from lcrp.values.evidence import Table
from lcrp.values.missed import Mechanism

LISTED = 3  # classes, or kinds that cost most
FEW = 5  # items of a class of which nothing is told
HALF = 0.5
ROUNDING = 1e-9  # of a number times a power of ten
SMALL = 0.1  # shares below are told more exactly


def sentences(tables: Mapping[str, Table], background: Sequence[str] = ()) -> Iterator[str]:
    """The most important that tables tell, in words; of the classes in `background` nothing is said."""
    return _of_boxes(tables) if "mechanisms" in tables else _of_pixels(tables, background)


def _of_boxes(tables: Mapping[str, Table]) -> Iterator[str]:
    """What a detector misses, and what it finds that is not there."""
    objects, detections = _first(tables["classes"]), _first(tables["detections"])
    yield _counted(objects, "objects", "missed", "are missed") + _kinds(tables["mechanisms"], "mechanism")
    yield from _worst(tables["classes"], "objects", "missed")
    yield from _weak(tables["misses"])
    if "lacking" in tables:
        yield from _given_back(tables["lacking"], tables["returned"])
    yield _counted(detections, "detections", "false_alarms", "are false alarms") + _kinds(tables["alarm_kinds"], "kind")
    yield from _costs(tables["tide"])


def _of_pixels(tables: Mapping[str, Table], background: Sequence[str]) -> Iterator[str]:
    """What a segmenter misses."""
    pixels, regions = _first(tables["classes"]), _first(tables["regions"])
    yield _counted(pixels, "pixels", "missing", "go to other classes")
    lost = [row for row in _rows(tables["pixels"]) if row["class"] not in background]
    for row in sorted(lost, key=lambda row: -row["share"])[:LISTED]:
        yield f"of '{row['class']}' {_percent(row['share'])} of the pixels go to '{row['went_to']}'{_range(row)}"
    yield _counted(regions, "regions", "untouched", "have no pixel of their class")
    yield from _worst(tables["regions"], "regions", "untouched")


def _rows(table: Table) -> list[dict[str, Any]]:
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows()]


def _first(table: Table) -> dict[str, Any]:
    """The row of all classes."""
    return _rows(table)[0]


def _counted(row: Mapping[str, Any], whole: str, part: str, words: str) -> str:
    """For example ``18 of 152 objects (12 %, 8 to 17) are missed``."""
    if not row[whole]:
        return f"no {whole.replace('_', ' ')}"
    return f"{row[part]} of {row[whole]} {whole} ({_percent(row['share'])}{_range(row)}) {words}"


def _kinds(table: Table, column: str) -> str:
    """For example ``: 12 below threshold, 4 no candidate``."""
    found = [(row["count"], row[column]) for row in _rows(table) if row["class"] == ALL and row["count"]]
    listed = ", ".join(f"{count} {kind}" for count, kind in sorted(found, key=lambda pair: -pair[0]))
    return f": {listed}" if listed else ""


def _worst(table: Table, whole: str, part: str) -> Iterator[str]:
    """The classes of which the largest share is missed."""
    rows = [row for row in _rows(table)[1:] if row[whole] >= FEW and row[part]]
    if len(rows) < 2:
        return
    worst = sorted(rows, key=lambda row: -row["share"])[:LISTED]
    listed = "; ".join(f"{row['class']} ({_percent(row['share'])}{_range(row)} of {row[whole]})" for row in worst)
    yield f"most often {part}: {listed}"


def _weak(misses: Table) -> Iterator[str]:
    """What a lower threshold would find."""
    columns = misses.columns
    pairs = zip(columns["mechanism"], columns["candidate_score"], strict=True)
    scores = [score for mechanism, score in pairs if mechanism == Mechanism.BELOW_THRESHOLD]
    if len(scores) >= FEW:
        half = _rounded_down(float(np.quantile(scores, HALF)))
        count = f"half of the {len(scores)} below the threshold"
        yield f"{count} score {half} or more: stage.confidence={half} lets them pass"


def _rounded_down(value: float) -> str:
    """Two digits of a positive number, or more, but never above it."""
    digits = max(2, 1 - floor(log10(value))) if value > 0.0 else 2
    return f"{floor(value * 10**digits + ROUNDING) / 10**digits:.{digits}f}"


def _given_back(lacking: Table, returned: Table) -> Iterator[str]:
    """How many of the misses that were explained are found when absent concepts are given back."""
    compared = sum(row["found_objects"] > 0 for row in _rows(lacking))
    rows = [row for row in _rows(returned) if row["concepts"] == 1]
    if compared:
        tries, found = sum(row["random"] for row in rows), sum(row["random_found"] for row in rows)
        back = sum(row["found"] for row in rows)
        yield (
            f"of {compared} misses compared with found objects {back} are found when their first absent concept is "
            f"given back; with random concepts, changed as much, in {found} of {tries} tries"
        )


def _costs(table: Table) -> Iterator[str]:
    """AP50 of what is detected, and what mending errors would win."""
    totals = dict(zip(table.columns["error"], table.columns["ap50"], strict=True))
    if not totals:
        return
    names = {name: kind.value for name, kind in NAMES.items()} | {"Miss": "missed"}
    won = sorted(((float(totals[name]), name) for name in names), reverse=True)[:LISTED]
    listed = ", ".join(f"{value:.1f} ({names[name]}, TIDE's {name})" for value, name in won if value >= 0.05)
    mending = f"; mending all errors of one kind would win {listed}" if listed else ""
    yield f"AP50 of these detections {float(totals['AP50']):.1f}{mending}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= SMALL or not share else f"{100 * share:.1f} %"


def _range(row: Mapping[str, Any]) -> str:
    """For example ``, 8 to 17``; empty where one picture tells of no others."""
    if isnan(row["low"]):
        return ""
    digits = 0 if row["high"] >= SMALL else 1
    return f", {100 * row['low']:.{digits}f} to {100 * row['high']:.{digits}f}"
