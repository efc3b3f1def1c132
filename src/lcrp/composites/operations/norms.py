"""Norms: by constants, merged into the linear map before them, and by statistics of their input."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from lcrp.composites.operations.origin import LinearOutput, linear_before
from lcrp.composites.operations.signals import Arguments, Function, Options, is_signal, without_gradient
from lcrp.composites.operations.values import Elementwise, Local, Scaling

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


def layer_norm(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """torch.layer_norm."""
    return _layer_norm(mode, func, *args, **kwargs)


def rms_norm(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """torch.rms_norm, which subtracts no mean."""
    return _rms_norm(mode, func, *args, **kwargs)


def group_norm(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """torch.group_norm."""
    return _group_norm(mode, func, *args, **kwargs)


def instance_norm(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """torch.instance_norm."""
    return _instance_norm(mode, func, *args, **kwargs)


def _layer_norm(
    mode: "OperationRules",
    func: Function,
    input: torch.Tensor,  # noqa: A002
    normalized_shape: list[int],
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Any:
    if is_signal(weight) or is_signal(bias):
        with mode:
            return _modulated(func(input, normalized_shape, None, None, eps), weight, bias)
    args = (input, normalized_shape, weight, bias, eps, cudnn_enable)
    dims, weight = tuple(range(-len(normalized_shape), 0)), mode.kept.values(weight)
    return _normalised(mode, func, args, lambda x: _standardised(x, dims, eps) * (1 if weight is None else weight))


def _rms_norm(
    mode: "OperationRules",
    func: Function,
    input: torch.Tensor,  # noqa: A002
    normalized_shape: list[int],
    weight: torch.Tensor | None = None,
    eps: float | None = None,
) -> Any:
    if is_signal(weight):
        with mode:
            return _modulated(func(input, normalized_shape, None, eps), weight, None)
    args = (input, normalized_shape, weight, eps)
    dims, weight = tuple(range(-len(normalized_shape), 0)), mode.kept.values(weight)
    least = torch.finfo(input.dtype).eps if eps is None else eps

    def normalised(x: torch.Tensor) -> torch.Tensor:
        scaled = x * (x.detach().square().mean(dims, keepdim=True) + least).rsqrt()
        return scaled if weight is None else scaled * weight

    return _normalised(mode, func, args, normalised)


def _group_norm(
    mode: "OperationRules",
    func: Function,
    input: torch.Tensor,  # noqa: A002
    num_groups: int,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Any:
    if is_signal(weight) or is_signal(bias):
        with mode:
            return _modulated(func(input, num_groups, None, None, eps), *_channels(input, weight, bias))
    args = (input, num_groups, weight, bias, eps, cudnn_enabled)
    weight = mode.kept.values(weight)

    def normalised(x: torch.Tensor) -> torch.Tensor:
        grouped = x.reshape(len(x), num_groups, -1)
        scaled = _standardised(grouped, (-1,), eps).reshape(x.shape)
        return scaled if weight is None else scaled * _along(weight, x)

    return _normalised(mode, func, args, normalised)


def _instance_norm(
    mode: "OperationRules",
    func: Function,
    input: torch.Tensor,  # noqa: A002
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    running_mean: torch.Tensor | None,
    running_var: torch.Tensor | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Any:
    rest = (running_mean, running_var, use_input_stats, momentum, eps, cudnn_enabled)
    if is_signal(weight) or is_signal(bias):
        with mode:
            return _modulated(func(input, None, None, *rest), *_channels(input, weight, bias))
    args = (input, weight, bias, *rest)
    if not use_input_stats:
        plain = (input, weight, bias, running_mean, running_var, False, momentum, eps, cudnn_enabled)
        return _batch_norm(mode, torch.batch_norm, *plain)
    _about_to_write(mode, running_mean, running_var)
    weight = mode.kept.values(weight)

    def normalised(x: torch.Tensor) -> torch.Tensor:
        scaled = _standardised(x, tuple(range(2, x.ndim)), eps)
        return scaled if weight is None else scaled * _along(weight, x)

    return _normalised(mode, func, args, normalised)


def _normalised(
    mode: "OperationRules", func: Function, args: Arguments, linear: Callable[[torch.Tensor], torch.Tensor]
) -> Any:
    """A normalisation by statistics of its input: linear, once its deviation is taken as a constant."""
    rule = mode.rule("normalisation")
    if rule is None or not is_signal(args[0]):
        return mode.native(func, args, {})
    return mode.explained(rule, Local(function=linear, has_constant=True), (args[0],), without_gradient(func, args, {}))


def _standardised(x: torch.Tensor, dims: tuple[int, ...], eps: float) -> torch.Tensor:
    """(x - mean) / deviation, the deviation as a constant."""
    variance = x.detach().var(dims, unbiased=False, keepdim=True)
    return (x - x.mean(dims, keepdim=True)) * (variance + eps).rsqrt()


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
    if training:
        _about_to_write(mode, running_mean, running_var)
    rest = (running_mean, running_var, training, momentum, eps, cudnn_enabled)
    if is_signal(weight) or is_signal(bias):
        with mode:
            return _modulated(func(input, None, None, *rest), *_channels(input, weight, bias))
    call = (input, weight, bias, *rest)
    if not is_signal(input):
        return mode.native(func, call, {})
    if training or running_mean is None or running_var is None:
        dims = (0, *range(2, input.ndim))
        return _normalised(
            mode, func, call, lambda x: _standardised(x, dims, eps) * (1 if weight is None else _along(weight, x))
        )
    before = linear_before(input)
    known = (weight, bias, running_mean, running_var)
    scale, shift = mode.constants((*known, eps), lambda: _scaling(weight, bias, running_mean, running_var, eps))
    if before is not None and _fits(before, input, scale):
        linear = mode.constants((before.map, *known, eps), lambda: before.map.scaled(scale).shifted(shift))
        return mode.merged(_affine(input, scale, shift, before.rule), before, linear, is_norm=True)
    rule = mode.rule("norm")
    y = _affine(input, scale, shift, rule)
    if rule is None:
        return y
    return mode.explained(rule, Scaling(factor=_along(scale, input)), (input,), y)


def _modulated(y: torch.Tensor, weight: torch.Tensor | None, bias: torch.Tensor | None) -> torch.Tensor:
    """A norm by factors and summands that depend on the picture, or some of them: products and sums as any others."""
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def _channels(x: torch.Tensor, *values: torch.Tensor | None) -> list[torch.Tensor | None]:
    return [None if one is None else _along(one, x) for one in values]


def _about_to_write(mode: "OperationRules", *statistics: torch.Tensor | None) -> None:
    """Of the input; C++ writes them, and counts no version."""
    for one in statistics:
        if one is not None:
            mode.written.about_to_write(one)


def _fits(before: LinearOutput, x: torch.Tensor, scale: torch.Tensor) -> bool:
    """Whether the channels of a linear map are those of a norm."""
    return before.map.axis % x.ndim == 1 and before.map.num_outputs == len(scale)


def _affine(x: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor, rule: object) -> torch.Tensor:
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
