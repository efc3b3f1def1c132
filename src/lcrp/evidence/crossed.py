"""Means over crossed draws: pictures, and the grounds that several of them share, are drawn anew independently.

Decisions before the same ground are not independent, and a bootstrap over pictures alone does not know it. Here every
draw weighs grounds, too: within a decision its rows are averaged by how often their grounds were drawn.

Axes: N decision, R row of a decision, S draw.
"""

import math
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from lcrp.evidence.intervals import LEVEL, NUM_DRAWS, Interval, draws
from lcrp.evidence.student import student_quantile

Array = npt.NDArray[Any]


def redrawn_means(values: Array, owner: Array, source: Array, count: int, seed: int) -> Array:
    """Means of every decision's rows when their sources are drawn with replacement, [S, N].

    A decision none of whose sources is drawn keeps the plain mean; one without rows is NaN.

    Args:
        values: [R].
        owner: [R] decision of every row, from 0 to N - 1.
        source: [R] what several decisions share, as pictures that are their grounds.
        count: N.
        seed: of the draws, the same for all that have their sources in common.
    """
    means = np.full((NUM_DRAWS, count), np.nan)
    if not len(values):
        return means
    order = np.argsort(owner, kind="stable")
    values, owner = values[order], owner[order]
    number, places = np.unique(source[order], return_inverse=True)
    rate = np.full(len(number), 1 / len(number))
    drawn = np.random.default_rng(seed).multinomial(len(number), rate, size=NUM_DRAWS)[:, places].astype(np.float64)
    known, starts = np.unique(owner, return_index=True)
    total = np.add.reduceat(drawn, starts, axis=1)
    weighted = np.add.reduceat(drawn * values, starts, axis=1)
    plain = np.add.reduceat(values, starts) / np.add.reduceat(np.ones(len(values)), starts)
    means[:, known] = np.where(total > 0, weighted / np.where(total > 0, total, 1.0), plain)
    return means


def crossed_draws(values: Array, images: Array) -> Array:
    """Means of draws of pictures, [S], from values [S, N] whose grounds are drawn anew already, and N pictures."""
    _, owner = np.unique(images, return_inverse=True)
    drawn = draws(len(np.unique(images)), NUM_DRAWS)
    if not len(drawn):
        return np.empty(0)
    counts = np.stack([np.bincount(row, minlength=drawn.shape[1]) for row in drawn])[:, owner]  # [S, N]
    found: Array = (counts * values).sum(axis=1) / counts.sum(axis=1)
    return found


@lru_cache(maxsize=1024)
def expanded_level(num_images: int) -> float:
    """Level of a quantile that stands for 2.5 % of few images (the expanded percentile of Hesterberg 2015, 4.3).

    Percentiles of draws of n images are too narrow, by sqrt((n - 1) / n) and by the normal's tail in place of
    Student's.
    """
    far = student_quantile((1 - LEVEL) / 2, num_images - 1) * math.sqrt(num_images / (num_images - 1))
    return NormalDist().cdf(-far)


def expanded_interval(value: float, drawn: Array, num_images: int) -> Interval:
    """The interval around a number from its draws [S] of so many images; NaN of less than two."""
    if not len(drawn) or num_images < 2:
        return Interval(value=value, low=math.nan, high=math.nan)
    level = expanded_level(num_images)
    low, high = np.quantile(drawn, [level, 1 - level])
    return Interval(value=value, low=float(low), high=float(high))
