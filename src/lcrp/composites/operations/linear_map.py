"""Linear maps: what convolutions and fully connected layers are to their rules.

Axes: B batch, C channel, h w map.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from lcrp.composites.arithmetic import convolved, is_left_out


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """How a convolution slides over its input, as torch takes it, one number per axis of the map."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    transposed: bool = False
    output_padding: tuple[int, ...]
    groups: int

    def unpadded(self) -> "Geometry":
        """The same over an input that is padded already."""
        return replace(self, padding=(0,) * len(self.padding))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LinearMap:
    """y = x * W + b.

    Attributes:
        weight: as torch lays it out, without gradient: [outputs, inputs / groups, ...] of a convolution, [inputs,
            outputs / groups, ...] of a transposed one, [outputs, inputs] of a fully connected layer.
        bias: b [outputs]; None for zeros.
        scale: [outputs], by which the outputs of `weight` are multiplied in W; None for 1.
        geometry: of a convolution; None for a fully connected layer.
        made: weights that rules made of it, by name, so that each is made once.
    """

    weight: torch.Tensor
    bias: torch.Tensor | None
    scale: torch.Tensor | None = None
    geometry: Geometry | None = None
    made: dict[str, torch.Tensor] = field(default_factory=dict, repr=False)

    @property
    def axis(self) -> int:
        """Axis of the output's channels, which are its concepts."""
        return -1 if self.geometry is None else 1

    @property
    def num_outputs(self) -> int:
        """Channels of the output."""
        if self.geometry is None or not self.geometry.transposed:
            return self.weight.shape[0]
        return self.weight.shape[1] * self.geometry.groups

    @property
    def kernel_size(self) -> tuple[int, ...]:
        """Of a convolution; empty for a fully connected layer."""
        return tuple(self.weight.shape[2:])

    def modified(self, name: str, make: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """What a rule makes of W, made once."""
        if name not in self.made:
            self.made[name] = make(self._by_output())
        return self.made[name]

    def offset(self) -> torch.Tensor:
        """The bias [outputs]; zeros if there is none."""
        return self.weight.new_zeros(self.num_outputs) if self.bias is None else self.bias

    def scaled(self, scale: torch.Tensor) -> "LinearMap":
        """The map with its outputs multiplied by `scale` [outputs]."""
        bias = None if self.bias is None else self.bias * scale
        return replace(self, bias=bias, scale=scale if self.scale is None else self.scale * scale, made={})

    def shifted(self, shift: torch.Tensor) -> "LinearMap":
        """The map with `shift` [outputs] added to its outputs."""
        return replace(self, bias=shift if self.bias is None else self.bias + shift)

    def forward(
        self,
        x: torch.Tensor,
        weight: torch.Tensor,
        offset: torch.Tensor | None = None,
        *,
        groups: int | None = None,
        padded: bool = True,
    ) -> torch.Tensor:
        """What the map makes of `x` with another weight and another bias.

        Args:
            x: [B, C, h, w], or [..., C] for a fully connected layer.
            weight: in the shape of the map's own, but for the groups.
            offset: [outputs] added to the channels of the output.
            groups: of channels, instead of the map's own.
            padded: whether `x` is padded as the geometry says; else not at all.
        """
        if self.geometry is None:
            return nn.functional.linear(x, weight, offset)
        return convolved(x, weight, offset, *self._arguments(groups, padded=padded))

    def adjoint(
        self,
        upper: torch.Tensor,
        x: torch.Tensor,
        weight: torch.Tensor,
        *,
        groups: int | None = None,
        padded: bool = True,
    ) -> torch.Tensor:
        """Gradient of <upper, forward(x, weight, ...)> with respect to x, in the shape of x."""
        if self.geometry is None:
            return upper @ weight
        if self._is_by_pixel() and (self.geometry.stride != (1, 1) or is_left_out(upper, weight)):
            lower = convolved(upper, weight.transpose(0, 1), None, (1, 1), (0, 0), (1, 1), False, (0, 0), 1)
            return lower if self.geometry.stride == (1, 1) else _spread(lower, x, self.geometry.stride)
        backward = torch.ops.aten.convolution_backward
        arguments = self._arguments(groups, padded=padded)
        found: torch.Tensor = backward(upper, x, weight, None, *arguments, [True, False, False])[0]
        return found

    def _by_output(self) -> torch.Tensor:
        """W: the weight, every output's multiplied by its scale."""
        weight, scale, ones = self.weight, self.scale, [1] * (self.weight.ndim - 2)
        if scale is None:
            return weight
        if self.geometry is None or not self.geometry.transposed:
            return weight * scale.view(-1, 1, *ones)
        groups = self.geometry.groups
        grouped = weight.view(groups, -1, *weight.shape[1:]) * scale.view(groups, 1, -1, *ones)
        return grouped.view(weight.shape)

    def _arguments(self, groups: int | None, *, padded: bool) -> tuple[Any, ...]:
        """Of torch's convolutions."""
        assert self.geometry is not None
        own = self.geometry if padded else self.geometry.unpadded()
        groups = own.groups if groups is None else groups
        return own.stride, own.padding, own.dilation, own.transposed, own.output_padding, groups

    def _is_by_pixel(self) -> bool:
        """Whether the map sees single pixels, so that its adjoint is a map of the same kind.

        Torch's own backward pass is as fast but with one thread; and oneDNN, as torch 2.15 has it, corrupts memory in
        that of a map that skips pixels, in channels last, with less than 16 channels.
        """
        own = self.geometry
        assert own is not None
        return self.kernel_size == (1, 1) and own.padding == (0, 0) and not own.transposed and own.groups == 1


def _spread(values: torch.Tensor, like: torch.Tensor, stride: Sequence[int]) -> torch.Tensor:
    """Values at every so many rows and columns of a map, in the shape of `like`; zero in between."""
    spread = torch.zeros_like(like, dtype=values.dtype)
    spread[:, :, :: stride[0], :: stride[1]] = values
    return spread
