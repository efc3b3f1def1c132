"""Connected regions of a mask.

Axes: H W picture.
"""

from typing import Any

import numpy as np
import numpy.typing as npt


def components(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Number of the connected region of every pixel, [H, W]; 0 outside, regions count from 1 in reading order.

    Pixels that touch at a corner are connected. Runs of a row are joined with those that they touch in the row above
    (Rosenfeld and Pfaltz 1966).

    Args:
        mask: [H, W].
    """
    parents = [0]
    labels = np.zeros(mask.shape, dtype=np.int64)
    above: list[tuple[int, int, int]] = []  # first column, column after the last, number
    for row in range(len(mask)):
        edges = np.flatnonzero(np.diff(mask[row].astype(np.int8), prepend=0, append=0)).tolist()
        own = []
        for start, end in zip(edges[::2], edges[1::2], strict=True):
            touching = [number for first, last, number in above if first <= end and start <= last]
            number = _joined(parents, touching)
            labels[row, start:end] = number
            own.append((start, end, number))
        above = own
    roots = np.array([_root(parents, number) for number in range(len(parents))])
    return _renumbered(roots)[labels]


def _joined(parents: list[int], touching: list[int]) -> int:
    """One number for a run and all that it touches."""
    if not touching:
        parents.append(len(parents))
        return len(parents) - 1
    roots = [_root(parents, number) for number in touching]
    least = min(roots)
    for root in roots:
        parents[root] = least
    return least


def _root(parents: list[int], number: int) -> int:
    while parents[number] != number:
        parents[number] = parents[parents[number]]
        number = parents[number]
    return number


def _renumbered(roots: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Roots as numbers without gaps; 0 stays."""
    return np.unique(roots, return_inverse=True)[1].astype(np.int64)
