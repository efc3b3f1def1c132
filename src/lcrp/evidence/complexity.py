"""Complexity: how many concepts an explanation needs, and how steady it is within a class.

Axes: S sample, C concept.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

MOST = 0.8  # of the relevance


def share_for_most(vectors: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Smallest share of the concepts that carries 80 % of the absolute relevance (NC80), [S].

    Args:
        vectors: [S, C] relevance of the concepts. A vector of zeros needs none.
    """
    strength = np.abs(np.asarray(vectors, dtype=np.float64))
    carried = np.cumsum(-np.sort(-strength, axis=1), axis=1)  # [S, C]
    missing = carried < MOST * strength.sum(axis=1, keepdims=True)
    needed = np.where(strength.any(axis=1), missing.sum(axis=1) + 1, 0)
    share: npt.NDArray[np.float64] = needed / strength.shape[1]
    return share


def deviation(vectors: npt.NDArray[Any], class_ids: npt.NDArray[np.integer]) -> float:
    """Mean over classes and concepts of the standard deviation of the relevance within a class.

    Dreyer et al. 2023, supplement: vectors are divided by their L1 norm first. Classes with one sample say nothing.

    Args:
        vectors: [S, C], each of L1 norm 1 (or 0).
        class_ids: [S].

    Returns:
        NaN if no class has two samples.
    """
    values = np.asarray(vectors, dtype=np.float64)
    members = [values[class_ids == class_id] for class_id in np.unique(class_ids)]
    spreads = [float(part.std(axis=0, ddof=1).mean()) for part in members if len(part) > 1]
    return float(np.mean(spreads)) if spreads else float("nan")
