"""Agreement of two series of numbers.

Axes: N pair.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def pearson(first: Array, second: Array) -> float:
    """Pearson's r of [N] and [N]; NaN if there are less than two pairs, or one of the series is constant."""
    if len(first) < 2:
        return float("nan")
    a, b = (np.asarray(values, dtype=np.float64) - np.mean(values, dtype=np.float64) for values in (first, second))
    norm = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / norm if norm > 0 else float("nan")


def spearman(first: Array, second: Array) -> float:
    """Spearman's rank correlation: Pearson's r of the ranks, equal values sharing their mean rank."""
    return pearson(ranks(first), ranks(second))


def rmse(first: Array, second: Array) -> float:
    """Root mean square of the differences of [N] and [N]; NaN if there are none."""
    difference = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    return float(np.sqrt(np.mean(difference**2))) if len(difference) else float("nan")


def ranks(values: Array) -> npt.NDArray[np.float64]:
    """Ranks [N] from 1 on; equal values share their mean rank."""
    _, group, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return np.asarray((last - (count - 1) / 2)[group], dtype=np.float64)
