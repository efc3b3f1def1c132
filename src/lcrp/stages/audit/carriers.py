"""The concepts that carry a class's dependence: what their relevance loses, and what the score loses without them.

All at the object's own place, over its own picture, the placebo, and pictures without the class.

Axes: V picture, C concept, N decision, H W picture.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from lcrp.attribution.elsewhere import Elsewhere
from lcrp.attribution.engine import Attributor
from lcrp.attribution.pixels import content_mask
from lcrp.decisions.together import few_images
from lcrp.stages.audit.differences import SMALLEST, logit
from lcrp.stages.audit.grounds import Ground
from lcrp.stages.audit.reading import readouts
from lcrp.values.audit import Kind
from lcrp.values.prediction import at_least_float32
from lcrp.values.sample import Sample
from lcrp.values.target import ExplainedTarget

Array = npt.NDArray[Any]

SHOWN = (Kind.OWN, Kind.PLACEBO, Kind.UNUSUAL)  # grounds at the own place, in this order


def at_own_place(grounds: Sequence[Ground]) -> list[Ground]:
    """Its own picture, the placebo, then the pictures without the class."""
    return [ground for kind in SHOWN for ground in grounds if ground.kind is kind and ground.is_own_place]


def relevance_rows(
    attributor: Attributor, layer: str, sample: Sample, explained: ExplainedTarget, grounds: Sequence[Ground]
) -> dict[str, Array]:
    """Relevance of one decision, seeded with the logits themselves, at the same rows or pixels of every picture.

    Args:
        attributor: within its context and recording the layer.
        layer: its name.
        sample: the object's own picture.
        explained: the decision there.
        grounds: its own picture, the placebo, and pictures without the class at its own place.

    Returns:
        `relevance` [1, V, C] of the concepts; `outside` [1, V] on what surrounds the object, of either sign; and
        `share` [1, V], how much of the positive relevance lies there.
    """
    around = content_mask(sample) & ~grounds[0].cutout.mask
    elsewhere = Elsewhere(attributor, explained)
    parts = [_relevance(attributor, layer, images, elsewhere, around) for images in _parts(attributor, grounds)]
    return {name: np.concatenate([part[name] for part in parts])[None] for name in parts[0]}


def _parts(attributor: Attributor, grounds: Sequence[Ground]) -> tuple[torch.Tensor, ...]:
    """Pictures [V, 3, H, W] that go through the network together; the object's own is the first of all."""
    images = torch.stack([ground.image for ground in grounds])
    return torch.split(images, 1 if attributor.takes_one else len(images))


def _relevance(
    attributor: Attributor, layer: str, images: torch.Tensor, elsewhere: Elsewhere, around: torch.Tensor
) -> dict[str, Array]:
    trace = attributor.forward(images)
    output, weights = elsewhere.weights(trace)
    attribution = trace.attribute(output, weights * output.detach())
    heatmaps = at_least_float32(attribution.heatmap).double().cpu()  # [V, H, W]
    positive, outside = heatmaps.clamp_min(0), heatmaps * around
    relevance = at_least_float32(attribution.relevance[layer]).double()
    return {
        "relevance": relevance.flatten(2).sum(dim=2).cpu().numpy(),
        "outside": outside.sum(dim=(1, 2)).numpy(),
        "share": ((positive * around).sum(dim=(1, 2)) / positive.sum(dim=(1, 2))).numpy(),
    }


def fall(values: Array) -> Array:
    """What [N, V, ...] loses from the placebo to the mean over pictures without the class, [N, ...]."""
    lost: Array = values[:, 1] - mean_of_known(values[:, 2:])
    return lost


def mean_of_known(values: Array) -> Array:
    """Mean over the second axis of what is not NaN; NaN where nothing is known."""
    known = ~np.isnan(values)
    total, count = np.where(known, values, 0.0).sum(axis=1), known.sum(axis=1)
    means: Array = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return means


def taylor_rows(
    attributor: Attributor, layer: str, explained: ExplainedTarget, grounds: Sequence[Ground]
) -> dict[str, Array]:
    """What the logit would lose in every picture without each concept, to first order: `taylor` [1, V, C].

    Gradient times activation, summed over places (Molchanov et al. 2017): relevance says what carries a decision, this
    what taking it away does, which is what candidates are chosen for.

    Args:
        attributor: within its context and recording the layer; its rules are plain gradients.
        layer: its name.
        explained: the decision in the object's own picture, which is the first of the grounds.
        grounds: its own picture, the placebo, and pictures without the class at its own place.
    """
    elsewhere = Elsewhere(attributor, explained)
    parts = [_taylor(attributor, layer, images, elsewhere) for images in _parts(attributor, grounds)]
    return {"taylor": np.concatenate(parts)[None]}


def _taylor(attributor: Attributor, layer: str, images: torch.Tensor, elsewhere: Elsewhere) -> Array:
    trace = attributor.forward(images)
    output, weights = elsewhere.weights(trace)
    lost = trace.seeded_relevance(layer, output, weights) * trace.activation[layer]
    return at_least_float32(lost).double().flatten(2).sum(dim=2).cpu().numpy()


def first_order(scores: Array, taylor: Array) -> Array:
    """What scores [N, V] would lose, [N, V, C], if their logits lost so much [N, V, C].

    A sure decision can do without much of its logit: what its score loses is told through the logistic function.
    """
    logits = logit(scores)[..., None]
    lost: Array = scores[..., None] - 1 / (1 + np.exp(taylor - logits))
    return lost


def candidates(scores: Array, taylor: Array, count: int) -> list[int]:
    """The concepts without which a class's fall would shrink most, to first order, and that usual surroundings need.

    Args:
        scores: [N, V] of its decisions.
        taylor: [N, V, C] what their logits would lose.
        count: of concepts, at most.
    """
    lost = first_order(scores, taylor)
    shrinkage = np.where(lost[:, 1].mean(axis=0) > SMALLEST, fall(lost).mean(axis=0), 0.0)
    order = np.argsort(-shrinkage, kind="stable")[:count]
    return [concept for concept in order.tolist() if shrinkage[concept] > 0]


def scores_without(
    attributor: Attributor, layer: str, groups: Sequence[Sequence[int]], class_id: int, grounds: Sequence[Ground]
) -> Array:
    """The score of an object in every picture once each group of concepts is set to zero, [group, V].

    Args:
        attributor: within its context; its composite leaves forward passes alone.
        layer: name of the layer.
        groups: of its concepts; an empty one takes nothing away.
        class_id: of the object.
        grounds: its own picture, the placebo, and pictures without the class at its own place.
    """
    images = torch.stack([ground.image for ground in grounds])
    return np.array([_scores_without(attributor, layer, group, class_id, images, grounds) for group in groups])


def _scores_without(
    attributor: Attributor,
    layer: str,
    group: Sequence[int],
    class_id: int,
    images: torch.Tensor,
    grounds: Sequence[Ground],
) -> list[float]:
    def silence(output: torch.Tensor, axis: int) -> torch.Tensor:
        return output.index_fill(axis, torch.tensor(group, device=output.device), 0)

    found: list[float] = []
    for part in few_images(images, attributor):
        output = attributor.altered(part, layer, silence) if group else attributor.output(part)
        found += readouts(attributor, output, class_id, grounds[len(found) : len(found) + len(part)])
    return found


def first_groups(concepts: Sequence[int]) -> list[tuple[int, ...]]:
    """The first concept, the first two, four, eight, and so on, and all of them."""
    sizes = [2**power for power in range(len(concepts).bit_length()) if 2**power < len(concepts)]
    return [tuple(concepts[:size]) for size in (*sizes, len(concepts))]


def padded(parts: Sequence[Mapping[str, Array]], num_pictures: int) -> dict[str, Array]:
    """Columns of several decisions together; pictures that one lacks are NaN.

    Args:
        parts: [1, V, ...] of every decision.
        num_pictures: V of the result.
    """
    return {name: np.concatenate([_padded(part[name], num_pictures) for part in parts]) for name in parts[0]}


def _padded(values: Array, num_pictures: int) -> Array:
    wanted = np.full((1, num_pictures, *values.shape[2:]), np.nan)
    wanted[:, : values.shape[1]] = values
    return wanted
