"""Whether classes need their context: verdicts on differences, the false discovery rate controlled.

Axes: N decision, K class, S draw.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from lcrp.evidence.crossed import crossed_draws, expanded_interval
from lcrp.evidence.intervals import LEVEL, Interval
from lcrp.evidence.student import student_tail
from lcrp.values.audit import Verdict

Array = npt.NDArray[Any]

LEAST = 0.03  # of a score, which is a need
FEWEST = 10  # pictures that a verdict rests on
TAIL = (1 - LEVEL) / 2  # beyond either end of an interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What is said of a class.

    Attributes:
        verdict: in words.
        difference: of scores, in usual context less in unusual.
        num_objects: decisions that it rests on.
        num_pictures: in which these lie.
        num_needed: decisions that would probably tell, if these do not; 0 if they do, -1 where no number would.
    """

    verdict: Verdict
    difference: Interval
    num_objects: int
    num_pictures: int
    num_needed: int


def judgements(classes: Sequence[tuple[Array, Array, Array]]) -> list[Judgement]:
    """A verdict for every class, at a false discovery rate of 2.5 % on either side.

    A class needs its context where the lower end of the 95 % interval lies above `LEAST`, and the step-up procedure of
    Benjamini and Hochberg (1995) over all classes rejects that the difference is not larger; it does not where the same
    holds of the upper end. Draws are of pictures and of grounds (`crossed_draws`), intervals those of few pictures
    (`expanded_interval`), p-values the levels of intervals that just reach `LEAST`; of less than `FEWEST` pictures
    nothing is told.

    Args:
        classes: differences [N] of every class, the same with grounds drawn anew [S, N], and the picture of each [N].
    """
    found = [_judged(*one) for one in classes]
    needs, needs_not = (rejected(np.array([pair[side] for _, pair in found]), TAIL) for side in (0, 1))
    return [
        _with_verdict(one, bool(is_more), bool(is_less))
        for (one, _), is_more, is_less in zip(found, needs, needs_not, strict=True)
    ]


def rejected(p_values: Array, rate: float) -> npt.NDArray[np.bool_]:
    """Which of K hypotheses a false discovery rate rejects (Benjamini and Hochberg 1995); never those of NaN."""
    known = np.nan_to_num(p_values, nan=1.0)
    order = np.argsort(known, kind="stable")
    passes = np.flatnonzero(known[order] <= rate * np.arange(1, len(known) + 1) / max(1, len(known)))
    is_rejected = np.zeros(len(known), dtype=bool)
    is_rejected[order[: passes[-1] + 1 if len(passes) else 0]] = True
    return is_rejected


def _judged(values: Array, redrawn: Array, images: Array) -> tuple[Judgement, tuple[float, float]]:
    """A class, as yet without verdict; and the p-values of no more, and of no less, than `LEAST`."""
    drawn, num_images = crossed_draws(redrawn, images), len(np.unique(images))
    value = float(np.mean(values)) if len(values) else math.nan
    one = Judgement(
        verdict=Verdict.CANNOT_TELL,
        difference=expanded_interval(value, drawn, num_images),
        num_objects=len(values),
        num_pictures=num_images,
        num_needed=-1,
    )
    if num_images < FEWEST:
        return one, (math.nan, math.nan)
    far = drawn - LEAST
    return one, (p_value(value - LEAST, far, num_images), p_value(LEAST - value, -far, num_images))


def p_value(value: float, drawn: Array, num_images: int) -> float:
    """Of a number, that it is not above 0, from its draws [S] of `num_images` images.

    (k + 1) / (S + 1), where k of S draws lie on the other side, as the level of an expanded percentile; where none
    does, Student's t with the draws' standard deviation, if that is smaller: S draws cannot tell small enough values
    for many classes.
    """
    below, shrinkage = int((drawn <= 0).sum()), math.sqrt((num_images - 1) / num_images)
    far = -NormalDist().inv_cdf(min((below + 1) / (len(drawn) + 1), 1 - 1 / (len(drawn) + 1)))
    counted = student_tail(far * shrinkage, num_images - 1)
    if below:
        return counted
    error = float(drawn.std()) / shrinkage
    return min(counted, student_tail(value / error, num_images - 1) if error else 0.0)


def _with_verdict(one: Judgement, is_more: bool, is_less: bool) -> Judgement:
    found = one.difference
    if is_more and found.low > LEAST:
        return replace(one, verdict=Verdict.NEEDS, num_needed=0)
    if is_less and found.high < LEAST:
        return replace(one, verdict=Verdict.DOES_NOT, num_needed=0)
    if one.num_pictures < FEWEST:
        return one
    return replace(one, num_needed=num_needed(found, one.num_objects))


def num_needed(found: Interval, num_objects: int) -> int:
    """How many decisions would tell a difference from `LEAST`, were it and its spread as found; -1 if none would.

    The half width of an interval shrinks with the square root of their number.
    """
    far = abs(found.value - LEAST)
    if math.isnan(found.low) or not far:
        return -1
    half = (found.high - found.low) / 2
    return max(num_objects + 1, math.ceil(num_objects * (half / far) ** 2))
