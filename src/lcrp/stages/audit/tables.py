"""Tables of an audit: decisions, verdicts, what became of detections, company.

Axes: N decision, R row: an object before a ground, K class.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lcrp.evidence.intervals import Interval, mean_interval, share_interval
from lcrp.evidence.reliance import FEWEST, judgements
from lcrp.stages.audit.differences import Decisions, difference_interval
from lcrp.stages.audit.objects import Objects
from lcrp.stages.audit.reading import KINDS, OUTCOMES, Rows
from lcrp.values.audit import Kind, Outcome
from lcrp.values.evidence import Table

Array = npt.NDArray[Any]

ALL, POOLED = "all", f"fewer than {FEWEST} pictures each"
TOGETHER = -1  # class id of those that are judged together


def groups(found: Decisions, names: Sequence[str]) -> list[tuple[str, Array]]:
    """Classes with enough pictures, then all smaller ones together: what they are called, and which they are [N].

    A single smaller one has nothing to be joined with, and keeps its name.
    """
    own = {class_id: found.class_id == class_id for class_id in np.unique(found.class_id).tolist()}
    large = {class_id: one for class_id, one in own.items() if len(np.unique(found.sample[one])) >= FEWEST}
    if len(large) == len(own) - 1:
        large = own
    small = ~np.isin(found.class_id, list(large))
    told = [(names[class_id], one) for class_id, one in large.items()]
    return [*told, (POOLED, small)] if small.any() else told


def verdicts_table(found: Decisions, logits: Decisions, names: Sequence[str]) -> Table:
    """Whether every class needs its context; all of them together have no verdict."""
    known = ~np.isnan(found.difference)
    numbered = groups(found, names)
    parts = [(title, own & known) for title, own in numbered]
    judged = judgements([(found.difference[own], found.redrawn[:, own], found.sample[own]) for _, own in parts])
    by_logit = [difference_interval(logits, own) for _, own in parts]
    return Table(
        name="verdicts",
        columns={
            "class": [title for title, _ in parts],
            "class_id": np.array([TOGETHER if title == POOLED else found.class_id[own][0] for title, own in numbered]),
            "verdict": [str(one.verdict) for one in judged],
            **interval_columns("difference", [one.difference for one in judged], is_first=True),
            "objects": np.array([one.num_objects for one in judged], dtype=np.int64),
            "pictures": np.array([one.num_pictures for one in judged], dtype=np.int64),
            "needed": np.array([one.num_needed for one in judged], dtype=np.int64),
            **interval_columns("logit_difference", by_logit),
        },
    )


def classes_table(found: Decisions, names: Sequence[str]) -> Table:
    """Scores of every class and their falls, the placebo's among them."""
    parts = [(ALL, np.ones(len(found.sample), dtype=bool)), *groups(found, names)]
    falls = {
        "placebo_fall": found.own - found.placebo,
        "unusual_fall": found.own - found.unusual,
        "usual_fall": found.own - found.usual,
        "moved_fall": found.own - found.moved,
        "synthetic_fall": found.own - found.synthetic,
    }
    columns: dict[str, Any] = {
        "class": [title for title, _ in parts],
        "objects": np.array([int(own.sum()) for _, own in parts]),
        "score": np.array([_mean(found.own[own]) for _, own in parts]),
    }
    for name, values in falls.items():
        columns |= interval_columns(name, [mean_interval(values[own], found.sample[own]) for _, own in parts])
    columns |= interval_columns("difference", [difference_interval(found, own) for _, own in parts])
    return Table(name="classes", columns=columns)


def decisions_table(found: Decisions, objects: Objects, names: Sequence[str], keys: Sequence[str]) -> Table:
    """Every decision."""
    return Table(
        name="decisions",
        columns={
            "key": list(keys),
            "sample": found.sample,
            "object": objects.number[found.place],
            "class": [names[class_id] for class_id in found.class_id.tolist()],
            "has_outline": (~objects.is_boxed[found.place]).astype(np.int64),
            **{
                name: getattr(found, name)
                for name in ("own", "placebo", "unusual", "usual", "moved", "synthetic", "difference")
            },
        },
    )


def outcomes_table(found: Decisions, rows: Rows, names: Sequence[str]) -> Table:
    """What became of decisions before grounds of every kind, as shares of them, for all classes and for each."""
    owner = np.searchsorted(found.place, rows.place)
    lines: list[tuple[str, str, int, list[Interval]]] = []
    for title, own in [(ALL, np.ones(len(found.sample), dtype=bool)), *groups(found, names)]:
        for number, kind in enumerate(KINDS):
            chosen = own[owner] & (rows.kind == number)
            if kind is Kind.OWN or not chosen.any():
                continue
            samples = found.sample[owner[chosen]]
            shares = [
                share_interval((rows.outcome[chosen] == one).astype(np.float64), samples)
                for one in range(len(OUTCOMES))
            ]
            lines.append((title, str(kind), int(chosen.sum()), shares))
    columns: dict[str, Any] = {
        "class": [line[0] for line in lines],
        "ground": [line[1] for line in lines],
        "pictures": np.array([line[2] for line in lines], dtype=np.int64),
    }
    for number, outcome in enumerate(OUTCOMES):
        columns |= interval_columns(str(outcome).replace(" ", "_"), [line[3][number] for line in lines])
    return Table(name="outcomes", columns=columns)


def false_alarms_table(found: Decisions, objects: Objects, rows: Rows) -> Table:
    """Detections of no object, of annotated classes, per picture: as it is, and before synthetic grounds."""
    chosen = rows.kind == KINDS.index(Kind.SYNTHETIC)
    samples = found.sample[np.searchsorted(found.place, rows.place)]
    parts = {
        str(Kind.OWN): mean_interval(objects.false_alarms.astype(np.float64), objects.pictures),
        str(Kind.SYNTHETIC): mean_interval(rows.others[chosen].astype(np.float64), samples[chosen]),
    }
    columns: dict[str, Any] = {"ground": list(parts), **interval_columns("per_picture", list(parts.values()))}
    return Table(name="false_alarms", columns=columns)


def company_table(found: Decisions, rows: Rows, names: Sequence[str]) -> Table:
    """What the score of a class loses once the objects of another class are filled, the largest falls first."""
    chosen = np.flatnonzero(rows.kind == KINDS.index(Kind.COMPANY))
    owner = np.searchsorted(found.place, rows.place[chosen])
    falls = found.own[owner] - rows.score[chosen]
    lines = []
    pairs = set(zip(found.class_id[owner].tolist(), rows.source[chosen].tolist(), strict=True))
    for class_id, other in sorted(pairs):
        own = (found.class_id[owner] == class_id) & (rows.source[chosen] == other)
        samples = found.sample[owner[own]]
        counts = int(own.sum()), len(np.unique(samples))
        lines.append((names[class_id], names[other], counts, mean_interval(falls[own], samples)))
    lines.sort(key=lambda line: -line[3].value)
    columns: dict[str, Any] = {
        "class": [line[0] for line in lines],
        "without": [line[1] for line in lines],
        "objects": np.array([line[2][0] for line in lines], dtype=np.int64),
        "pictures": np.array([line[2][1] for line in lines], dtype=np.int64),
        **interval_columns("fall", [line[3] for line in lines]),
    }
    return Table(name="company", columns=columns)


def grounds_table(found: Decisions, objects: Objects, rows: Rows, names: Sequence[str], key: Any) -> Table:
    """Every object before every ground."""
    owner = np.searchsorted(found.place, rows.place)
    return Table(
        name="grounds",
        columns={
            "sample": found.sample[owner],
            "object": objects.number[rows.place],
            "class": [names[class_id] for class_id in found.class_id[owner].tolist()],
            "ground": [str(KINDS[number]) for number in rows.kind.tolist()],
            "is_own_place": rows.is_own_place.astype(np.int64),
            "source": list(_sources(rows, names, key)),
            "score": rows.score,
            "outcome": [str(OUTCOMES[number]) for number in rows.outcome.tolist()],
            "other_detections": rows.others,
        },
    )


def _sources(rows: Rows, names: Sequence[str], key: Any) -> Iterator[str]:
    """What grounds are, in words: keys of pictures, classes, numbers of synthetic ones."""
    for number, source in zip(rows.kind.tolist(), rows.source.tolist(), strict=True):
        kind = KINDS[number]
        if kind is Kind.COMPANY:
            yield names[source]
        else:
            yield str(source) if kind is Kind.SYNTHETIC else key(source)


def interval_columns(name: str, found: Sequence[Interval], *, is_first: bool = False) -> dict[str, Array]:
    """Columns of intervals; the ends of the table's first are 'low' and 'high'."""
    prefix = "" if is_first else f"{name}_"
    return {
        column: np.array([getattr(one, field) for one in found], dtype=np.float64)
        for column, field in ((name, "value"), (f"{prefix}low", "low"), (f"{prefix}high", "high"))
    }


def _mean(values: Array) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else math.nan


def outcome_share(table: Table, ground: Kind, outcome: Outcome) -> float:
    """How often decisions of all classes come out so; NaN where nothing tells."""
    column = str(outcome).replace(" ", "_")
    pairs = zip(table.columns["class"], table.columns["ground"], table.columns[column], strict=True)
    return next((float(value) for title, kind, value in pairs if (title, kind) == (ALL, str(ground))), math.nan)
