"""Context: how much concepts look at what surrounds the object, and how much they change when it is replaced.

Axes: N term, P pair of a class and a concept, S sample, V variant, C concept.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lcrp.evidence.correlation import pearson, rmse, spearman
from lcrp.evidence.intervals import CORRELATION, NUM_DRAWS, POSITIVE, Interval, centred_interval

Array = npt.NDArray[Any]

_MEASURES = {pearson: CORRELATION, spearman: CORRELATION, rmse: POSITIVE}  # and what they can be


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What single images say of pairs of a class and a concept.

    Attributes:
        pair: [N] number of the pair.
        image: [N] image that the term belongs to.
        value: [N] in [0, 1].
        weight: [N] of the value in the pair's mean, not negative.
    """

    pair: Array
    image: Array
    value: Array
    weight: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Whether context scores foretell sensitivities.

    Attributes:
        pearson: Pearson's r over the pairs, with its interval over images.
        spearman: of their ranks.
        rmse: root mean square of their differences.
        num_pairs: pairs for which both are known.
        num_images: images that told of them.
    """

    pearson: Interval
    spearman: Interval
    rmse: Interval
    num_pairs: int
    num_images: int


def pair_means(terms: Terms, num_pairs: int) -> npt.NDArray[np.float64]:
    """Weighted mean [P] of the values of every pair; NaN where the weights sum to 0.

    With weight 1 and the shares of relevance outside the object, it is the context score of Dreyer et al. 2023,
    section 4.3; with the positive relevance and its relative change, their sensitivity.
    """
    total = np.bincount(terms.pair, terms.weight, minlength=num_pairs)
    values = np.bincount(terms.pair, terms.weight * terms.value, minlength=num_pairs)
    mean: npt.NDArray[np.float64] = np.divide(values, total, out=np.full(num_pairs, np.nan), where=total > 0)
    return mean


def relative_change(before: Array, after: Array) -> npt.NDArray[np.float64]:
    """Mean over variants of min(1, |r0 - rv| / max(|r0|, |rv|)), [S, C]; 0 where both are 0.

    Dreyer et al. 2023, supplement: the sensitivity of a concept to the background, for one sample.

    Args:
        before: [S, C] relevance of the concepts in the picture as it is.
        after: [S, V, C] in its variants.
    """
    first = np.asarray(before, dtype=np.float64)[:, None]  # [S, 1, C]
    second = np.asarray(after, dtype=np.float64)
    largest = np.maximum(np.abs(first), np.abs(second))  # [S, V, C]
    change = np.divide(np.abs(first - second), largest, out=np.zeros_like(largest), where=largest > 0)
    mean: npt.NDArray[np.float64] = np.minimum(change, 1.0).mean(axis=1)
    return mean


def agreement(scores: Terms, changes: Terms, num_pairs: int, *, num_draws: int = NUM_DRAWS) -> Agreement:
    """How well context scores and sensitivities agree over the pairs, with bootstrap intervals over images.

    Every draw works both out anew from the terms of the images drawn.

    Args:
        scores: terms of the context scores.
        changes: terms of the sensitivities.
        num_pairs: of both.
        num_draws: how often images are drawn with replacement.
    """
    images, place = np.unique(np.concatenate([scores.image, changes.image]), return_inverse=True)
    places = np.split(place, [len(scores.image)])

    def measured(times: Array) -> tuple[int, list[float]]:
        """Of images that count so many times."""
        both = [
            pair_means(replace(terms, weight=terms.weight * times[where]), num_pairs)
            for terms, where in zip((scores, changes), places, strict=True)
        ]
        known = ~np.isnan(both[0] + both[1])
        context, sensitivity = both[0][known], both[1][known]
        return len(context), [measure(context, sensitivity) for measure in _MEASURES]

    size = len(images)
    num_known, values = measured(np.ones(size))
    generator = np.random.default_rng(0)
    num_draws = num_draws if size > 1 else 0
    drawn = [measured(np.bincount(generator.integers(size, size=size), minlength=size))[1] for _ in range(num_draws)]
    intervals = [
        centred_interval(value, np.array([draw[number] for draw in drawn]), bounds)
        for number, (value, bounds) in enumerate(zip(values, _MEASURES.values(), strict=True))
    ]
    return Agreement(
        pearson=intervals[0], spearman=intervals[1], rmse=intervals[2], num_pairs=num_known, num_images=size
    )
