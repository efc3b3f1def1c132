"""The flat rule in closed form; notation as in `lcrp.composites.rules`."""

import torch
from typing_extensions import override

from lcrp.composites.arithmetic import STABILIZER, stabilised
from lcrp.composites.closed_form import Rule, Step, Tensors
from lcrp.composites.families import Family
from lcrp.composites.operations.linear_map import LinearMap
from lcrp.composites.operations.values import Local, Operation, Sum


class Flat(Rule):
    """Flat rule (Lapuschkin et al., Nature Communications 10, 2019): every input of an output gets the same share."""

    explains = frozenset[Family](["convolution", "linear", "sum", "pool", "max_pool", "resize", "sampling"])
    follows_sign = False

    @override
    def step_type(self, operation: Operation) -> type[Step]:
        match operation:
            case Sum():
                return _FlatSumStep
            case LinearMap(geometry=None):
                return _FlatLinearStep
            case LinearMap():
                return _FlatConvolutionStep
            case _:
                return _FlatLocalStep


class _FlatSumStep(Step):
    def lower(self, upper: torch.Tensor) -> Tensors:
        share = upper / (len(self.inputs) + STABILIZER)
        return tuple(share.sum_to_size(x.shape) for x in self.inputs)


class _FlatLinearStep(Step):
    def prepare(self) -> None:
        self._scale = self.scale(self.x.new_full((1,), self.x.shape[-1] + STABILIZER))

    def lower(self, upper: torch.Tensor) -> torch.Tensor:
        return (upper * self._scale).sum(dim=-1, keepdim=True).expand_as(self.x)


class _FlatConvolutionStep(Step):
    """All channels of a group receive the same, so that one channel stands for them."""

    def prepare(self) -> None:
        x, geometry = self.x, self.map.geometry
        assert geometry is not None
        self._groups = geometry.groups
        self._ones = x.new_ones(1, 1, *self.map.kernel_size)
        self._channels = x.shape[1] // self._groups
        count = self._channels * self.map.forward(x.new_ones(1, 1, *x.shape[2:]), self._ones, groups=1)
        self._scale = self.scale(stabilised(count))

    def lower(self, upper: torch.Tensor) -> torch.Tensor:
        scaled, groups = upper * self._scale, self._groups
        shared = scaled.view(len(scaled), groups, -1, *scaled.shape[2:]).sum(dim=2).flatten(0, 1)[:, None]
        sizes = self.x.shape[2:]
        one = shared.new_empty(len(shared), 1, *sizes)
        lower = self.map.adjoint(shared, one, self._ones, groups=1)  # [B * G, 1, h, w], as the two before
        spread = lower.view(len(scaled), groups, 1, *sizes).expand(-1, -1, self._channels, *sizes)
        return spread.flatten(1, 2)


class _FlatLocalStep(Step):
    """As if every input were 1."""

    operation: Local

    def lower(self, upper: torch.Tensor) -> torch.Tensor:
        ones = torch.ones_like(self.x).requires_grad_()
        with torch.enable_grad():
            count = self.operation.function(ones)
        return torch.autograd.grad(count, ones, upper / stabilised(count.detach()))[0]
