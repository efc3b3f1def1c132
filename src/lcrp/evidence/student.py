"""Student's t distribution (no torch, no scipy)."""

import math

import numpy as np


def student_tail(value: float, degrees: int) -> float:
    """How likely Student's t is above a number: with t = sqrt(degrees) tan(angle) it is cos(angle)^(degrees - 1)."""

    def area(low: float) -> float:
        angles = low + (math.pi / 2 - low) * (np.arange(4096) + 0.5) / 4096
        return float((np.cos(angles) ** (degrees - 1)).mean() * (math.pi / 2 - low))

    return area(math.atan(value / math.sqrt(degrees))) / area(-math.pi / 2)


def student_quantile(tail: float, degrees: int) -> float:
    """The number above which Student's t lies with a chance below one half, by bisection."""
    low, high = 0.0, 1.0
    while student_tail(high, degrees) > tail:
        low, high = high, 2 * high
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if student_tail(middle, degrees) > tail else (low, middle)
    return (low + high) / 2
