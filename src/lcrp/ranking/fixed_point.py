"""Sums of normalised relevance as fixed point numbers: exact, whatever the order of adding.

A relevance r in [-1, 1] becomes the integer q = round(r * 2^32). Sums of q are int64. Squares need up to
65 bits each and are kept in two limbs, q^2 = high * 2^32 + low with 0 <= low < 2^32; after every addition
the carry of the low limb moves up, so equal multisets have equal limbs.

Axes: K class, C concept, T target.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from lcrp.values.statistics import FIXED_POINT_BITS, Moments

_LIMB_MASK = (1 << FIXED_POINT_BITS) - 1
_HALF_BITS = FIXED_POINT_BITS // 2
_HALF_MASK = (1 << _HALF_BITS) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedPointSums:
    """Sums per class and concept, all [K, C] int64.

    Attributes:
        total: sum in units of 2^-32.
        square_high: sum of squares, limb in units of 2^-32.
        square_low: sum of squares, limb in units of 2^-64, below 2^32.
    """

    total: torch.Tensor
    square_high: torch.Tensor
    square_low: torch.Tensor

    @classmethod
    def zeros(cls, num_classes: int, num_concepts: int, device: torch.device) -> "FixedPointSums":
        """Sums of nothing."""
        total, high, low = torch.zeros(3, num_classes, num_concepts, dtype=torch.int64, device=device)
        return cls(total=total, square_high=high, square_low=low)

    def __getitem__(self, index: tuple[torch.Tensor, torch.Tensor]) -> "FixedPointSums":
        """Sums of some rows [K'] and some concepts [C']."""
        rows, concepts = index[0][:, None], index[1]
        return FixedPointSums(
            total=self.total[rows, concepts],
            square_high=self.square_high[rows, concepts],
            square_low=self.square_low[rows, concepts],
        )

    @classmethod
    def concatenated(cls, parts: Sequence["FixedPointSums"]) -> "FixedPointSums":
        """Sums [K, C] of all concepts, from those of some each."""
        names = ("total", "square_high", "square_low")
        return cls(**{name: torch.cat([getattr(part, name) for part in parts], dim=1) for name in names})


def fixed_point(value: torch.Tensor) -> torch.Tensor:
    """round(value * 2^32) as int64, ties to even, of what `check_shares` lets pass."""
    return (value.to(torch.float64).clamp(-1, 1) * (1 << FIXED_POINT_BITS)).round().to(torch.int64)


def check_shares(largest: torch.Tensor) -> None:
    """Look at the largest size of values.

    Raises:
        ValueError: a value is not in [-1, 1] (up to the rounding of a sum of floats), or is NaN.
    """
    if not largest <= 1 + 1e-5:
        raise ValueError(f"normalised relevance must lie in [-1, 1], got {largest.item()}")


def squares(number: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Limbs (high, low) of the square of fixed point numbers in [-2^32, 2^32]: high * 2^32 + low.

    With |q| = a * 2^16 + b: q^2 = a^2 * 2^32 + 2 a b * 2^16 + b^2, all terms below 2^63.
    """
    upper, lower = number.abs() >> _HALF_BITS, number.abs() & _HALF_MASK
    mixed = 2 * upper * lower
    low = ((mixed & _HALF_MASK) << _HALF_BITS) + lower * lower
    return _carried(upper * upper + (mixed >> _HALF_BITS), low)


def class_sums(value: torch.Tensor, rows: torch.Tensor, num_classes: int) -> FixedPointSums:
    """Sums [K, C] of values [T, C] whose class is given by the row [T] it adds to."""
    number = fixed_point(value)
    high, low = squares(number)
    zeros = number.new_zeros(num_classes, value.shape[1])
    high, low = _carried(zeros.index_add(0, rows, high), zeros.index_add(0, rows, low))
    return FixedPointSums(total=zeros.index_add(0, rows, number), square_high=high, square_low=low)


def added(first: FixedPointSums, second: FixedPointSums) -> FixedPointSums:
    """Sum of two sums of the same shape."""
    high, low = _carried(first.square_high + second.square_high, first.square_low + second.square_low)
    return FixedPointSums(total=first.total + second.total, square_high=high, square_low=low)


def placed(given: FixedPointSums, rows: torch.Tensor, num_classes: int) -> FixedPointSums:
    """Sums [K', C] moved to the given rows [K'] of a larger table of zeros [K, C]."""
    zeros = given.total.new_zeros(num_classes, given.total.shape[1])
    return FixedPointSums(
        total=zeros.index_copy(0, rows, given.total),
        square_high=zeros.index_copy(0, rows, given.square_high),
        square_low=zeros.index_copy(0, rows, given.square_low),
    )


def moments(class_ids: Sequence[int], counts: Sequence[int], given: FixedPointSums) -> Moments:
    """Sums [K, C] as they are stored."""
    return Moments(
        class_ids=np.array(class_ids, dtype=np.int32),
        count=np.array(counts, dtype=np.int64),
        total=given.total.cpu().numpy(),
        square_high=given.square_high.cpu().numpy(),
        square_low=given.square_low.cpu().numpy(),
    )


def sums(stored: Moments, device: torch.device) -> FixedPointSums:
    """The inverse of `moments`."""
    return FixedPointSums(
        total=torch.tensor(stored.total, dtype=torch.int64, device=device),
        square_high=torch.tensor(stored.square_high, dtype=torch.int64, device=device),
        square_low=torch.tensor(stored.square_low, dtype=torch.int64, device=device),
    )


def _carried(high: torch.Tensor, low: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return high + (low >> FIXED_POINT_BITS), low & _LIMB_MASK
