"""Why an object was missed: the first mechanism that applies.

Axes: C candidate, N object. Boxes are xyxy in pixels of the picture.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lcrp.evidence.matching import BACKGROUND, FOREGROUND, overlaps
from lcrp.values.candidates import Candidates, Fate
from lcrp.values.missed import Mechanism

Array = npt.NDArray[Any]


BY_FATE = {
    Fate.FILTERED: Mechanism.FILTERED,
    Fate.BELOW_THRESHOLD: Mechanism.BELOW_THRESHOLD,
    Fate.TOP_K: Mechanism.NEIGHBOUR,
    Fate.NMS: Mechanism.NEIGHBOUR,
    Fate.MAX_DETECTIONS: Mechanism.NEIGHBOUR,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why one object was missed.

    Attributes:
        mechanism: the first that applies.
        candidate: number of the candidate that tells; -1 if there is none.
        overlap: its IoU with the object; NaN if there is none.
    """

    mechanism: Mechanism
    candidate: int
    overlap: float


def causes(candidates: Candidates, objects: Array, labels: Array, missed: Array) -> list[Cause]:
    """Why objects of one picture were missed.

    A candidate is one for the object that it overlaps most: among those of its class, for that class; among all, where
    its class is another. So duplicates of a neighbour's detection are no candidates for an object beside it. Of the
    candidates of the object's class with an IoU of at least `FOREGROUND` the best one tells: what removed it is the
    mechanism. If there is none, it is another class that has such a candidate; else one of the object's class whose IoU
    is from `BACKGROUND` to `FOREGROUND`; else none.

    Args:
        candidates: of the picture, boxes in its pixels.
        objects: [N, 4] annotated boxes.
        labels: [N].
        missed: numbers of the objects that nothing found.
    """
    overlap = overlaps(candidates.boxes, objects)
    is_same = candidates.class_ids[:, None] == labels[None]
    own = _mine(overlap * is_same) * is_same
    foreign = _mine(overlap) * ~is_same
    return [_cause(candidates, own[:, number], foreign[:, number]) for number in missed.tolist()]


def _mine(overlap: Array) -> Array:
    """Overlaps [C, N], those alone with the object that a candidate overlaps most; 0 for the others."""
    if not overlap.size:
        return overlap
    kept = np.zeros_like(overlap)
    rows, best = np.arange(len(overlap)), overlap.argmax(axis=1)
    kept[rows, best] = overlap[rows, best]
    return kept


def _cause(candidates: Candidates, own: Array, foreign: Array) -> Cause:
    """By overlaps [C] of candidates of the object's class, and of others, with it; candidates lie by score."""
    for overlap, least, mechanism in (
        (own, FOREGROUND, None),
        (foreign, FOREGROUND, Mechanism.OTHER_CLASS),
        (own, BACKGROUND, Mechanism.BOX_OFF),
    ):
        near = np.flatnonzero(overlap >= least)
        if len(near):
            first = int(near[0])
            told = mechanism or BY_FATE[Fate(int(candidates.fates[first]))]
            return Cause(mechanism=told, candidate=first, overlap=float(overlap[first]))
    return Cause(mechanism=Mechanism.NO_CANDIDATE, candidate=-1, overlap=float("nan"))
