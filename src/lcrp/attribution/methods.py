"""Methods that say how much each concept counts: L-CRP under its composites, and what it is compared with.

Axes: T target, C concept, H W picture, h w feature map.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch.nn.functional import interpolate

from lcrp.attribution.concepts import activation_scores, relevance_scores
from lcrp.composites.spec import CompositeSpec
from lcrp.errors import LayerError
from lcrp.values.attribution import Attribution
from lcrp.values.prediction import at_least_float32
from lcrp.values.target import ExplainedTarget

Reading = Literal["relevance", "gradcam", "activation", "random"]

COMPARED: tuple[Reading, ...] = ("gradcam", "activation", "random")  # methods that need no composite of their own


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One way to score concepts.

    Attributes:
        name: of the composite, or of what is compared with it.
        reading: what is read from a backward round: 'relevance'; 'gradcam', max(a, 0) times the spatial mean of the
            gradient; 'activation', its maximum; 'random' numbers.
        composite: of the round, GRADIENT but for 'relevance'; methods that share it share backward rounds.
    """

    name: str
    reading: Reading
    composite: CompositeSpec

    @property
    def is_lrp(self) -> bool:
        """Whether it is L-CRP: relevance by rules, not by gradients."""
        return self.reading == "relevance" and self.composite.is_lrp

    def identity(self) -> list[object]:
        """All that determines its numbers, as plain values."""
        return [self.name, self.reading, self.composite.identity()]


def by_composite(methods: Iterable[Method]) -> dict[CompositeSpec, list[Method]]:
    """Methods that share backward rounds, in the order in which their composites come first."""
    groups: dict[CompositeSpec, list[Method]] = {}
    for method in methods:
        groups.setdefault(method.composite, []).append(method)
    return groups


def concept_vectors(
    method: Method, relevance: torch.Tensor, activation: torch.Tensor, noise: torch.Tensor
) -> torch.Tensor:
    """Signed score of every concept, divided by the scores' L1 norm (Dreyer et al. 2023, section 4), [T, C].

    Args:
        method: its composite gave the relevance.
        relevance: of T targets at a layer, [T, C, h, w].
        activation: of the layer, for each of them, [T, C, h, w].
        noise: [T, C] random numbers, the scores of 'random'.
    """
    match method.reading:
        case "relevance":
            return relevance_scores(relevance).score
        case "activation":
            return activation_scores(activation).score
        case "gradcam":
            return relevance_scores(_grad_cam(relevance, activation)).score
        case "random":
            return relevance_scores(noise[:, :, None, None]).score


def positive_heatmaps(method: Method, attribution: Attribution, layer: str, noise: torch.Tensor) -> torch.Tensor:
    """Where in the picture a method sees evidence for the targets, [T, H, W], not negative.

    'relevance' reaches the input by itself; the others are maps of one layer, summed over its concepts and resized.

    Args:
        method: its composite gave the attribution.
        attribution: of T targets.
        layer: name of a recorded layer.
        noise: [T, h, w] random numbers in [0, 1], the map of 'random'.

    Raises:
        LayerError: the method resizes the layer's map, and the layer has none.
    """
    if layer in attribution.without_map and method.reading in ("activation", "gradcam"):
        raise LayerError(
            f"layer '{layer}' has no map of the picture, as {method.name} needs it: it sees regions of interest, or "
            "runs more than once; choose another layer, or leave the method out",
            mend="Set model.layer or stage.methods.",
        )
    heatmap = at_least_float32(attribution.heatmap)
    match method.reading:
        case "relevance":
            return heatmap.clamp(min=0)
        case "activation":
            maps = at_least_float32(attribution.activation[layer]).clamp(min=0).sum(dim=1)
        case "gradcam":
            maps = _grad_cam(attribution.relevance[layer], attribution.activation[layer]).sum(dim=1).clamp(min=0)
        case "random":
            maps = noise.to(heatmap)
    size = tuple(heatmap.shape[-2:])
    return interpolate(maps[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]


def plays_part(gradient: torch.Tensor) -> torch.Tensor:
    """Whether a layer leads to each target at all, [T] bool, by the gradient [T, C, h, w] at its output."""
    return at_least_float32(gradient).abs().sum(dim=(1, 2, 3)) > 0


def noise_for(explained: ExplainedTarget, shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """Random numbers in [0, 1) of one target, the same whatever else is computed."""
    target = explained.target
    numbers = np.random.default_rng([seed, target.sample, target.class_id, target.item]).random(shape, dtype=np.float32)
    return torch.from_numpy(numbers)


def _grad_cam(gradient: torch.Tensor, activation: torch.Tensor) -> torch.Tensor:
    """Positive activation times the spatial mean of the gradient, [T, C, h, w] (Selvaraju et al. 2017, per channel)."""
    return at_least_float32(activation).clamp(min=0) * at_least_float32(gradient).mean(dim=(2, 3), keepdim=True)
