"""What a network says of objects before their grounds, and what becomes of its decisions.

Axes: V picture, R row: an object before a ground.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from lcrp.attribution.boxes import BoxDecisions
from lcrp.attribution.engine import Attributor
from lcrp.attribution.task import NetworkOutput
from lcrp.decisions.annotated_objects import MIN_IOU
from lcrp.decisions.misses import LEAST_SCORE, read_candidates
from lcrp.decisions.together import few_images
from lcrp.evidence.matching import overlaps
from lcrp.stages.audit.grounds import Ground
from lcrp.stages.audit.objects import is_of_class
from lcrp.values.audit import Kind, Outcome
from lcrp.values.candidates import Candidates, Fate
from lcrp.values.prediction import ClassMap

Array = npt.NDArray[Any]

KINDS, OUTCOMES = tuple(Kind), tuple(Outcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Objects before grounds.

    Attributes:
        place: [R] of the object among all of the dataset.
        kind: [R] number of the ground's kind.
        is_own_place: [R] bool, whether the object was left where it stood, as `Ground` has it.
        source: [R] of the ground.
        score: [R] how sure the network is of the object, in [0, 1].
        outcome: [R] number of what became of the decision.
        others: [R] detections that are not of the object, of classes that the data annotates.
    """

    place: Array
    kind: Array
    is_own_place: Array
    source: Array
    score: Array
    outcome: Array
    others: Array

    @classmethod
    def joined(cls, parts: Sequence[Mapping[str, Array]]) -> "Rows":
        """Those of all units."""
        return cls(**{name: np.concatenate([part[name] for part in parts]) for name in cls.__slots__})

    @classmethod
    def none(cls) -> dict[str, Array]:
        """No rows, as arrays."""
        return {name: np.zeros(0, dtype=np.bool_ if name == "is_own_place" else np.int64) for name in cls.__slots__}


def rows_of(
    attributor: Attributor, place: int, class_id: int, grounds: Sequence[Ground], known: Sequence[bool]
) -> dict[str, Array]:
    """One object before its grounds, as arrays by the names of `Rows`; `known` as for `scores`."""
    said = scores(attributor, class_id, grounds, known)
    return {
        "place": np.full(len(grounds), place),
        "kind": np.array([KINDS.index(ground.kind) for ground in grounds]),
        "is_own_place": np.array([ground.is_own_place for ground in grounds]),
        "source": np.array([ground.source for ground in grounds]),
        **said,
    }


def scores(attributor: Attributor, class_id: int, grounds: Sequence[Ground], known: Sequence[bool]) -> dict[str, Array]:
    """What the network says of the object before V grounds: `score`, `outcome` and `others`, [V] each.

    Args:
        attributor: within its context.
        class_id: of the object.
        grounds: before which it stands.
        known: [K] whether the data annotates each of the network's classes.
    """
    said: list[tuple[float, int, int]] = []
    is_known = np.asarray(known, dtype=bool)
    for part in few_images(torch.stack([ground.image for ground in grounds]), attributor):
        output = attributor.output(part)
        own = grounds[len(said) : len(said) + len(part)]
        values = readouts(attributor, output, class_id, own)
        if isinstance(attributor.task, BoxDecisions):
            candidates = read_candidates(attributor, part, output)
            found = [_of_boxes(*pair, class_id, is_known) for pair in zip(candidates, own, strict=True)]
        else:
            predictions = attributor.task.predictions(output)
            masks = zip(predictions, own, values, strict=True)
            found = [(_of_mask(prediction, class_id, ground, value), 0) for prediction, ground, value in masks]
        said += [(value, OUTCOMES.index(one), others) for value, (one, others) in zip(values, found, strict=True)]
    score, outcome, others = zip(*said, strict=True)
    return {"score": np.array(score), "outcome": np.array(outcome), "others": np.array(others)}


def readouts(attributor: Attributor, output: NetworkOutput, class_id: int, grounds: Sequence[Ground]) -> list[float]:
    """How sure the network is of the object in each picture, whether it decides for it or not."""
    boxes = torch.tensor([ground.cutout.box for ground in grounds])
    masks = torch.stack([ground.cutout.mask for ground in grounds])
    values = attributor.task.readout(output, torch.full((len(grounds),), class_id), boxes, masks)
    return [float(value) for value in values]


def _of_boxes(found: Candidates, ground: Ground, class_id: int, is_known: Array) -> tuple[Outcome, int]:
    """What became of the decision in a picture, and how many other detections there are."""
    is_own = found.class_ids == class_id
    is_own &= overlaps(found.boxes, np.array([ground.cutout.box]))[:, 0] >= MIN_IOU
    others = int((found.is_kept & ~is_own & is_known[found.class_ids]).sum())
    return _of_fates(found.fates[is_own]), others


def _of_fates(fates: Array) -> Outcome:
    """What became of a decision, by the fates of its candidates [N]."""
    if not len(fates):
        return Outcome.GONE
    if (fates == Fate.KEPT).any():
        return Outcome.KEPT
    return Outcome.BELOW if (fates == Fate.BELOW_THRESHOLD).all() else Outcome.REMOVED


def _of_mask(prediction: ClassMap, class_id: int, ground: Ground, value: float) -> Outcome:
    if is_of_class(prediction, class_id, ground.cutout.mask):
        return Outcome.KEPT
    return Outcome.BELOW if value >= LEAST_SCORE else Outcome.GONE
