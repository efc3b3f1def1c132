"""Localisation: where the positive part R+ of a heatmap lies.

Axes: F mask, H W picture.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Heatmap = npt.NDArray[np.floating[Any]]
Masks = npt.NDArray[np.bool_]


def shares(heatmap: Heatmap, masks: Masks) -> npt.NDArray[np.float64]:
    """Share of the positive relevance that lies in each mask: sum(R+ M_F) / sum(R+), [F] in [0, 1].

    Arras et al. 2022 call it relevance mass accuracy, for the mask of the object.

    Args:
        heatmap: [H, W].
        masks: [F, H, W].

    Returns:
        NaN if no relevance is positive.
    """
    positive = np.maximum(heatmap, 0).astype(np.float64)
    total = positive.sum()
    if not total > 0:
        return np.full(len(masks), np.nan)
    return np.array([positive[mask].sum() / total for mask in masks], dtype=np.float64)


def areas(masks: Masks) -> npt.NDArray[np.float64]:
    """Share of the picture that each mask [F, H, W] covers, [F]: what `shares` of an even heatmap would be."""
    return np.asarray(masks.mean(axis=(1, 2)), dtype=np.float64)


def rank_accuracy(heatmap: Heatmap, mask: npt.NDArray[np.bool_]) -> float:
    """Share of the |M| strongest pixels that lie in the mask, in [0, 1].

    Arras et al. 2022, relevance rank accuracy. A pixel without positive relevance is no hit, so that ties at zero
    are not decided by where pixels lie; of other equal pixels the upper left one is first.

    Args:
        heatmap: [H, W].
        mask: [H, W].

    Returns:
        NaN if the mask is empty, or no relevance is positive.
    """
    size = int(mask.sum())
    positive = np.maximum(heatmap, 0).ravel()
    if not size or not positive.any():
        return float("nan")
    strongest = np.argsort(-positive, kind="stable")[:size]
    return float((mask.ravel()[strongest] & (positive[strongest] > 0)).mean())
