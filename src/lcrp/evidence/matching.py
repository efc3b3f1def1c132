"""Which detection found which object, and what is wrong with the others.

Axes: D detection, N object, C candidate. Boxes are xyxy in pixels of the picture.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lcrp.values.missed import Alarm

Array = npt.NDArray[Any]

FOREGROUND = 0.5  # IoU from which on a detection found an object
BACKGROUND = 0.1  # IoU below which it has nothing to do with one


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """Detections and objects of one picture, one to one.

    Attributes:
        objects: [D] number of the object that each detection found; -1 for a false alarm.
        detections: [N] number of the detection that found each object; -1 for an object that is missed.
        kinds: [D] what is wrong, of false alarms; None for those that found something.
        meant: [D] number of the object that a false alarm has to do with; -1 for the background.
        overlap: [D, N] IoU.
    """

    objects: Array
    detections: Array
    kinds: tuple[Alarm | None, ...]
    meant: Array
    overlap: Array


def overlaps(boxes: Array, others: Array) -> Array:
    """IoU of boxes [D, 4] with others [N, 4], [D, N]; 0 of two without area."""
    left_top = np.maximum(boxes[:, None, :2], others[None, :, :2])
    right_bottom = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    common = (right_bottom - left_top).clip(0).prod(axis=2)
    union = _areas(boxes)[:, None] + _areas(others)[None] - common
    found: Array = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    return found


def matching(boxes: Array, class_ids: Array, objects: Array, labels: Array) -> Matching:
    """One to one as COCO does it, and the kinds of false alarms as TIDE does.

    By descending score, every detection takes the object of its class that it overlaps most among those that are not
    taken, if their IoU is at least `FOREGROUND`. What is wrong with the others is the first of:

    - box off: the IoU with an object of its class is from `BACKGROUND` to `FOREGROUND`, and none is larger;
    - other class: that with an object of another class is at least `FOREGROUND`;
    - duplicate: that with an object of its class, which is taken, is;
    - background: no IoU is above `BACKGROUND`;
    - both of the first two.

    Args:
        boxes: [D, 4] by descending score.
        class_ids: [D] of the detections.
        objects: [N, 4].
        labels: [N] of the objects.
    """
    overlap = overlaps(boxes, objects)
    is_same = class_ids[:, None] == labels[None]
    found, taken = np.full(len(boxes), -1), np.full(len(objects), -1)
    if len(objects):
        free = overlap * is_same
        for number in range(len(boxes)):
            best = int(free[number].argmax())
            if free[number, best] >= FOREGROUND:
                found[number], taken[best] = best, number
                free[:, best] = 0
    kinds: list[Alarm | None] = [None] * len(boxes)
    meant = np.full(len(boxes), -1)
    for number in np.flatnonzero(found < 0).tolist():
        kinds[number], meant[number] = _kind(overlap[number], is_same[number], taken >= 0)
    return Matching(objects=found, detections=taken, kinds=tuple(kinds), meant=meant, overlap=overlap)


def _kind(overlap: Array, is_same: Array, is_taken: Array) -> tuple[Alarm, int]:
    """What is wrong with one false alarm, by its overlaps [N], and the object that it has to do with."""
    if not len(overlap):
        return Alarm.BACKGROUND, -1
    own, foreign = overlap * is_same, overlap * ~is_same
    taken = own * is_taken
    if BACKGROUND <= own.max() <= FOREGROUND:
        return Alarm.BOX_OFF, int(own.argmax())
    if foreign.max() >= FOREGROUND:
        return Alarm.OTHER_CLASS, int(foreign.argmax())
    if taken.max() >= FOREGROUND:
        return Alarm.DUPLICATE, int(taken.argmax())
    if overlap.max() <= BACKGROUND:
        return Alarm.BACKGROUND, -1
    return Alarm.BOTH, int(overlap.argmax())


def _areas(boxes: Array) -> Array:
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).clip(0).prod(axis=1))
