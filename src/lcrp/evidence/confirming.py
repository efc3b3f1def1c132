"""Whether one method is more faithful than another, by several measures, on decisions that did not choose it.

Axes: D decision, M measure.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lcrp.evidence.intervals import LEVEL, Interval, mean_interval
from lcrp.evidence.student import student_quantile

Array = npt.NDArray[Any]

FEWEST = 8  # decisions: as many coins show the same side in one of 128 throws


def differences(first: Array, second: Array, images: Array) -> list[Interval]:
    """Mean of the paired difference of [D, M] and [D, M] by every measure; above zero where the first is better.

    Less than eight decisions tell nothing of others: there the ends of the interval are NaN.
    """
    return [_interval(column, images) for column in _known(first, second).T]


def rank_gain(first: Array, second: Array, images: Array) -> Interval:
    """How much more often the first is ahead than behind, over measures, from -1 to 1; ends as of `differences`."""
    return _interval(_signs(first, second), images)


def is_better(first: Array, second: Array, images: Array) -> bool:
    """Whether the first of two methods [D, M] is ahead by its interval, and behind in nothing.

    Ahead: in the mean of ranks, or in at least one measure; as there are several ways to be ahead, each is looked at
    by an interval so much wider that all of them together are wrong as rarely as one 95 % interval (Bonferroni), and of
    Student's kind, which knows that decisions are few. A method that fails at a decision is not better, nor is one that
    was looked at on less than eight.

    Args:
        first: [D, M], large where good; -inf where it failed.
        second: [D, M] on the same decisions.
        images: [D] picture of every decision, one of each.
    """
    if len(first) < FEWEST or np.isneginf(first).any():
        return False
    columns = [_signs(first, second), *_known(first, second).T]
    is_ahead = any(_lower_end(column, len(columns)) > 0 for column in columns)
    is_behind = any(one.high < 0 for one in differences(first, second, images))
    return is_ahead and not is_behind


def _interval(values: Array, images: Array) -> Interval:
    found = mean_interval(values, images)
    is_enough = (~np.isnan(values)).sum() >= FEWEST
    return found if is_enough else replace(found, low=float("nan"), high=float("nan"))


def _known(first: Array, second: Array) -> Array:
    """Differences [D, M]; NaN where one of them failed or cannot be told."""
    known = np.isfinite(first) & np.isfinite(second)
    found: Array = np.where(known, np.where(known, first, 0.0) - np.where(known, second, 0.0), np.nan)
    return found


def _signs(first: Array, second: Array) -> Array:
    """Mean over measures of which is ahead, [D]; a method that failed is behind. NaN where no measure can be told."""
    signs = np.where(np.isnan(first) | np.isnan(second), np.nan, np.sign(np.nan_to_num(first) - np.nan_to_num(second)))
    count = (~np.isnan(signs)).sum(axis=1)
    total = np.nansum(signs, axis=1)
    found: Array = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return found


def _lower_end(values: Array, num_looks: int) -> float:
    """Lower end of the interval of a mean [D], as wide as several looks ask for; NaN where too little is known."""
    known = values[~np.isnan(values)]
    if len(known) < FEWEST:
        return float("nan")
    reach = student_quantile((1 - LEVEL) / 2 / num_looks, len(known) - 1)
    return float(known.mean() - reach * known.std(ddof=1) / np.sqrt(len(known)))
