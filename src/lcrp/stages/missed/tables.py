"""Tables of what is missed: shares with intervals, for all classes and for each.

Axes: N item, an object or a detection.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lcrp.evidence.intervals import share_interval
from lcrp.values.candidates import Fate
from lcrp.values.evidence import Table
from lcrp.values.geometry import Box
from lcrp.values.missed import Candidate, Mechanism, Miss

Array = npt.NDArray[Any]

SIDES = ("left", "top", "right", "bottom")
ALL = "all"  # classes together


def joined(parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """Arrays of all units, one after the other."""
    names = list(parts[0]) if parts else []
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def sides(own: Mapping[str, Array]) -> dict[str, Array]:
    """Columns of a box, in pixels of the picture."""
    return {side: own[side] for side in SIDES}


def of_classes(class_ids: Array, names: Sequence[str]) -> Iterator[tuple[str, Array]]:
    """All items, then those of every class that has some: what they are called, and which they are, [N] bool."""
    yield ALL, np.ones(len(class_ids), dtype=bool)
    for class_id in np.unique(class_ids).tolist():
        yield names[class_id], class_ids == class_id


def share_table(
    name: str, class_names: Sequence[str], items: tuple[Array, Array, Array], columns: tuple[str, str]
) -> Table:
    """How many items of every class are of one sort, and their share with its interval.

    Args:
        name: of the table.
        class_names: of the network.
        items: [N] class, whether it is of that sort, and picture.
        columns: what the items are called, and those of that sort.
    """
    class_ids, is_one, images = items
    rows = [
        (title, int(own.sum()), int(is_one[own].sum()), share_interval(is_one[own].astype(np.float64), images[own]))
        for title, own in of_classes(class_ids, class_names)
    ]
    return Table(
        name=name,
        columns={
            "class": [title for title, *_ in rows],
            columns[0]: np.array([total for _, total, *_ in rows]),
            columns[1]: np.array([count for *_, count, _ in rows]),
            **intervals([interval for *_, interval in rows]),
        },
    )


def shares_table(
    name: str,
    column: str,
    kinds: Sequence[str],
    class_names: Sequence[str],
    items: tuple[Array, Array, Array],
) -> Table:
    """How many items of every class are of each kind, and their share of all items of the class with its interval.

    Args:
        name: of the table.
        column: what kinds are called.
        kinds: of which an item may be one.
        class_names: of the network.
        items: [N] class, number of the kind or -1, and picture.
    """
    class_ids, kind_of, images = items
    rows = []
    for title, own in of_classes(class_ids, class_names):
        for number, kind in enumerate(kinds):
            is_one = (kind_of[own] == number).astype(np.float64)
            rows.append((title, str(kind), int(is_one.sum()), share_interval(is_one, images[own])))
    return Table(
        name=name,
        columns={
            "class": [title for title, *_ in rows],
            column: [kind for _, kind, *_ in rows],
            "count": np.array([count for *_, count, _ in rows]),
            **intervals([interval for *_, interval in rows]),
        },
    )


def misses_of(table: Table, class_names: Sequence[str]) -> tuple[Miss, ...]:
    """The missed objects that a table tells of.

    Args:
        table: 'misses', of a detector.
        class_names: of the network.
    """
    numbers = {name: number for number, name in enumerate(class_names)}
    fates = {str(fate): fate for fate in Fate}
    rows = (dict(zip(table.columns, row, strict=True)) for row in table.rows())
    return tuple(
        Miss(
            sample=row["sample"],
            key=row["key"],
            number=row["object"],
            class_id=numbers[row["class"]],
            box=_box(row, ""),
            mechanism=Mechanism(row["mechanism"]),
            candidate=_candidate(row, "candidate_", numbers, fates.get(row["candidate_fate"])),
            neighbour=_candidate(row, "neighbour_", numbers, fates.get(row["neighbour_fate"])),
        )
        for row in rows
    )


def _candidate(row: Mapping[str, Any], prefix: str, numbers: Mapping[str, int], fate: Fate | None) -> Candidate | None:
    if fate is None:
        return None
    return Candidate(
        row=row[f"{prefix}row"],
        class_id=numbers[row[f"{prefix}class"]],
        score=row[f"{prefix}score"],
        box=_box(row, prefix),
        overlap=row[f"{prefix}iou"],
        fate=fate,
    )


def _box(row: Mapping[str, Any], prefix: str) -> Box:
    left, top, right, bottom = (float(row[f"{prefix}{side}"]) for side in SIDES)
    return left, top, right, bottom


def intervals(found: Sequence[Any]) -> dict[str, Array]:
    """Columns of intervals."""
    return {
        column: np.array([getattr(one, field) for one in found], dtype=np.float64)
        for column, field in (("share", "value"), ("low", "low"), ("high", "high"))
    }
