"""Masks of single objects: which pixels they hold, and how their logits are seeded.

Axes: B batch, D detection, M row of the output, P prototype, h w prototypes, H W input.
"""

from collections.abc import Sequence

import torch
from torch.nn.functional import interpolate

from lcrp.attribution.pixels import centred_pixels
from lcrp.errors import TargetError
from lcrp.values.prediction import ObjectMasks
from lcrp.values.target import ExplainedTarget


def predicted_masks(masks: ObjectMasks, image: int, rows: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """Pixels within a row's box whose mask logit, resized bilinearly to the input, is positive: [D, H, W] bool.

    Args:
        masks: of all rows.
        image: which of the batch.
        rows: [D] int64.
        boxes: [D, 4] of these, xyxy in input pixels.
    """
    logits = masks.logits(image, rows.to(masks.coefficients.device))
    if not len(logits):
        return torch.zeros(0, *(masks.stride * side for side in logits.shape[1:]), dtype=torch.bool)
    resized = interpolate(logits[None], scale_factor=masks.stride, mode="bilinear", align_corners=False)[0]
    inside = [centred_pixels((box[0], box[1], box[2], box[3]), resized[0]) for box in boxes.tolist()]
    return ((resized > 0) & torch.stack(inside)).cpu()


def both_factors(masks: ObjectMasks) -> torch.Tensor:
    """Coefficients and prototypes side by side, [B, M P + P h w]: what the logits of all masks are made of."""
    return torch.cat([masks.coefficients.flatten(1), masks.prototypes.flatten(1)], dim=1)


def mask_seed(
    masks: ObjectMasks, explained: Sequence[ExplainedTarget | None], names: Sequence[str]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Relevance of the sum of a mask's logits over its places, split between the factors of every product.

    A logit is z_yx = sum_p c_p P_pyx. Of sum_(y, x in mask) z_yx, whose relevance is 1, the summand c_p P_pyx carries
    c_p P_pyx / sum z, one half for the coefficient and one for the prototype, as of every product of two signals.

    Args:
        masks: of all rows.
        explained: B targets; None for an image that takes no part.
        names: of the classes.

    Returns:
        `both_factors` and their seed, of the same shape.

    Raises:
        TargetError: no logit of a mask is positive.
    """
    seeds = []
    for image, one in enumerate(explained):
        coefficients = torch.zeros_like(masks.coefficients[image])
        prototypes = torch.zeros_like(masks.prototypes[image])
        if one is not None:
            chosen = masks.coefficients[image, one.row].detach()[:, None, None]
            places = _places(masks, image, one)
            if not places.any():
                raise TargetError(f"the mask of '{names[one.target.class_id]}' in {one.key} holds no pixel")
            products = chosen * masks.prototypes[image].detach() * places  # [P, h, w]
            shares = products / (2 * products.sum())
            coefficients[one.row], prototypes = shares.sum(dim=(1, 2)), shares
        seeds.append(torch.cat([coefficients.flatten(), prototypes.flatten()]))
    return both_factors(masks), torch.stack(seeds)


def mask_logits(masks: ObjectMasks, explained: Sequence[ExplainedTarget], pixels: torch.Tensor) -> torch.Tensor:
    """Mean logit of every target's mask over the pixels [B, H, W] of its object, [B]."""
    found = []
    for image, (one, own) in enumerate(zip(explained, pixels, strict=True)):
        logits = masks.logits(image, torch.tensor([one.row], device=masks.coefficients.device))
        resized = interpolate(logits[None], size=tuple(own.shape), mode="bilinear", align_corners=False)[0, 0]
        found.append(resized[own.to(resized.device)].mean())
    return torch.stack(found)


def _places(masks: ObjectMasks, image: int, explained: ExplainedTarget) -> torch.Tensor:
    """Places [h, w] of the prototypes that belong to a target's mask: positive, and in its box."""
    assert explained.box is not None
    left, top, right, bottom = (side / masks.stride for side in explained.box)
    logits = masks.logits(image, torch.tensor([explained.row], device=masks.coefficients.device))[0]
    return (logits > 0) & centred_pixels((left, top, right, bottom), logits)
