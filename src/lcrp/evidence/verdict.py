"""A verdict in words: whose order of concepts to trust, at which layer, and where L-CRP loses.

Axes: L layer, S method, T target.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lcrp.evidence.intervals import Interval, mean_interval

Array = npt.NDArray[Any]
LEAST = 0.005  # logits; what is less is written as 0.00


@dataclass(frozen=True, slots=True, kw_only=True)
class Areas:
    """Areas of curves, large where an order is right.

    Attributes:
        flipping: [L, S, T] area over the curve of flipping; NaN where a layer does not lead to a target.
        insertion: [L, S, T] area under the curve of insertion.
        images: [T] picture of every target.
        layers: L names.
        methods: S names.
        is_lrp: S flags, whether the method is L-CRP.
        silent: names of methods whose every score is zero, so that their order is that of the channels.
    """

    flipping: Array
    insertion: Array
    images: Array
    layers: Sequence[str]
    methods: Sequence[str]
    is_lrp: Sequence[bool]
    silent: Sequence[str] = ()


def over_layers(values: Array) -> Array:
    """Mean over the layers that lead to a target, [L, ..., T] to [..., T]; NaN where none does."""
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    mean: Array = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return mean


def verdict(areas: Areas, model: str) -> str:
    """One paragraph: all it claims is told by 95 % intervals of paired differences over images.

    Args:
        areas: of at least one method.
        model: its name.
    """
    mean = over_layers(areas.flipping)  # [S, T]
    if not np.nan_to_num(areas.flipping).any() and not np.nan_to_num(areas.insertion).any():
        scores = (
            f"the scores of all {len(mean)} methods are" if len(mean) > 1 else f"the score of {areas.methods[0]} is"
        )
        return f"On {model}, taking concepts of these layers away changes no logit: {scores} zero, no order is best."
    if (
        max(np.nanmax(np.abs(np.nanmean(over_layers(one), axis=1))) for one in (areas.flipping, areas.insertion))
        < LEAST
    ):
        where = ", ".join(areas.layers)
        return (
            f"On {model}, taking concepts of {where} away changes a logit by less than {LEAST:g} on average: decisions "
            "hardly pass there, and no order is told to be best; choose other layers."
        )
    best = _best(mean)
    lead = mean_interval(mean[best], areas.images)
    claim = f"orders concepts best of {len(mean)} methods" if len(mean) > 1 else "alone was asked for"
    first = f"On {model}, {areas.methods[best]} {claim}: flipping them in its order costs the logit {lead} on average"
    if math.isnan(lead.low):
        return f"{first}; one image tells nothing of others."
    sentences = [f"{first}, with a 95 % interval over {len(np.unique(areas.images))} images"]
    rivals = [
        areas.methods[other]
        for other in range(len(mean))
        if other != best and not _difference(mean, best, other, areas.images).is_above(0.0)
    ]
    if rivals:
        sentences.append(f"not told apart from it: {', '.join(rivals)}")
    if areas.silent:
        sentences.append(f"of {', '.join(areas.silent)} all scores are zero, the order is that of the channels")
    sentences += [_chance(areas, mean, best), _layer(areas, best), _insertion(areas, best), *_losses(areas)]
    return "; ".join(sentence for sentence in sentences if sentence) + "."


def _best(mean: Array) -> int:
    return int(np.nanargmax(np.nanmean(mean, axis=1)))


def _difference(mean: Array, first: int, second: int, images: Array) -> Interval:
    """Mean of the paired difference of two methods."""
    return mean_interval(mean[first] - mean[second], images)


def _chance(areas: Areas, mean: Array, best: int) -> str:
    """Whether the best order is better than none."""
    if "random" not in areas.methods or areas.methods[best] == "random":
        return "" if "random" not in areas.methods else "no method beats a random order here: trust none of them"
    gain = _difference(mean, best, list(areas.methods).index("random"), areas.images)
    if gain.is_above(0.0):
        return f"that is {gain} more than a random order"
    return f"but a random order cannot be told from it (difference {gain}): trust none of them"


def _layer(areas: Areas, best: int) -> str:
    """The layer at which the best method gains most over a random order, or else has the largest area."""
    if len(areas.layers) < 2:
        return ""
    values, unit = areas.flipping[:, best], ""
    if "random" in areas.methods:
        if areas.methods[best] == "random":
            return ""
        values, unit = values - areas.flipping[:, list(areas.methods).index("random")], " above random"
    known = [place for place in range(len(values)) if not np.isnan(values[place]).all()]
    place = max(known, key=lambda layer: float(np.nanmean(values[layer])))
    gain = mean_interval(values[place], areas.images)
    return f"its order tells most at layer {areas.layers[place]} ({gain}{unit})"


def _insertion(areas: Areas, best: int) -> str:
    mean = over_layers(areas.insertion)
    other = _best(mean)
    if other == best:
        return "insertion agrees"
    if _difference(mean, other, best, areas.images).is_above(0.0):
        return f"insertion prefers {areas.methods[other]}"
    return f"insertion has {areas.methods[other]} first, without telling them apart"


def _losses(areas: Areas) -> list[str]:
    """Where the best L-CRP is clearly worse than the best of the others."""
    lrp = [method for method, flag in enumerate(areas.is_lrp) if flag]
    others = [method for method, flag in enumerate(areas.is_lrp) if not flag]
    if not lrp or not others:
        return []
    lost = []
    places = ("on average", *(f"at {layer}" for layer in areas.layers))
    for place, values in zip(places, (over_layers(areas.flipping), *areas.flipping), strict=True):
        if np.isnan(values).all():
            continue
        first = max(others, key=lambda method: float(np.nanmean(values[method])))
        second = max(lrp, key=lambda method: float(np.nanmean(values[method])))
        gap = _difference(values, first, second, areas.images)
        if gap.is_above(0.0):
            lost.append(f"{place} (to {areas.methods[first]} by {gap})")
    if not lost:
        return ["L-CRP loses clearly nowhere"]
    return [f"L-CRP loses {', '.join(lost)}"]
