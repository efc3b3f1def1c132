"""Tables of stage=truth: rows of its units put together, and what they say in sum."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lcrp.evidence.correlation import spearman
from lcrp.evidence.intervals import CORRELATION, Interval, bootstrap, mean_interval
from lcrp.storage.units import Arrays
from lcrp.values.evidence import Table

Row = dict[str, int | float | str]
Tables = dict[str, Table]
Array = npt.NDArray[Any]

KINDS = ("targets", "parts", "concepts")
MEASURES = {  # of the summary: the table and the column whose mean is told
    "context_reliance": "targets",
    "context_area": "targets",
    "logit_fall": "targets",
    "relevance_fall": "targets",
    "reliance": "parts",
    "area": "parts",
    "purity": "concepts",
    "purity_even": "concepts",
    "factor_area": "concepts",
    "mass": "concepts",
    "rank_accuracy": "concepts",
    "object_area": "concepts",
}


def packed(rows: Mapping[str, Sequence[Row]]) -> dict[str, Array]:
    """Rows of several tables as arrays, '<table>.<column>' to values [N]; a table without rows is left out."""
    return {
        f"{kind}.{column}": np.array([row[column] for row in of_kind])
        for kind, of_kind in rows.items()
        if of_kind
        for column in of_kind[0]
    }


def joined_tables(units: Sequence[Arrays], num_targets: int) -> Tables:
    """The tables of all units, cut to the first `num_targets` targets, of which there is at least one."""
    columns: dict[str, dict[str, Array]] = {kind: {} for kind in KINDS}
    for key in dict.fromkeys(key for unit in units for key in unit):
        kind, _, name = key.partition(".")
        columns[kind][name] = np.concatenate([unit[key] for unit in units if key in unit])
    targets = columns["targets"]
    chosen = set(zip(targets["sample"][:num_targets].tolist(), targets["object"][:num_targets].tolist(), strict=True))
    tables = {}
    for kind, of_kind in columns.items():
        rows = zip(*(of_kind.get(name, np.zeros(0)).tolist() for name in ("sample", "object")), strict=True)
        kept = np.array([row in chosen for row in rows], dtype=bool)
        tables[kind] = Table(name=kind, columns={name: values[kept] for name, values in of_kind.items()})
    return tables


def summary_tables(tables: Mapping[str, Table], methods: Sequence[str]) -> Tables:
    """Table 'methods': agreement with the interventions; table 'summary': means over all targets.

    Args:
        tables: by `joined_tables`.
        methods: names.
    """
    lines = [
        {
            "method": name,
            **_spread("context_agreement", agreement(tables["targets"], f"share_{name}", "context_reliance")),
            **_spread("parts_agreement", agreement(tables["parts"], f"share_{name}", "reliance")),
            **_spread("context_share", _mean(tables["targets"], f"share_{name}")),
        }
        for name in methods
    ]
    means = {column: _mean(tables[kind], column, is_home=kind == "targets") for column, kind in MEASURES.items()}
    means["relevance_fall_agreement"] = agreement(tables["targets"], "relevance_fall", "context_reliance")
    summary: dict[str, Sequence[str] | Array] = {
        "measure": list(means),
        "value": np.array([one.value for one in means.values()]),
        "low": np.array([one.low for one in means.values()]),
        "high": np.array([one.high for one in means.values()]),
    }
    return {
        "methods": Table(name="methods", columns={key: np.array([line[key] for line in lines]) for key in lines[0]}),
        "summary": Table(name="summary", columns=summary),
    }


def agreement(table: Table, relevance: str, reliance: str) -> Interval:
    """Spearman's rank correlation of what relevance says with the causal reliance, over rows where both are known.

    Args:
        table: targets or parts.
        relevance: the column with a method's shares, or with the relevance that falls.
        reliance: the column with the reliance.
    """
    names = (relevance, reliance, "sample")
    share, causal, images = (np.asarray(table.columns.get(name, ()), dtype=np.float64) for name in names)
    known = ~(np.isnan(share) | np.isnan(causal))
    return bootstrap(spearman, [share[known], causal[known]], images[known], bounds=CORRELATION)


def interval(table: Table, row: int, column: str) -> Interval:
    """An interval as a table holds it: in columns '<column>', '<column>_low' and '<column>_high'."""
    value, low, high = (float(table.columns[f"{column}{end}"][row]) for end in ("", "_low", "_high"))
    return Interval(value=value, low=low, high=high)


def sentences(tables: Mapping[str, Table]) -> Iterator[str]:
    """What the tables say, line by line."""
    targets, methods, summary = (tables[name].columns for name in ("targets", "methods", "summary"))
    means = {
        name: Interval(value=value, low=low, high=high)
        for name, value, low, high in zip(
            summary["measure"], summary["value"], summary["low"], summary["high"], strict=True
        )
    }
    num_parts = len(tables["parts"].columns.get("sample", ()))
    yield (
        f"{len(targets['sample'])} targets in {len(set(targets['sample']))} pictures, with {num_parts} parts; "
        f"{int(sum(targets['is_home']))} of the targets stand in their own context"
    )
    yield (
        f"the read-out falls by {means['context_reliance']} over another context, which is "
        f"{means['context_area'].value:.0%} of the picture, and by {means['reliance']} without a part"
    )
    yield (
        f"over another context the logit falls by {means['logit_fall']}, the relevance on the context's pixels by "
        f"{means['relevance_fall']}; rank correlation of the latter with the read-out's fall "
        f"{means['relevance_fall_agreement']}"
    )
    yield "rank correlation of relevance with that fall, and share of relevance on the own context (95 % intervals):"
    yield f"{'':<20} {'context':<22} {'parts':<22} share on the context"
    for row, name in enumerate(methods["method"]):
        cells = [
            interval(tables["methods"], row, column)
            for column in ("context_agreement", "parts_agreement", "context_share")
        ]
        yield f"{name!s:<20} {cells[0]!s:<22} {cells[1]!s:<22} {cells[2]!s}"
    yield (
        f"concepts: purity {means['purity']} in a factor that covers {means['factor_area'].value:.0%} of the picture; "
        f"{means['purity_even'].value:.2f} if spread evenly"
    )
    yield (
        f"concepts: relevance in the object {means['mass']}, rank accuracy {means['rank_accuracy']}; "
        f"{means['object_area'].value:.2f} if spread evenly"
    )


def _mean(table: Table, column: str, *, is_home: bool = False) -> Interval:
    """Mean of a column, of objects in their own context alone if asked for."""
    if not table.columns:
        return mean_interval(np.zeros(0), np.zeros(0))
    values, samples = np.asarray(table.columns[column], dtype=np.float64), np.asarray(table.columns["sample"])
    rows = np.asarray(table.columns["is_home"], dtype=bool) if is_home else np.ones(len(values), dtype=bool)
    return mean_interval(values[rows], samples[rows])


def _spread(name: str, found: Interval) -> dict[str, float | str]:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
