"""Ablation: what a network says when channels of one layer are replaced.

Axes: B batch, C concept, h w feature map.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

from lcrp.attribution.engine import Attributor
from lcrp.attribution.task import NetworkOutput

Ablation = Literal["zero", "mean", "resample"]


def ablated_output(
    attributor: Attributor, images: torch.Tensor, layer: str, keep: torch.Tensor, fill: torch.Tensor
) -> NetworkOutput:
    """Output of the network with some channels of a layer's output replaced.

    The layer's output is what concepts are read from: BatchNorm is merged into it, as the attributor's composite does.

    Args:
        attributor: within its context, recording nothing; its composite must leave forward passes alone.
        images: [B, 3, H, W] RGB in [0, 1].
        layer: name of the layer.
        keep: [B, C] bool, the channels that stay.
        fill: what the others become, broadcast to [B, C, h, w].
    """

    def replace(module: nn.Module, inputs: object, output: torch.Tensor) -> torch.Tensor:  # noqa: ARG001
        return torch.where(keep[:, :, None, None], output, fill.to(output))

    handle = attributor.network.get_submodule(layer).register_forward_hook(replace)
    try:
        return attributor.output(images)
    finally:
        handle.remove()


def fills(activation: torch.Tensor, ablation: Ablation) -> torch.Tensor:
    """What ablated channels of every image become, [B, C, h, w] or broadcast to it.

    Args:
        activation: [B, C, h, w] of a layer, for images drawn at random.
        ablation: 'zero'; 'mean' over the images and positions; 'resample': the same channel of the next image.
    """
    match ablation:
        case "zero":
            return torch.zeros_like(activation[:, :, :1, :1])
        case "mean":
            return activation.mean(dim=(0, 2, 3), keepdim=True).expand(len(activation), -1, -1, -1)
        case "resample":
            return activation.roll(-1, dims=0)


def flipping_masks(ranking: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
    """Channels that stay when the first so many of a ranking are taken away, [X, C] bool.

    Args:
        ranking: [C] channels, the most relevant first.
        counts: X numbers of channels. The complement of a mask keeps nothing but them: insertion.
    """
    place = torch.empty_like(ranking)
    place[ranking] = torch.arange(len(ranking), device=ranking.device)
    return place[None, :] >= torch.tensor(list(counts), device=ranking.device)[:, None]
