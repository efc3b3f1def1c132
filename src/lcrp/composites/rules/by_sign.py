"""What rules that tell positive from negative contributions share; notation as in `lcrp.composites.rules`."""

import torch

from lcrp.composites.arithmetic import has_negative, negative_part, positive_part
from lcrp.composites.closed_form import Step, Tensors


def weights_by_sign(step: Step, factor: float = 1.0) -> Tensors:
    """Factor W+ for x+, and factor W- for x- where any x is negative."""
    above = step.weight(f"{factor} W+", lambda weight: factor * positive_part(weight))
    if not has_negative(step.x):
        return (above,)
    return above, step.weight(f"{factor} W-", lambda weight: factor * negative_part(weight))


def agreeing(step: Step, weights: Tensors, offset: torch.Tensor) -> torch.Tensor:
    """x+ * W+ (+ x- * W-) + offset [C]: what speaks for an output."""
    above, *below = weights
    if not below:
        return step.linear_map(step.x, above, offset)
    agreeing = step.linear_map(positive_part(step.x), above, offset)
    return agreeing.add_(step.linear_map(negative_part(step.x), below[0]))


def by_sign(x: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
    """x+ . positive + x- . negative; `positive` is overwritten."""
    return positive.mul_(positive_part(x)).addcmul_(negative_part(x), negative)
