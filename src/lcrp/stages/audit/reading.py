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
from lcrp.decisions.rounds import few_images
from lcrp.evidence.matching import overlaps
from lcrp.stages.audit.grounds import Ground
from lcrp.stages.audit.objects import is_of_class
from lcrp.values.audit import Kind, Outcome
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
        others: [R] detections that are not of the object.
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


def rows_of(attributor: Attributor, place: int, class_id: int, grounds: Sequence[Ground]) -> dict[str, Array]:
    """One object before its grounds, as arrays by the names of `Rows`."""
    said = scores(attributor, [ground.image for ground in grounds], class_id, grounds)
    return {
        "place": np.full(len(grounds), place),
        "kind": np.array([KINDS.index(ground.kind) for ground in grounds]),
        "is_own_place": np.array([ground.is_own_place for ground in grounds]),
        "source": np.array([ground.source for ground in grounds]),
        **said,
    }


def scores(
    attributor: Attributor, images: Sequence[torch.Tensor], class_id: int, grounds: Sequence[Ground]
) -> dict[str, Array]:
    """What the network says of the object in V pictures: `score`, `outcome` and `others`, [V] each."""
    said: list[tuple[float, int, int]] = []
    for part in few_images(torch.stack(list(images)), attributor):
        output = attributor.output(part)
        own = grounds[len(said) : len(said) + len(part)]
        values = readouts(attributor, output, class_id, own)
        fates = _outcomes(attributor, part, output, class_id, own, values)
        said += [(value, *fate) for value, fate in zip(values, fates, strict=True)]
    score, outcome, others = zip(*said, strict=True)
    return {"score": np.array(score), "outcome": np.array(outcome), "others": np.array(others)}


def readouts(attributor: Attributor, output: NetworkOutput, class_id: int, grounds: Sequence[Ground]) -> list[float]:
    """How sure the network is of the object in each picture, whether it decides for it or not."""
    boxes = torch.tensor([ground.cutout.box for ground in grounds])
    masks = torch.stack([ground.cutout.mask for ground in grounds])
    values = attributor.task.readout(output, torch.full((len(grounds),), class_id), boxes, masks)
    return [float(value) for value in values]


def _outcomes(
    attributor: Attributor,
    images: torch.Tensor,
    output: NetworkOutput,
    class_id: int,
    grounds: Sequence[Ground],
    values: Sequence[float],
) -> list[tuple[int, int]]:
    """What became of the decision in each picture, and how many other detections there are."""
    task = attributor.task
    if not isinstance(task, BoxDecisions):
        predictions = task.predictions(output)
        return [
            (OUTCOMES.index(_of_mask(prediction, class_id, ground, value)), 0)
            for prediction, ground, value in zip(predictions, grounds, values, strict=True)
        ]
    found = []
    for candidates, ground in zip(read_candidates(attributor, images, output), grounds, strict=True):
        is_own = candidates.class_ids == class_id
        is_own &= overlaps(candidates.boxes, np.array([ground.cutout.box]))[:, 0] >= MIN_IOU
        is_kept = candidates.is_kept
        outcome = Outcome.GONE
        if is_own.any():
            outcome = Outcome.KEPT if (is_own & is_kept).any() else Outcome.BELOW
        found.append((OUTCOMES.index(outcome), int((is_kept & ~is_own).sum())))
    return found


def _of_mask(prediction: ClassMap, class_id: int, ground: Ground, value: float) -> Outcome:
    if is_of_class(prediction, class_id, ground.cutout.mask):
        return Outcome.KEPT
    return Outcome.BELOW if value >= LEAST_SCORE else Outcome.GONE
