"""Ablation: what a network says when channels of one layer are replaced.

Axes: V variant, C concept, M box of the raw output, K class, H W picture, h w feature map.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from torch.overrides import TorchFunctionMode

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
    What does not depend on the layer is computed once for all variants.

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

    with _JoinedBatches():
        output = attributor.altered(image, layer, ablate)
    return _of_batch(output, len(keep))


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
        channels = output.movedim(axis, 1)
        channels = channels.expand(len(values), *channels.shape[1:]).clone()
        channels[:, :, place[0], place[1]] = values.to(channels)
        return channels.movedim(1, axis)

    with _JoinedBatches():
        output = attributor.altered(image, layer, put)
    return _of_batch(output, len(values))


class _JoinedBatches(TorchFunctionMode):
    """Lets concatenations broadcast the batch axis, as sums and products do by themselves."""

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call the function, its tensors expanded if they are concatenated along another axis."""
        options = kwargs or {}
        if func in _CONCATENATIONS and args:
            dim = args[1] if len(args) > 1 else options.get("dim", 0)
            sizes = {len(tensor) for tensor in args[0]}
            if dim != 0 and len(sizes) == 2 and 1 in sizes:
                args = ([tensor.expand(max(sizes), *tensor.shape[1:]) for tensor in args[0]], *args[1:])
        return func(*args, **options)


_CONCATENATIONS = (torch.cat, torch.concat, torch.concatenate)


def _one_by_one(outputs: Sequence[NetworkOutput]) -> NetworkOutput:
    """Outputs for one variant each, of networks that take one picture, as one for all of them."""
    masks = [one for one in outputs if isinstance(one, QueryMasks)]
    if not masks:
        return KeptOutput(pictures=tuple(one.pictures[0] for one in outputs if isinstance(one, KeptOutput)))
    classes, cells = [one.class_logits for one in masks], [one.mask_logits for one in masks]
    return replace(masks[0], class_logits=torch.cat(classes), mask_logits=torch.cat(cells))


def _of_batch(output: NetworkOutput, size: int) -> NetworkOutput:
    """An output of which some parts are the same for all variants, with all of them [V, ...]."""

    def expanded(values: torch.Tensor) -> torch.Tensor:
        return values.detach().expand(size, *values.shape[1:])

    if isinstance(output, torch.Tensor):
        return expanded(output)
    if isinstance(output, KeptOutput):  # of which every one would keep its pass alive
        return KeptOutput(pictures=tuple(replace(one, logits=one.logits.detach()) for one in output.pictures))
    if isinstance(output, QueryMasks):
        return replace(output, class_logits=expanded(output.class_logits), mask_logits=expanded(output.mask_logits))
    objectness, masks = output.objectness_logits, output.masks
    if masks is not None:
        masks = replace(masks, coefficients=expanded(masks.coefficients), prototypes=expanded(masks.prototypes))
    return replace(
        output,
        boxes=expanded(output.boxes),
        class_logits=expanded(output.class_logits),
        objectness_logits=None if objectness is None else expanded(objectness),
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
