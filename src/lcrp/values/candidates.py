"""Candidates: what a detector might have kept of one picture, and what removed each (no torch).

Axes: N candidate.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Fate(IntEnum):
    """What became of a candidate."""

    KEPT = 0
    FILTERED = 1  # by a person: another class, or too small
    BELOW_THRESHOLD = 2
    TOP_K = 3  # of too many before NMS
    NMS = 4
    MAX_DETECTIONS = 5

    def __str__(self) -> str:
        """In words."""
        return _WORDS[self]


_WORDS = {
    Fate.KEPT: "kept",
    Fate.FILTERED: "filtered",
    Fate.BELOW_THRESHOLD: "below threshold",
    Fate.TOP_K: "top k",
    Fate.NMS: "nms",
    Fate.MAX_DETECTIONS: "max detections",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Boxes of one picture before the selection, by descending score.

    A candidate is a row with its best class where a row has one box (YOLO, SSD), else a pair of row and class.

    Attributes:
        rows: [N] int64, rows of the raw output or of the class logits.
        boxes: [N, 4] float64 xyxy, in input pixels or in the picture's.
        class_ids: [N] int64.
        scores: [N] float64.
        fates: [N] int8, values of `Fate`.
        neighbours: [N] int64, number of the candidate that NMS preferred; -1 if it dropped none here.
        is_complete: whether these are all; False where the network tells only of those that it kept itself.
    """

    rows: Array
    boxes: Array
    class_ids: Array
    scores: Array
    fates: Array
    neighbours: Array
    is_complete: bool = True

    @property
    def is_kept(self) -> Array:
        """[N] bool, what is detected."""
        return np.asarray(self.fates == Fate.KEPT)

    def __len__(self) -> int:
        return len(self.rows)
