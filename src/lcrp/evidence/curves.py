"""Curves: how a read-out changes while channels are taken away, or are all that is kept.

Axes: S sample, X step.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def channel_counts(num_channels: int, num_steps: int) -> npt.NDArray[np.int64]:
    """Numbers of channels [X + 1] from none to all, evenly spaced and rounded to whole ones."""
    return np.rint(np.linspace(0, num_channels, num_steps + 1)).astype(np.int64)


def flipping_area(share: Array, readout: npt.NDArray[Any]) -> Array:
    """Area over the curve of flipping: minus the integral of f(x) - f(0), [S]; large where the order is right.

    Dreyer et al. 2023, section 4.1: channels are taken away, the most relevant first.

    Args:
        share: [X] share of the channels that are gone, from 0 to 1.
        readout: [S, X] read-out with as many gone.
    """
    return -_integral(share, np.asarray(readout, dtype=np.float64) - readout[:, :1])


def insertion_area(share: Array, readout: npt.NDArray[Any]) -> Array:
    """Area under the curve of insertion: the integral of f(x) - f(0), [S]; large where the order is right.

    Dreyer et al. 2023, section 4.1: channels are all that is kept, the most relevant first.

    Args:
        share: [X] share of the channels that are there, from 0 to 1.
        readout: [S, X] read-out with as many there.
    """
    return _integral(share, np.asarray(readout, dtype=np.float64) - readout[:, :1])


def _integral(share: Array, values: Array) -> Array:
    """Trapezoid rule over the last axis."""
    area: Array = ((values[:, 1:] + values[:, :-1]) / 2 * np.diff(share)).sum(axis=1)
    return area
