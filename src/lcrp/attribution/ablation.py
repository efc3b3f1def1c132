"""Ablation: what a network says when channels of one layer are replaced.

Axes: V variant, C concept, M box of the raw output, K class, H W picture, h w feature map.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch

from lcrp.attribution.engine import Attributor
from lcrp.attribution.task import NetworkOutput
from lcrp.errors import LayerError
from lcrp.values.prediction import KeptOutput
from lcrp.values.query_masks import QueryMasks

Ablation = Literal["zero", "mean", "resample"]


def ablated_outputs(
    attributor: Attributor, image: torch.Tensor, layer: str, keep: torch.Tensor, fill: torch.Tensor
) -> NetworkOutput:
    """What the network says of one picture, with other channels of a layer replaced in each of V variants.

    The layer's output is what concepts are read from: BatchNorm is merged into it, as the attributor's composite does.

    Args:
        attributor: within its context; its composite must leave forward passes alone.
        image: [1, 3, H, W] RGB in [0, 1].
        layer: name of the layer.
        keep: [V, C] bool, the channels that stay.
        fill: what the others become, broadcast to [V, C, h, w].

    Returns:
        The network's output for V variants.

    Raises:
        LayerError: the layer has no places where `fill` could lie.
    """
    if attributor.takes_one and len(keep) > 1:
        outputs = [ablated_outputs(attributor, image, layer, one[None], fill) for one in keep]
        return _one_by_one(outputs)

    def ablate(output: torch.Tensor, axis: int) -> torch.Tensor:
        channels = output.movedim(axis, 1)
        places = channels.shape[2:]
        is_map = fill.shape[2:] == (places if len(places) == 2 else (1, places.numel()))
        if not is_map and fill.shape[2:] != (1, 1):  # regions, or several calls, side by side
            raise LayerError(
                f"layer '{layer}' sees regions of interest, or runs more than once in a picture: values of another "
                "picture have no place there; leave the layer out, or ablate otherwise",
                mend="Set stage.ablations=[zero,mean].",
            )
        kept = keep.view(*keep.shape, *[1] * (channels.ndim - 2))
        values = fill.to(output).reshape(*fill.shape[:2], *(places if is_map else [1] * len(places)))
        return torch.where(kept, channels, values).movedim(1, axis)

    return _detached(attributor.altered(image.expand(len(keep), -1, -1, -1), layer, ablate))


def outputs_with(
    attributor: Attributor, image: torch.Tensor, layer: str, place: tuple[slice, slice], values: torch.Tensor
) -> NetworkOutput:
    """What the network says of one picture, with other values at a place of a layer's output, in V variants.

    Args:
        attributor: within its context; its composite must leave forward passes alone.
        image: [1, 3, H, W] RGB in [0, 1].
        layer: name of a layer whose output is one map of the picture; as concepts are read from it, with its norm.
        place: rows and columns of the map.
        values: [V, C, h, w] for that place.

    Returns:
        The network's output for V variants.
    """
    if attributor.takes_one and len(values) > 1:
        return _one_by_one([outputs_with(attributor, image, layer, place, one[None]) for one in values])

    def put(output: torch.Tensor, axis: int) -> torch.Tensor:
        channels = output.movedim(axis, 1).clone()
        channels[:, :, place[0], place[1]] = values.to(channels)
        return channels.movedim(1, axis)

    return _detached(attributor.altered(image.expand(len(values), -1, -1, -1), layer, put))


def _one_by_one(outputs: Sequence[NetworkOutput]) -> NetworkOutput:
    """Outputs for one variant each, of networks that take one picture, as one for all of them."""
    masks = [one for one in outputs if isinstance(one, QueryMasks)]
    if not masks:
        return KeptOutput(pictures=tuple(one.pictures[0] for one in outputs if isinstance(one, KeptOutput)))
    classes, cells = [one.class_logits for one in masks], [one.mask_logits for one in masks]
    return replace(masks[0], class_logits=torch.cat(classes), mask_logits=torch.cat(cells))


def _detached(output: NetworkOutput) -> NetworkOutput:
    """An output that keeps no pass alive."""
    if isinstance(output, torch.Tensor):
        return output.detach()
    if isinstance(output, KeptOutput):
        return KeptOutput(pictures=tuple(replace(one, logits=one.logits.detach()) for one in output.pictures))
    if isinstance(output, QueryMasks):
        return replace(output, class_logits=output.class_logits.detach(), mask_logits=output.mask_logits.detach())
    objectness, masks = output.objectness_logits, output.masks
    if masks is not None:
        masks = replace(masks, coefficients=masks.coefficients.detach(), prototypes=masks.prototypes.detach())
    return replace(
        output,
        boxes=output.boxes.detach(),
        class_logits=output.class_logits.detach(),
        objectness_logits=None if objectness is None else objectness.detach(),
        masks=masks,
    )


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
