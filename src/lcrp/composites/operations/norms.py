"""Norms: by constants, merged into the linear map before them, and by statistics of their input."""

from typing import TYPE_CHECKING, Any

import torch

from lcrp.composites.operations.origin import LinearOutput, origin_of
from lcrp.composites.operations.signals import Arguments, Function, Options, is_signal, without_gradient
from lcrp.composites.operations.values import Elementwise, Scaling

if TYPE_CHECKING:
    from lcrp.composites.operations.mode import OperationRules


def batch_norm(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """torch.batch_norm, in evaluation mode a scaling of the channels.

    Never its own derivative: torch 2.14 computes a wrong one on CPUs for single samples that do not lie in channels
    last, if the gradient does.
    """
    return _batch_norm(mode, func, *args, **kwargs)


def l2_norm(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """L2 normalisation of channels, as one operation."""
    rule = mode.rule("l2_norm")
    if rule is None or not is_signal(args[0]):
        return mode.open(func, args, kwargs)
    return mode.explained(rule, Elementwise(), (args[0],), without_gradient(func, args, kwargs))


def _batch_norm(
    mode: "OperationRules",
    func: Function,
    input: torch.Tensor,  # noqa: A002
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    running_mean: torch.Tensor | None,
    running_var: torch.Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Any:
    if not is_signal(input) or training or running_mean is None or running_var is None:  # by the batch's statistics
        call = (input, weight, bias, running_mean, running_var, training, momentum, eps, cudnn_enabled)
        return mode.native(func, call, {})
    before = origin_of(input).linear
    known = (weight, bias, running_mean, running_var)
    scale, shift = mode.constants((*known, eps), lambda: _scaling(weight, bias, running_mean, running_var, eps))
    if before is not None and _fits(before, input, scale):
        linear = mode.constants((before.map, *known, eps), lambda: before.map.scaled(scale, shift))
        return mode.merged(_affine(mode, input, scale, shift, before.rule), before, linear, is_norm=True)
    rule = mode.rule("norm")
    y = _affine(mode, input, scale, shift, rule)
    if rule is None:
        return y
    return mode.explained(rule, Scaling(factor=_along(scale, input)), (input,), y)


def _fits(before: LinearOutput, x: torch.Tensor, scale: torch.Tensor) -> bool:
    """Whether the channels of a linear map are those of a norm."""
    return before.map.axis % x.ndim == 1 and before.map.num_outputs == len(scale)


def _affine(
    mode: "OperationRules", x: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor, rule: object
) -> torch.Tensor:
    """Scale times x plus shift; for the gradient if there is no rule."""
    if rule is None:
        return torch.addcmul(_along(shift, x), x, _along(scale, x))
    with torch.no_grad():
        return torch.addcmul(_along(shift, x), x, _along(scale, x))


def _along(values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """[C] in the shape [C, 1, ...] that broadcasts to x [B, C, ...]."""
    return values.view(-1, *[1] * (x.ndim - 2))


def _scaling(
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    mean: torch.Tensor,
    variance: torch.Tensor,
    eps: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Factor [C] and offset [C] of a BatchNorm in evaluation mode."""
    deviation = (variance.detach() + eps) ** 0.5
    scale = deviation.reciprocal() if weight is None else weight.detach() / deviation
    shift = -mean.detach() * scale
    return scale, shift if bias is None else shift + bias.detach()
