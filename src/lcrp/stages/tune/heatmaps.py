"""In which order a method looks at pixels."""

import torch

from lcrp.attribution.methods import Method, noise_for, positive_heatmaps
from lcrp.values.attribution import Attribution
from lcrp.values.prediction import at_least_float32
from lcrp.values.target import ExplainedTarget

NOISE_SIDE = 16  # cells of a random heatmap, which is resized: single pixels at random would be noise in the picture


def heatmap_of(
    method: Method, attribution: Attribution, layer: str, seed: int, explained: ExplainedTarget
) -> torch.Tensor:
    """The heatmap [H, W] of a method, signed where it is relevance or a gradient.

    Args:
        method: its composite gave the attribution.
        attribution: of one target.
        layer: whose map is resized by methods that do not reach the picture.
        seed: of random numbers.
        explained: the decision.

    Raises:
        LayerError: the method resizes the layer's map, and the layer has none.
    """
    if method.reading == "relevance":
        return at_least_float32(attribution.heatmap)[0]
    noise = noise_for(explained, (NOISE_SIDE, NOISE_SIDE), seed)[None].to(attribution.heatmap.device)
    return positive_heatmaps(method, attribution, layer, noise)[0]
