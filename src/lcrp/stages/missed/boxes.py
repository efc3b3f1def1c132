"""What a detector misses, as arrays that are kept, and as tables.

Axes: N object, D detection, P picture.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from lcrp.attribution.engine import Attributor
from lcrp.decisions.misses import Filter, Judged, candidates_in, judged
from lcrp.evidence.matching import matching
from lcrp.evidence.tide import Judged as Scored
from lcrp.evidence.tide import tide
from lcrp.stages.missed.tables import SIDES, joined, share_table, shares_table, sides
from lcrp.values.candidates import Fate
from lcrp.values.evidence import Table
from lcrp.values.missed import Alarm, Candidate, Mechanism
from lcrp.values.sample import Batch, Sample

Array = npt.NDArray[Any]
Parts = Sequence[Mapping[str, Array]]

MECHANISMS, ALARMS = tuple(Mechanism), tuple(Alarm)
_CANDIDATE = ("row", "class_id", "fate")
_NONE: Mapping[str, float] = {"row": -1, "class_id": -1, "fate": -1, "score": np.nan, "overlap": np.nan}


class BoxErrors:
    """Looks at the boxes of pictures.

    Args:
        class_names: of the network.
        data_names: the same, empty where the data annotates no such class.
        wanted: which detections count.
        least_score: above which a box that is not detected is a candidate.
    """

    def __init__(
        self, class_names: Sequence[str], data_names: Sequence[str], wanted: Filter, least_score: float
    ) -> None:
        self._names, self._known = tuple(class_names), [bool(name) for name in data_names]
        self._wanted, self._least = wanted, least_score

    def look(self, attributor: Attributor, batch: Batch) -> Iterator[tuple[Sample, Judged | None]]:
        """Every sample of a batch, and what is found in it; None for one without annotated boxes."""
        candidates = candidates_in(attributor, batch.images, self._least)
        for sample, row in zip(batch.samples, batch.rows, strict=True):
            annotation = sample.annotation
            is_bare = annotation is None or annotation.has_classes_alone
            yield sample, None if is_bare else judged(sample, candidates[row], self._wanted, self._known)

    def packed(self, found: Sequence[Judged]) -> dict[str, Array]:
        """What was found in some pictures, as arrays."""
        return {
            "pictures.sample": np.array([one.sample for one in found], dtype=np.int64),
            **_objects(found),
            **_detections(found),
        }

    def tables(self, parts: Parts, key: Callable[[int], str]) -> dict[str, Table]:
        """All that was found, as tables by name."""
        found = joined(parts)
        misses, alarms = _misses(found, self._names, key), _false_alarms(found, self._names, key)
        objects, detections = found["objects.class_id"], found["detections.class_id"]
        images = found["objects.sample"], found["detections.sample"]
        is_missed, kinds = found["objects.mechanism"], found["detections.kind"]
        tables = (
            share_table("classes", self._names, (objects, is_missed >= 0, images[0]), ("objects", "missed")),
            shares_table("mechanisms", "mechanism", MECHANISMS, self._names, (objects, is_missed, images[0])),
            share_table("detections", self._names, (detections, kinds >= 0, images[1]), ("detections", "false_alarms")),
            shares_table("alarm_kinds", "kind", ALARMS, self._names, (detections, kinds, images[1])),
            _tide(found),
            misses,
            alarms,
        )
        return {table.name: table for table in tables}


def _objects(found: Sequence[Judged]) -> dict[str, Array]:
    """Annotated objects, found ones and missed ones, with the candidate and the neighbour of those missed."""
    rows = [row for one in found for row in _object_rows(one)]
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]} if rows else _no_objects()
    return {f"objects.{name}": values for name, values in columns.items()}


def _object_rows(one: Judged) -> Iterator[dict[str, float]]:
    misses = {miss.number: miss for miss in one.misses()}
    for number, (label, box) in enumerate(zip(one.labels.tolist(), one.objects.tolist(), strict=True)):
        miss = misses.get(number)
        by = int(one.matching.detections[number])
        yield {
            **{"sample": one.sample, "number": number, "class_id": label},
            **dict(zip(SIDES, map(float, box), strict=True)),
            "row": -1 if by < 0 else int(one.candidates.rows[one.detections[by]]),
            "score": np.nan if by < 0 else float(one.candidates.scores[one.detections[by]]),
            "mechanism": -1 if miss is None else MECHANISMS.index(miss.mechanism),
            **_columns("candidate", None if miss is None else miss.candidate),
            **_columns("neighbour", None if miss is None else miss.neighbour),
        }


def _no_objects() -> dict[str, Array]:
    whole = ("sample", "number", "class_id", "row", "mechanism")
    names = [*whole, *SIDES, "score", *chain(_columns("candidate", None), _columns("neighbour", None))]
    is_whole = {*whole, *(f"{kind}_{name}" for kind in ("candidate", "neighbour") for name in _CANDIDATE)}
    return {name: np.zeros(0, dtype=np.int64 if name in is_whole else np.float64) for name in names}


def _columns(kind: str, one: Candidate | None) -> dict[str, float]:
    values = dict(_NONE) if one is None else {name: getattr(one, name) for name in _NONE}
    box = (float("nan"),) * 4 if one is None else one.box
    values = {name: int(value) if name in _CANDIDATE else float(value) for name, value in values.items()}
    return {f"{kind}_{name}": value for name, value in (values | dict(zip(SIDES, box, strict=True))).items()}


def _detections(found: Sequence[Judged]) -> dict[str, Array]:
    """What was detected, in the order of pictures and of scores."""
    parts = []
    for one in found:
        chosen = one.detections
        kinds = [-1 if kind is None else ALARMS.index(kind) for kind in one.matching.kinds]
        meant = np.where(one.matching.objects >= 0, one.matching.objects, one.matching.meant)
        has_one = meant >= 0
        overlap = np.zeros(len(chosen))
        overlap[has_one] = one.matching.overlap[np.flatnonzero(has_one), meant[has_one]]
        labels = np.full(len(chosen), -1)
        labels[has_one] = one.labels[meant[has_one]]
        parts.append(
            {
                "sample": np.full(len(chosen), one.sample),
                "row": one.candidates.rows[chosen],
                "class_id": one.candidates.class_ids[chosen],
                "score": one.candidates.scores[chosen],
                **dict(zip(SIDES, one.candidates.boxes[chosen].T, strict=True)),
                "kind": np.array(kinds, dtype=np.int64),
                "object_class": labels,
                "overlap": overlap,
            }
        )
    names = ("sample", "row", "class_id", "score", *SIDES, "kind", "object_class", "overlap")
    real = ("score", *SIDES, "overlap")
    empty = {name: np.zeros(0, dtype=np.float64 if name in real else np.int64) for name in names}
    return {f"detections.{name}": np.concatenate([one[name] for one in (empty, *parts)]) for name in names}


def _misses(found: Mapping[str, Array], names: Sequence[str], key: Callable[[int], str]) -> Table:
    own = {name.removeprefix("objects."): values for name, values in found.items() if name.startswith("objects.")}
    own = {name: values[own["mechanism"] >= 0] for name, values in own.items()}
    columns: dict[str, Any] = {
        "key": [key(sample) for sample in own["sample"].tolist()],
        "sample": own["sample"],
        "object": own["number"],
        "class": [names[label] for label in own["class_id"].tolist()],
        **sides(own),
        "mechanism": [MECHANISMS[number].value for number in own["mechanism"].tolist()],
    }
    for kind in ("candidate", "neighbour"):
        columns |= {
            f"{kind}_class": [names[label] if label >= 0 else "" for label in own[f"{kind}_class_id"].tolist()],
            f"{kind}_score": own[f"{kind}_score"],
            f"{kind}_iou": own[f"{kind}_overlap"],
            f"{kind}_fate": [str(Fate(fate)) if fate >= 0 else "" for fate in own[f"{kind}_fate"].tolist()],
            f"{kind}_row": own[f"{kind}_row"],
            **{f"{kind}_{side}": own[f"{kind}_{side}"] for side in SIDES},
        }
    return Table(name="misses", columns=columns)


def _false_alarms(found: Mapping[str, Array], names: Sequence[str], key: Callable[[int], str]) -> Table:
    own = {name.removeprefix("detections."): values for name, values in found.items() if name.startswith("detections.")}
    own = {name: values[own["kind"] >= 0] for name, values in own.items()}
    columns: dict[str, Any] = {
        "key": [key(sample) for sample in own["sample"].tolist()],
        "sample": own["sample"],
        "row": own["row"],
        "class": [names[label] for label in own["class_id"].tolist()],
        "score": own["score"],
        **sides(own),
        "kind": [ALARMS[number].value for number in own["kind"].tolist()],
        "object_class": [names[label] if label >= 0 else "" for label in own["object_class"].tolist()],
        "iou": own["overlap"],
    }
    return Table(name="false_alarms", columns=columns)


def _tide(found: Mapping[str, Array]) -> Table:
    """What errors of each kind cost, as AP50 that mending them would win."""
    kinds = ("detections", "objects")
    boxes = {kind: np.stack([found[f"{kind}.{side}"] for side in SIDES], axis=1) for kind in kinds}
    order = {kind: found[f"{kind}.sample"].argsort(kind="stable") for kind in kinds}
    by_picture = {kind: found[f"{kind}.sample"][order[kind]] for kind in kinds}
    pictures = []
    for sample in found["pictures.sample"].tolist():
        own, there = (order[kind][slice(*np.searchsorted(by_picture[kind], [sample, sample + 1]))] for kind in kinds)
        class_ids, labels = found["detections.class_id"][own], found["objects.class_id"][there]
        matched = matching(boxes["detections"][own], class_ids, boxes["objects"][there], labels)
        scores = found["detections.score"][own]
        pictures.append(Scored(scores=scores, class_ids=class_ids, labels=labels, matching=matched))
    totals = tide(pictures)
    return Table(name="tide", columns={"error": list(totals), "ap50": np.array(list(totals.values()))})
