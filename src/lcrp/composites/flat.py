"""The flat rule in closed form; notation as in `rules`."""

import torch
from torch import nn
from typing_extensions import override
from zennit import rules as zennit_rules

from lcrp.composites.arithmetic import STABILIZER, adjoint, linear_map, stabilised
from lcrp.composites.closed_form import Rule, Step, Tensors
from lcrp.models.layers import Sum


class Flat(Rule):
    """Flat rule (Lapuschkin et al., Nature Communications 10, 2019): every input of an output gets the same share."""

    general = zennit_rules.Flat

    @override
    def fits(self, module: nn.Module) -> bool:
        return super().fits(module) or isinstance(module, Sum)

    @override
    def step_type(self, module: nn.Module) -> type[Step]:
        if isinstance(module, Sum):
            return _FlatSumStep
        return _FlatLinearStep if isinstance(module, nn.Linear) else _FlatConvolutionStep


class _FlatSumStep(Step):
    def lower(self, upper: torch.Tensor) -> Tensors:
        return (upper / (len(self.inputs) + STABILIZER),) * len(self.inputs)


class _FlatLinearStep(Step):
    def prepare(self) -> None:
        self._scale = self.scale(self.x.new_full((1,), self.x.shape[-1] + STABILIZER))

    def lower(self, upper: torch.Tensor) -> torch.Tensor:
        return (upper * self._scale).sum(dim=-1, keepdim=True).expand_as(self.x)


class _FlatConvolutionStep(Step):
    """All channels of a group receive the same, so that one channel stands for them."""

    module: nn.Conv2d | nn.ConvTranspose2d

    def prepare(self) -> None:
        x = self.x
        self._ones = x.new_ones(1, 1, *self.module.kernel_size)
        self._channels = x.shape[1] // self.module.groups
        count = self._channels * linear_map(self.module, x.new_ones(1, 1, *x.shape[2:]), self._ones, groups=1)
        self._scale = self.scale(stabilised(count))

    def lower(self, upper: torch.Tensor) -> torch.Tensor:
        scaled, groups = upper * self._scale, self.module.groups
        shared = scaled.view(len(scaled), groups, -1, *scaled.shape[2:]).sum(dim=2).flatten(0, 1)[:, None]
        one = self.x[:, :1].expand(-1, groups, -1, -1).flatten(0, 1)[:, None]
        lower = adjoint(self.module, shared, one, self._ones, groups=1)  # [B * G, 1, h, w], as the two before
        spread = lower.view(len(scaled), groups, 1, *self.x.shape[2:]).expand(-1, -1, self._channels, -1, -1)
        return spread.flatten(1, 2)
