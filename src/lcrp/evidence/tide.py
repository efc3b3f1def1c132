"""What errors of each kind cost a detector, in AP50 (TIDE: Bolya et al., ECCV 2020).

Axes: D detection, N object, I picture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lcrp.evidence.matching import Matching
from lcrp.values.missed import Alarm

Array = npt.NDArray[Any]

NAMES = {  # of the paper
    "Cls": Alarm.OTHER_CLASS,
    "Loc": Alarm.BOX_OFF,
    "Both": Alarm.BOTH,
    "Dupe": Alarm.DUPLICATE,
    "Bkg": Alarm.BACKGROUND,
}
MISS, FALSE_POSITIVE, FALSE_NEGATIVE = "Miss", "FalsePos", "FalseNeg"
RESOLUTION = 101  # recalls at which the precision is read, as COCO does


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One picture's detections by descending score, its objects, and how they match.

    Attributes:
        scores: [D].
        class_ids: [D].
        labels: [N].
        matching: of the two.
    """

    scores: Array
    class_ids: Array
    labels: Array
    matching: Matching


def tide(pictures: Sequence[Judged]) -> dict[str, float]:
    """AP50, and the AP50 that mending all errors of a kind would win, in percent.

    Mended are, each with all others left as they are: Cls and Loc by turning an alarm into the detection that it was
    meant to be, if it is the most confident one of both kinds that means an object that is missed, and by taking it
    away otherwise; Both, Dupe and Bkg by taking them away; Miss by not asking for objects that no alarm of the first
    two kinds means. FalsePos takes all false alarms to the end, FalseNeg asks for no missed object. Classes that have
    neither object nor detection do not count.

    Args:
        pictures: all of them.

    Returns:
        By name: AP50, Cls, Loc, Both, Dupe, Bkg, Miss, FalsePos, FalseNeg; empty if there is nothing to judge.
    """
    points, asked = _points(pictures), _asked(pictures)
    if not points.size and not asked:
        return {}
    base = _mean_precision(points, asked)
    mended = {name: _mended(pictures, points, alarm) for name, alarm in NAMES.items()}
    found = {name: _mean_precision(one, asked) for name, one in mended.items()}
    found[MISS] = _mean_precision(points, _asked(pictures, without=_uncovered))
    won = {name: max(0.0, value - base) for name, value in found.items()}
    sure = points.copy()
    sure["score"] = np.where(points["is_true"], 1.0, 0.0)
    won[FALSE_POSITIVE] = _mean_precision(sure, asked) - base
    won[FALSE_NEGATIVE] = _mean_precision(points, _asked(pictures, without=_missed)) - base
    return {"AP50": base, **won}


_POINT = np.dtype([("class_id", np.int64), ("score", np.float64), ("is_true", np.bool_), ("alarm", np.int64)])
_ALARMS = tuple(Alarm)


def _points(pictures: Sequence[Judged]) -> Array:
    """All detections."""
    parts = [np.zeros(0, _POINT)]
    for one in pictures:
        part = np.zeros(len(one.scores), _POINT)
        part["class_id"], part["score"] = one.class_ids, one.scores
        part["is_true"] = one.matching.objects >= 0
        part["alarm"] = [-1 if kind is None else _ALARMS.index(kind) for kind in one.matching.kinds]
        parts.append(part)
    return np.concatenate(parts)


def _mended(pictures: Sequence[Judged], points: Array, alarm: Alarm) -> Array:
    """Detections without the alarms of a kind, but for those that become what they were meant to be."""
    is_one = points["alarm"] == _ALARMS.index(alarm)
    parts, start = [points[~is_one]], 0
    for one in pictures if alarm in (Alarm.OTHER_CLASS, Alarm.BOX_OFF) else ():
        own = is_one[start : start + len(one.scores)]
        chosen = {meant: number for meant, number in _nearest_alarms(one).items() if own[number]}
        part = points[[start + number for number in chosen.values()]].copy()
        part["is_true"], part["class_id"] = True, one.labels[list(chosen)] if chosen else 0
        parts.append(part)
        start += len(one.scores)
    return np.concatenate(parts)


def _nearest_alarms(one: Judged) -> dict[int, int]:
    """By missed object, the most confident alarm of another class or with its box off that means it."""
    found: dict[int, int] = {}
    for number, kind in enumerate(one.matching.kinds):
        meant = int(one.matching.meant[number])
        if kind in (Alarm.OTHER_CLASS, Alarm.BOX_OFF) and one.matching.detections[meant] < 0:
            found.setdefault(meant, number)
    return found


def _missed(one: Judged) -> Array:
    """[N] bool, objects that nothing found."""
    return np.asarray(one.matching.detections < 0)


def _uncovered(one: Judged) -> Array:
    """[N] bool, those of them that no alarm of another class or a box off means."""
    return np.asarray(_missed(one) & ~np.isin(np.arange(len(one.labels)), list(_nearest_alarms(one))))


def _asked(pictures: Sequence[Judged], without: Any = None) -> dict[int, int]:
    """Objects of every class that is annotated."""
    counts: dict[int, int] = {}
    for one in pictures:
        left_out = np.zeros(len(one.labels), bool) if without is None else without(one)
        for label, is_out in zip(one.labels.tolist(), left_out.tolist(), strict=True):
            counts[label] = counts.get(label, 0) + (not is_out)
    return counts


def _mean_precision(points: Array, asked: Mapping[int, int]) -> float:
    """Mean over classes of the average precision, in percent."""
    classes = sorted({label for label, count in asked.items() if count} | set(points["class_id"].tolist()))
    found = [_precision(points[points["class_id"] == label], asked.get(label, 0)) for label in classes]
    return 100 * float(np.mean(found)) if found else 0.0


def _precision(points: Array, num_objects: int) -> float:
    """Average precision of one class: the mean over 101 recalls of the best precision at that recall or above."""
    if not num_objects or not len(points):
        return 0.0
    order = np.argsort(-points["score"], kind="stable")
    true = np.cumsum(points["is_true"][order])
    precision = np.maximum.accumulate((true / np.arange(1, len(true) + 1))[::-1])[::-1]
    places = np.searchsorted(true / num_objects, np.arange(RESOLUTION) / (RESOLUTION - 1), side="left")
    return float(np.where(places < len(precision), precision[np.minimum(places, len(precision) - 1)], 0.0).mean())
