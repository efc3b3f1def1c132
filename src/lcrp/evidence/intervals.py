"""How sure a number is: intervals by drawing images anew.

Axes: N row.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

LEVEL = 0.95
NUM_DRAWS = 1000
CORRELATION, POSITIVE = (-1.0, 1.0), (0.0, np.inf)  # what numbers can be


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A number and the 95 % interval around it; NaN where there is too little to tell.

    Attributes:
        value: of all rows.
        low: lower end.
        high: upper end.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """For example ``0.52 (0.47 to 0.58)``, never ``-0.00``; the number alone if one picture tells of no others."""
        if math.isnan(self.value):
            return "not known"
        if math.isnan(self.low):
            return f"{self.value:z.2f}"
        return f"{self.value:z.2f} ({self.low:z.2f} to {self.high:z.2f})"

    def is_above(self, other: "Interval | float") -> bool:
        """Whether all of it lies above all of another interval, or above a number."""
        return self.low > (other.high if isinstance(other, Interval) else other)


def bootstrap(
    statistic: Callable[..., float],
    columns: Sequence[Array],
    images: Array,
    *,
    bounds: tuple[float, float],
    num_draws: int = NUM_DRAWS,
) -> Interval:
    """Bootstrap over images (Efron 1979): rows of one image come and go together.

    The draws are the same for every call with the same images, so that differences of paired series can be told.

    Args:
        statistic: a number from the columns, or from draws of their rows.
        columns: arrays [N, ...].
        images: [N] image that every row belongs to.
        bounds: smallest and largest value that the statistic can have.
        num_draws: how often images are drawn with replacement.

    Returns:
        The statistic of all rows, and the interval of its draws, as `centred_interval` gives it.
    """
    value = statistic(*columns) if len(images) else float("nan")
    _, owner = np.unique(images, return_inverse=True)
    rows_of = np.split(np.argsort(owner, kind="stable"), np.cumsum(np.bincount(owner))[:-1]) if len(images) else []
    drawn = [
        statistic(*(column[rows] for column in columns))
        for images_drawn in draws(len(rows_of), num_draws)
        for rows in [np.concatenate([rows_of[image] for image in images_drawn])]
    ]
    return centred_interval(value, np.array(drawn), bounds)


def mean_interval(values: Array, images: Array) -> Interval:
    """Mean of [N], with the quantiles of the means of images drawn with replacement; NaN values do not count."""
    known = ~np.isnan(values)
    value = float(values[known].mean()) if known.any() else float("nan")
    return percentile_interval(value, mean_draws(values[known], images[known]))


def mean_draws(values: Array, images: Array) -> Array:
    """Means of [N] in images that are drawn with replacement, [draw]; none of less than two images."""
    _, owner = np.unique(images, return_inverse=True)
    total, count = np.bincount(owner, weights=values), np.bincount(owner)
    drawn = draws(len(count), NUM_DRAWS)
    means: Array = total[drawn].sum(axis=1) / count[drawn].sum(axis=1) if len(drawn) else np.empty(0)
    return means


def share_interval(is_one: Array, images: Array) -> Interval:
    """Share of items, [N] 0 or 1, as `mean_interval`; of none or all of them Wilson's (1927), for as many pictures."""
    found = mean_interval(is_one, images)
    if len(is_one) and found.value in (0.0, 1.0):
        squared = NormalDist().inv_cdf((1.0 + LEVEL) / 2.0) ** 2
        far = squared / (len(np.unique(images)) + squared)
        return replace(found, low=found.value * (1.0 - far), high=found.value + (1.0 - found.value) * far)
    return found


def ratio_interval(part: Array, whole: Array, images: Array) -> Interval:
    """Sum of part over sum of whole, [N] each, with the quantiles of those of images drawn with replacement."""
    _, owner = np.unique(images, return_inverse=True)
    parts, wholes = np.bincount(owner, weights=part), np.bincount(owner, weights=whole)
    value = float(parts.sum() / wholes.sum()) if wholes.sum() else float("nan")
    rows = draws(len(wholes), NUM_DRAWS)
    if not len(rows):
        return percentile_interval(value, np.empty(0))
    drawn = wholes[rows].sum(axis=1)
    ratios = np.divide(parts[rows].sum(axis=1), drawn, out=np.full(len(drawn), np.nan), where=drawn > 0)
    return percentile_interval(value, ratios)


def draws(num_images: int, num_draws: int) -> npt.NDArray[np.int64]:
    """Numbers of images, drawn with replacement, [draw, image]; none of less than two images."""
    if num_images < 2:
        return np.empty((0, num_images), dtype=np.int64)
    return np.random.default_rng(0).integers(num_images, size=(num_draws, num_images))


def percentile_interval(value: float, drawn: Array) -> Interval:
    """The interval around a number from those of its draws [N] that are not NaN."""
    known = drawn[~np.isnan(drawn)]
    if not known.size:
        return Interval(value=value, low=float("nan"), high=float("nan"))
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value=value, low=float(low), high=float(high))


def centred_interval(value: float, drawn: Array, bounds: tuple[float, float]) -> Interval:
    """The interval of the draws [N], moved so that their mean lies at the number, within the bounds.

    A draw holds some images twice, which changes correlations and spreads on average (not means): their quantiles alone
    might not even hold the number.
    """
    moved = drawn + value - np.nanmean(drawn) if not np.isnan(drawn).all() else drawn
    return percentile_interval(value, np.clip(moved, *bounds))


def standard_error(values: Array) -> float:
    """Standard deviation over the square root of the number of values; NaN for less than two."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
