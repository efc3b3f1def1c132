"""What other stages measured, as the explorer shows it: found beside the run, or how to find out."""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lcrp.errors import ConfigError, StoreError
from lcrp.evidence.intervals import Interval, mean_interval
from lcrp.page.content import ContextContent, Finding
from lcrp.stages.audit.wording import sentences as audit_sentences
from lcrp.stages.missed.wording import sentences as missed_sentences
from lcrp.storage.evidence import read_evidence, read_settings
from lcrp.storage.location import SETTINGS_NODE
from lcrp.values.evidence import Table
from lcrp.values.shares import percent
from lcrp.values.statistics import StatisticsHeader

log = logging.getLogger(__name__)

LISTED = 3  # classes in a sentence
SHOWN_TABLES = {
    "context": ("classes", "validation", "case_study"),
    "evaluate": ("summary", "checks", "ledger"),
    "audit": ("verdicts", "classes", "outcomes", "company", "concepts", "carriers"),
    "missed": ("classes", "mechanisms", "detections", "alarm_kinds", "tide", "regions", "pixels"),
}
MOST_ROWS = 400  # of a table in the page

Tables = Mapping[str, Table]


def measured(name: str, given: Path | None, header: StatisticsHeader, output_root: Path) -> tuple[Path, Tables] | None:
    """Tables of a stage about the network and data of statistics; None if none were made.

    Args:
        name: of the stage.
        given: its file; None takes the newest below `output_root` that fits.
        header: of the statistics.
        output_root: of all runs.

    Raises:
        StoreError: the file that was given is missing or damaged.
        ConfigError: it is of something else.
    """
    if given is not None:
        if not _fits(name, read_settings(given), header):
            raise ConfigError(
                f"'{given}' is not of these statistics: its network, data or statistics are others",
                mend=f"Leave stage.{name} out, or name the file of a run with the same settings.",
            )
        return given, read_evidence(given)
    for path in sorted((output_root / "runs").glob(f"*/{name}.h5"), reverse=True):
        try:
            if _fits(name, read_settings(path), header):
                return path, read_evidence(path)
        except StoreError as error:
            log.debug("%s", error)
    return None


def _fits(name: str, settings: Mapping[str, Any], header: StatisticsHeader) -> bool:
    """Whether a file is of the same network and data; what builds on statistics, of the very same."""
    if name == "context":
        return settings.get("statistics") == header.config_hash
    left_out = (SETTINGS_NODE,) if name == "missed" else (SETTINGS_NODE, "composite")
    known = {key: value for key, value in header.config.items() if key not in left_out}
    return all(settings.get(key) == value for key, value in known.items())


def finding(name: str, found: tuple[Path, Tables] | None, command: str, background: Sequence[str] = ()) -> Finding:
    """What a stage found, in sentences and tables; `background` are classes that are no objects."""
    if found is None:
        return Finding(name=name, command=command)
    path, tables = found
    if name == "missed":
        tables = {one: _with_some(table) for one, table in tables.items()}
        told: Iterator[str] = (f"{line[:1].upper()}{line[1:]}." for line in missed_sentences(tables, background))
    elif name == "audit":
        told = (f"{line[:1].upper()}{line[1:]}." for line in audit_sentences(tables))
    else:
        told = {"context": _context_sentences, "evaluate": _evaluate_sentences}[name](tables)
    shown = tuple(_first_rows(tables[one]) for one in SHOWN_TABLES[name] if one in tables)
    return Finding(name=name, sentences=tuple(told), command=command, tables=shown, source=path.parent.name)


def context_of(layer: str, tables: Tables) -> ContextContent | None:
    """Context scores of a layer's concepts, with their intervals; None if it was not looked at."""
    concepts, terms = tables["concepts"].columns, tables["context_terms"].columns
    rows = np.array([name == layer for name in concepts["layer"]], dtype=bool)
    if not rows.any():
        return None
    own = np.array([name == layer for name in terms["layer"]], dtype=bool)
    sample, value = (np.asarray(terms[name])[own] for name in ("sample", "value"))
    pair = [*zip(*(np.asarray(terms[name])[own].tolist() for name in ("class_id", "concept")), strict=True)]
    of_pair: dict[tuple[int, int], list[int]] = {}
    for row, key in enumerate(pair):
        of_pair.setdefault(key, []).append(row)
    class_id, concept, context, sensitivity = (
        np.asarray(concepts[name])[rows] for name in ("class_id", "concept", "context", "sensitivity")
    )
    intervals = [
        mean_interval(value[some], sample[some]) if (some := of_pair.get(key)) else _UNKNOWN
        for key in zip(class_id.tolist(), concept.tolist(), strict=True)
    ]
    return ContextContent(
        class_id=class_id,
        concept=concept,
        context=context,
        low=np.array([one.low for one in intervals], dtype=np.float64),
        high=np.array([one.high for one in intervals], dtype=np.float64),
        sensitivity=sensitivity,
    )


_UNKNOWN = Interval(value=math.nan, low=math.nan, high=math.nan)


def _rows(table: Table) -> list[dict[str, Any]]:
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows()]


def _context_sentences(tables: Tables) -> Iterator[str]:
    classes = {row["class"]: row for row in reversed(_rows(tables["classes"]))}.values()
    most = sorted(classes, key=lambda row: -row["outside"])[:LISTED]
    listed = ", ".join(f"{row['class']} {percent(row['outside'])}" for row in most)
    yield f"Share of the positive relevance outside the object as it is annotated, the classes with most: {listed}."
    for row in _rows(tables["validation"]):
        if row["measure"] == "spearman" and not math.isnan(row["value"]):
            found = Interval(value=row["value"], low=row["low"], high=row["high"])
            yield (
                f"{row['layer']}: rank correlation of context scores with what replaced backgrounds change: {found}, "
                f"over {row['num_pairs']} pairs of class and concept."
            )


def _evaluate_sentences(tables: Tables) -> Iterator[str]:
    if "verdict" in tables:
        yield from tables["verdict"].columns["verdict"]
    if "checks" in tables:
        yield from _check_sentences(tables["checks"])
    rows = [row for row in _rows(tables["summary"]) if row["measure"] == "flipping"]
    best = sorted((row for row in rows if row["layer"] == "all layers"), key=lambda row: -row["value"])
    if best:
        yield (
            "How much the decision's logit falls when concepts are taken away in the order of a method "
            f"(more is better; 95 % intervals over {best[0]['num_targets']} decisions), mean over the layers "
            f"{', '.join(dict.fromkeys(row['layer'] for row in rows if row['layer'] != 'all layers'))}:"
        )
    for row in best:
        found = Interval(value=row["value"], low=row["low"], high=row["high"])
        yield f"{row['method']}: {found}"


def _check_sentences(checks: Table) -> Iterator[str]:
    failed = [row for row in _rows(checks) if not row["holds"]]
    if failed:
        told = "; ".join(
            f"{row['name']} is {row['value']:.2g} (bound {row['bound']:.2g}), {row['note']}" for row in failed
        )
        yield f"Sanity checks that fail: {told}."
    elif len(checks.columns["name"]):
        yield f"All {len(checks.columns['name'])} sanity checks hold."


def _with_some(table: Table) -> Table:
    """The rows that count something, where a table counts: with many classes most mechanisms of most have none."""
    if "count" not in table.columns:
        return table
    some = [row for row, count in enumerate(table.columns["count"]) if count]
    return Table(
        name=table.name, columns={name: [values[row] for row in some] for name, values in table.columns.items()}
    )


def _first_rows(table: Table) -> Table:
    columns = {name: list(values)[:MOST_ROWS] for name, values in table.columns.items()}
    return Table(name=table.name, columns=columns)
