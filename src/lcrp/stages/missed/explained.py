"""Which missed objects are explained, and what would have carried them, as arrays that are kept, and as tables."""

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lcrp.decisions.auto import layers_with_places
from lcrp.decisions.lacking import lacking, searches
from lcrp.decisions.many import annotated_names
from lcrp.decisions.seen import Seen, found_object, missed_object, with_signs, without_detail
from lcrp.decisions.subject import Subject
from lcrp.errors import DataError, LayerError
from lcrp.runs.kept_units import kept_units
from lcrp.runs.run import Run
from lcrp.stages.missed.tables import SIDES, joined
from lcrp.storage.units import Arrays, Units
from lcrp.values.evidence import Table
from lcrp.values.geometry import Box
from lcrp.values.missed import AbsentConcept, Example, Lacking, Mechanism, Miss, Returned

Array = npt.NDArray[Any]

FOUND_OBJECTS = 16  # of a class, with which missed ones are compared

log = logging.getLogger(__name__)


def chosen_misses(misses: Sequence[Miss], most: int | None) -> list[Miss]:
    """The misses that are explained: of every class in turn the one whose candidate scored highest.

    Those whose box fits, and scored too low, come first; filtered ones are left out: settings and not the network
    missed them.

    Args:
        misses: all there are.
        most: at most so many; None for all.
    """
    by_class: dict[int, list[Miss]] = defaultdict(list)

    def place(one: Miss) -> tuple[bool, float]:
        return one.mechanism != Mechanism.BELOW_THRESHOLD, -(one.candidate.score if one.candidate else 0.0)

    for miss in sorted(misses, key=place):
        if miss.mechanism != Mechanism.FILTERED:
            by_class[miss.class_id].append(miss)
    rounds = max(map(len, by_class.values()), default=0)
    order = [own[turn] for turn in range(rounds) for own in by_class.values() if turn < len(own)]
    return order[:most]


def explained_misses(
    subject: Subject,
    misses: Sequence[Miss],
    found: Mapping[str, Array],
    units: Units,
    run: Run,
    *,
    layer: str | None = None,
) -> dict[str, Table]:
    """What would have carried missed objects, as tables by name.

    Args:
        subject: network and pictures.
        misses: that are explained.
        found: the objects of all pictures, as `BoxErrors.packed` has them.
        units: where results are kept.
        run: shows the progress.
        layer: whose concepts are told; None searches as `searches` says.

    Raises:
        Interrupted: SIGINT or SIGTERM came; the same call goes on from there.
    """
    by_name = {f"lacking_{one.sample:07d}_{one.number:04d}": one for one in _by_class(misses)}
    with run.progress(len(by_name), "explaining what is missed", "objects") as progress:
        comparing = _Comparing(subject, found, layer)

        def work(name: str) -> Arrays:
            try:
                return packed(comparing.lacking(by_name[name]))
            except (LayerError, DataError) as error:
                log.warning("object %d of %s: %s", by_name[name].number, by_name[name].key, error)
                return packed(None)

        parts = []
        for part in kept_units(units, by_name, work):
            progress.advance(1)
            parts.append(part)
    num_bare = sum(not len(part["lacking.sample"]) for part in parts)
    if num_bare:
        log.info("%d of them cannot be explained, most often since no box of their class touches them", num_bare)
    found_of = joined(parts or [packed(None)])
    return lacking_tables(found_of, subject.explainer.class_names, subject.dataset.key)


def _by_class(misses: Sequence[Miss]) -> list[Miss]:
    """Those of one class after the other, so that found objects are looked at once."""
    return sorted(misses, key=lambda one: (one.class_id, one.sample, one.number))


class _Comparing:
    """Compares missed objects with found ones of their class."""

    def __init__(self, subject: Subject, found: Mapping[str, Array], layer: str | None) -> None:
        self._subject, self._found, self._layer = subject, found, layer
        self._names = annotated_names(subject.dataset)
        self._explainer = subject.explainer
        self._searched: list[tuple[tuple[str, ...], float]] = []  # layers, and what of found objects passes them
        self._known: tuple[int, tuple[str, ...], list[Seen]] = (-1, (), [])

    def lacking(self, miss: Miss) -> Lacking | None:
        """What would have carried a missed object; None where no box of its class touches it, or no layer tells."""
        sample = self._subject.dataset[miss.sample]
        if not self._searched:
            self._explainer = with_signs(self._subject.explainer, sample)
            every = [self._layer] if self._layer else list(layers_with_places(self._explainer, sample))
            self._searched = searches(every)
        explainer, told = self._explainer, None
        for layers, least in self._searched:
            found = self._found_objects(miss.class_id, layers)
            with explainer.attributor(layers) as attributor:
                here = missed_object(attributor, sample, miss, self._names)
            told = None if here is None else lacking(explainer, sample, miss, here, found, layers, least=least)
            if here is None or (told is not None and (told.num_found or not found)):
                break
        return told

    def _found_objects(self, class_id: int, layers: tuple[str, ...]) -> list[Seen]:
        """Some of the objects of a class that are found, from as many pictures as there are."""
        if self._known[:2] != (class_id, layers):
            seen = []
            with self._explainer.attributor(layers) as attributor:
                for place in _spread_over_pictures(self._found, class_id):
                    try:
                        sample = self._subject.dataset[int(self._found["objects.sample"][place])]
                    except DataError:  # the pass told of it
                        continue
                    left, top, right, bottom = (float(self._found[f"objects.{side}"][place]) for side in SIDES)
                    box = sample.geometry.box_to_input((left, top, right, bottom))
                    row = int(self._found["objects.row"][place])
                    one = found_object(attributor, sample, box, class_id, row, self._names)
                    seen += [] if one is None else [without_detail(one)]
            self._known = class_id, layers, seen
        return self._known[2]


def _spread_over_pictures(found: Mapping[str, Array], class_id: int) -> list[int]:
    """Places of found objects of a class: the first one of every picture, then the second ones; spread evenly."""
    places = np.flatnonzero((found["objects.class_id"] == class_id) & (found["objects.mechanism"] < 0))
    turns: dict[int, int] = defaultdict(int)
    order = []
    for place in places.tolist():
        sample = int(found["objects.sample"][place])
        order.append((turns[sample], place))
        turns[sample] += 1
    first = [place for turn, place in order if not turn]
    if len(first) >= FOUND_OBJECTS:
        return [first[number * len(first) // FOUND_OBJECTS] for number in range(FOUND_OBJECTS)]
    return [place for _, place in sorted(order)][:FOUND_OBJECTS]


def packed(one: Lacking | None) -> dict[str, Array]:
    """What would have carried a missed object, as arrays by table and column; empty ones for None."""
    if one is None:
        return {name: np.zeros(0, dtype=dtype) for name, dtype in _DTYPES.items()}
    miss = one.miss
    shares = {"found": [fall[1] for fall in one.things], "here": [fall[2] for fall in one.things]}
    columns: dict[str, dict[str, list[Any]]] = {
        "lacking": {
            **{"class_id": [miss.class_id], "mechanism": [miss.mechanism.value], "row": [one.row]},
            **{"score": [one.score], "threshold": [one.threshold], "logit": [one.logit]},
            **{"layer": [one.layer], "layer_share": [one.layer_share]},
            **{"taken_for": [one.taken_for], "found_objects": [one.num_found], "donor": [one.donor]},
            **{"speaks_for": [one.speaks_for], "speaks_against": [one.speaks_against]},
            **{side: [value] for side, value in zip(SIDES, one.box, strict=True)},
        },
        "absent": {name: [getattr(part, name) for part in one.concepts] for name in _ABSENT},
        "returned": {column: [getattr(part, name) for part in one.returned] for column, name in _RETURNED.items()},
        "things": {"thing": [name for name, *_ in one.things], **shares},
        "examples": {
            **{column: [getattr(part, name) for part in one.examples] for column, name in _EXAMPLES.items()},
            **{side: [part.box[number] for part in one.examples] for number, side in enumerate(SIDES)},
        },
    }
    arrays = {}
    for table, own in columns.items():
        count = len(next(iter(own.values())))
        for column, values in {"sample": [miss.sample] * count, "object": [miss.number] * count, **own}.items():
            name = f"{table}.{column}"
            arrays[name] = np.array(values, dtype=None if count else _DTYPES[name])
    return arrays


_LACKING = (
    *("row", "score", "logit", "threshold", "layer", "layer_share"),
    *("taken_for", "donor", "speaks_for", "speaks_against"),
)
_ABSENT = ("concept", "found", "here", "gain")
_RETURNED = {
    **{"concepts": "num_concepts", "score": "score", "found": "is_found"},
    **{"random": "num_random", "random_found": "num_random_found"},
}
_EXAMPLES = {"concept": "concept", "example": "sample", "row": "row"}
_KINDS: Mapping[str, Mapping[type, str]] = {
    "lacking": {
        int: "sample object class_id row found_objects speaks_for speaks_against",
        float: f"score threshold logit layer_share {' '.join(SIDES)}",
        str: "mechanism layer taken_for donor",
    },
    "absent": {int: "sample object concept", float: "found here gain"},
    "returned": {int: "sample object concepts random random_found", float: "score", bool: "found"},
    "things": {int: "sample object", str: "thing", float: "found here"},
    "examples": {int: "sample object concept example row", float: " ".join(SIDES)},
}
_DTYPES = {
    f"{table}.{column}": np.dtype(kind)
    for table, kinds in _KINDS.items()
    for kind, columns in kinds.items()
    for column in columns.split()
}


def lacking_tables(
    found: Mapping[str, Array], class_names: Sequence[str], key: Callable[[int], str]
) -> dict[str, Table]:
    """What was found of explained misses, as tables by name.

    Args:
        found: arrays of all of them, as `packed`.
        class_names: of the network.
        key: of a picture, by its index.
    """
    tables: dict[str, Table] = {}
    for name in _KINDS:
        own = {column.partition(".")[2]: values for column, values in found.items() if column.startswith(f"{name}.")}
        columns: dict[str, Any] = {"key": [key(sample) for sample in own["sample"].tolist()]}
        for column, values in own.items():
            if column == "class_id":
                columns["class"] = [class_names[class_id] for class_id in values.tolist()]
            else:
                columns[column] = [str(value) for value in values] if values.dtype.kind == "U" else values
        tables[name] = Table(name=name, columns=columns)
    return tables


def lacking_of(tables: Mapping[str, Table], misses: Sequence[Miss]) -> tuple[Lacking, ...]:
    """What would have carried the misses that were explained, from the tables that tell of it."""
    rows = {name: _by_object(tables[name]) for name in _KINDS}
    by_object = {(one.sample, one.number): one for one in misses}
    return tuple(
        _lacking(by_object[which], {name: rows[name].get(which, []) for name in _KINDS}) for which in rows["lacking"]
    )


def _by_object(table: Table) -> dict[tuple[int, int], list[dict[str, Any]]]:
    rows: dict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
    for values in table.rows():
        row = dict(zip(table.columns, values, strict=True))
        rows[int(row["sample"]), int(row["object"])].append(row)
    return rows


def _lacking(miss: Miss, rows: Mapping[str, list[dict[str, Any]]]) -> Lacking:
    (own,) = rows["lacking"]
    return Lacking(
        miss=miss,
        box=_box(own),
        **{
            name: own[name]
            for name in ("row", "score", "logit", "threshold", "layer", "layer_share", "taken_for", "donor")
        },
        **{name: own[name] for name in ("speaks_for", "speaks_against")},
        num_found=own["found_objects"],
        concepts=tuple(AbsentConcept(**{name: row[name] for name in _ABSENT}) for row in rows["absent"]),
        returned=tuple(
            Returned(**{name: row[column] for column, name in _RETURNED.items()}) for row in rows["returned"]
        ),
        things=tuple((row["thing"], row["found"], row["here"]) for row in rows["things"]),
        examples=tuple(
            Example(
                box=_box(row),
                class_id=miss.class_id,
                **{name: row[column] for column, name in _EXAMPLES.items()},
            )
            for row in rows["examples"]
        ),
    )


def _box(row: Mapping[str, Any]) -> Box:
    left, top, right, bottom = (float(row[side]) for side in SIDES)
    return left, top, right, bottom
