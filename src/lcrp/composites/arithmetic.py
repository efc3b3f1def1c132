"""What all rules compute with: linear maps with other weights, their adjoints, and signs.

Written for the operations that are fast on CPUs too: reductions and arithmetic take a fraction of the time of boolean
masks, and give the same bits.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from zennit.types import ConvolutionTranspose

STABILIZER = 1e-6  # if no other is given: added to the absolute value of denominators, as zennit does


def stabilised(denominator: torch.Tensor, stabilizer: float = STABILIZER) -> torch.Tensor:
    """Denominator + stabilizer with its sign, that of zero being positive."""
    without_sign = denominator + 0.0  # turns -0.0 into 0.0
    return without_sign.add_(torch.copysign(denominator.new_tensor(stabilizer), without_sign))


def where_positive(values: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
    """The values where a condition is positive, else zero; on CPUs many times faster than with a mask."""
    out: torch.Tensor = torch.ops.aten.threshold_backward(values, condition, 0)
    return out


def positive_part(values: torch.Tensor) -> torch.Tensor:
    """a+ = max(a, 0)."""
    return values.clamp(min=0)


def negative_part(values: torch.Tensor) -> torch.Tensor:
    """a- = min(a, 0)."""
    return values.clamp(max=0)


def has_negative(values: torch.Tensor) -> bool:
    """Whether any value is negative; a reduction, on CPUs many times faster than `any`."""
    return any(part.amin().item() < 0 for part in _glance_first(values))


def is_zero(values: torch.Tensor) -> bool:
    """Whether all values are zero; two reductions, since `aminmax` copies what is in channels last."""
    return all(part.amin().item() == 0 and part.amax().item() == 0 for part in _glance_first(values))


def _glance_first(values: torch.Tensor) -> Iterator[torch.Tensor]:
    """On CPUs the row in the middle, which mostly settles a question; then everything."""
    if values.ndim > 1 and not values.is_cuda:
        yield values.select(-2, values.shape[-2] // 2)
    yield values


def linear_map(
    module: nn.Module,
    x: torch.Tensor,
    weight: torch.Tensor,
    offset: torch.Tensor | None = None,
    *,
    groups: int | None = None,
    padded: bool = True,
) -> torch.Tensor:
    """What a layer makes of `x` with another weight and another bias.

    Args:
        module: convolution, transposed convolution or fully connected layer.
        x: [B, C, h, w], or [B, ..., C] for a fully connected layer.
        weight: in the shape of the layer's own, but for the groups.
        offset: [C] added to the channels of the output.
        groups: of channels, instead of the layer's own.
        padded: whether the layer pads `x` as it does; else not at all.
    """
    if isinstance(module, nn.Linear):
        return nn.functional.linear(x, weight, offset)
    out: torch.Tensor = torch.ops.aten.convolution(x, weight, offset, *_geometry(module, groups, padded=padded))
    return out


def adjoint(
    module: nn.Module,
    upper: torch.Tensor,
    x: torch.Tensor,
    weight: torch.Tensor,
    *,
    groups: int | None = None,
    padded: bool = True,
) -> torch.Tensor:
    """Gradient of <upper, linear_map(module, x, weight, ...)> with respect to x, in the shape of x."""
    if isinstance(module, nn.Linear):
        return upper @ weight
    if _skips_pixels(module):
        return _spread(nn.functional.conv2d(upper, weight.transpose(0, 1)), x, module.stride)
    geometry = _geometry(module, groups, padded=padded)
    backward = torch.ops.aten.convolution_backward
    lower: torch.Tensor = backward(upper, x, weight, None, *geometry, [True, False, False])[0]
    return lower


def bias(module: nn.Module) -> torch.Tensor:
    """Bias [C] of a linear layer; zeros if it has none."""
    weight, own = module.weight, module.bias
    assert isinstance(weight, torch.Tensor)
    if own is None:
        num_outputs = module.out_features if isinstance(module, nn.Linear) else module.out_channels
        assert isinstance(num_outputs, int)
        return weight.new_zeros(num_outputs)
    assert isinstance(own, torch.Tensor)
    return own.detach()


def pads_zeros(module: nn.Module) -> bool:
    """Whether a layer pads its input with a given number of zeros, or not at all."""
    return getattr(module, "padding_mode", "zeros") == "zeros" and not isinstance(getattr(module, "padding", 0), str)


def _spread(values: torch.Tensor, like: torch.Tensor, stride: Any) -> torch.Tensor:
    """Values at every so many rows and columns of a map, in the shape of `like`; zero in between."""
    spread = torch.zeros_like(like, dtype=values.dtype)
    spread[:, :, :: stride[0], :: stride[1]] = values
    return spread


def _skips_pixels(module: nn.Module) -> bool:
    """Whether a convolution sees single pixels and not all of them.

    oneDNN, as torch 2.15 has it, corrupts memory in the backward pass of such a one in channels last if it has less
    than 16 channels.
    """
    sees_pixels = isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1) and module.padding == (0, 0)
    return bool(sees_pixels and module.stride != (1, 1) and module.groups == 1)


def _geometry(module: nn.Module, groups: int | None, *, padded: bool) -> tuple[Any, ...]:
    """Stride, padding, dilation, whether transposed, output padding and groups of a convolution."""
    transposed = isinstance(module, ConvolutionTranspose)
    padding = module.padding if padded else (0,) * len(module.padding)  # type: ignore[arg-type]
    own = (module.stride, padding, module.dilation, transposed, module.output_padding)
    return *own, module.groups if groups is None else groups
