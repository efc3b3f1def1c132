"""Linear maps of constants: convolutions and fully connected layers."""

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from lcrp.composites.operations.attention import matrices
from lcrp.composites.operations.linear_map import Geometry
from lcrp.composites.operations.signals import Arguments, Function, Options, is_signal

if TYPE_CHECKING:
    from lcrp.composites.operations.mode import OperationRules


def convolution(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """conv1d, conv2d, conv3d."""
    return _convolution(mode, func, *args, **kwargs)


def _convolution(
    mode: "OperationRules",
    func: Function,
    input: torch.Tensor,  # noqa: A002
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    axes, rest = weight.ndim - 2, (weight, bias, stride, padding, dilation, groups)
    if not is_signal(input) or is_signal(weight) or is_signal(bias):
        return _of_signals(mode, func, (input, *rest), axes)
    if input.ndim == weight.ndim - 1:
        return _of_one(mode, func, input, rest)
    strides, dilations = _each(stride, axes), _each(dilation, axes)
    if isinstance(padding, str):
        input, paddings = _numeric(mode, input, weight, dilations, padding)  # noqa: A001
    else:
        paddings = _each(padding, axes)
    geometry = Geometry(stride=strides, padding=paddings, dilation=dilations, output_padding=(0,) * axes, groups=groups)
    call = (input, weight, bias, strides, paddings, dilations, groups)
    return mode.linear("convolution", input, weight, bias, geometry, lambda: func(*call))


def transposed_convolution(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """conv_transpose1d, conv_transpose2d, conv_transpose3d."""
    return _transposed_convolution(mode, func, *args, **kwargs)


def _transposed_convolution(
    mode: "OperationRules",
    func: Function,
    input: torch.Tensor,  # noqa: A002
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    axes, rest = weight.ndim - 2, (weight, bias, stride, padding, output_padding, groups, dilation)
    if not is_signal(input) or is_signal(weight) or is_signal(bias):
        return _of_signals(mode, func, (input, *rest), axes)
    if input.ndim == weight.ndim - 1:
        return _of_one(mode, func, input, rest)
    geometry = Geometry(
        stride=_each(stride, axes),
        padding=_each(padding, axes),
        dilation=_each(dilation, axes),
        transposed=True,
        output_padding=_each(output_padding, axes),
        groups=groups,
    )
    return mode.linear("convolution", input, weight, bias, geometry, lambda: func(input, *rest))


def _of_signals(mode: "OperationRules", func: Function, args: Arguments, axes: int) -> Any:
    """A map whose weight or bias depends on the picture: a product of matrices and a sum."""
    x, weight, bias, *rest = args
    if not any(map(is_signal, args)) or mode.rule("matrix_product") is None:
        return mode.native(func, args, {})
    if bias is None:
        return matrices(mode, lambda one, other: func(one, other, None, *rest), (x, weight), {})
    with mode:
        return func(x, weight, None, *rest) + bias.view(-1, *[1] * axes)


def _of_one(mode: "OperationRules", func: Function, x: torch.Tensor, rest: Arguments) -> Any:
    """A convolution of a map without an axis of the batch."""
    with mode:
        return func(x.unsqueeze(0), *rest).squeeze(0)


def either_convolution(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """torch.ops.aten.convolution, transposed or not."""
    if kwargs or len(args) != 9 or not is_signal(args[0]):
        return mode.native(func, args, kwargs)
    x, weight, bias, stride, padding, dilation, transposed, output_padding, groups = args
    axes = weight.ndim - 2
    if transposed:
        plain: Function = (functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d)[
            axes - 1
        ]
        return _transposed_convolution(mode, plain, x, weight, bias, stride, padding, output_padding, groups, dilation)
    plain = (functional.conv1d, functional.conv2d, functional.conv3d)[axes - 1]
    return _convolution(mode, plain, x, weight, bias, stride, padding, dilation, groups)


def fully_connected(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Linear."""
    return _fully_connected(mode, func, *args, **kwargs)


def _fully_connected(
    mode: "OperationRules",
    func: Function,
    input: torch.Tensor,  # noqa: A002
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
) -> Any:
    if not is_signal(input) or is_signal(weight) or is_signal(bias) or weight.ndim != 2:
        return _of_signals(mode, func, (input, weight, bias), 0)
    return mode.linear("linear", input, weight, bias, None, lambda: func(input, weight, bias))


def _each(value: Any, axes: int) -> tuple[int, ...]:
    """One number per axis of the map."""
    return (value,) * axes if isinstance(value, int) else tuple(value) * (axes if len(value) == 1 < axes else 1)


def _numeric(
    mode: "OperationRules", x: torch.Tensor, weight: torch.Tensor, dilation: tuple[int, ...], padding: str
) -> tuple[torch.Tensor, tuple[int, ...]]:
    """Padding by name as numbers; where its two ends differ, the input is padded first."""
    totals = [0 if padding == "valid" else d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
    if all(total % 2 == 0 for total in totals):
        return x, tuple(total // 2 for total in totals)
    ends = [end for total in reversed(totals) for end in (total // 2, total - total // 2)]
    padded = mode.native(functional.pad, (x, ends), {})
    return padded, (0,) * len(totals)
