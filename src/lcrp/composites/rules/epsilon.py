"""The epsilon rule in closed form; notation as in `lcrp.composites.rules`."""

import torch
from typing_extensions import override

from lcrp.composites.arithmetic import STABILIZER, stabilised
from lcrp.composites.closed_form import Rule, Step
from lcrp.composites.families import Family
from lcrp.composites.operations.linear_map import LinearMap
from lcrp.composites.operations.values import Operation, Scaling
from lcrp.composites.settings import positive


class Epsilon(Rule):
    """Epsilon rule (Bach et al., PLOS ONE 10(7), 2015): R_in = x . (W *T (R / stab(y))).

    A norm in evaluation mode is a scaling of its channels. One that was merged into the linear map before it, which has
    a rule of its own, is the identity; that rule absorbs it.

    Args:
        epsilon: what stab adds.

    Raises:
        ConfigError: epsilon is not positive.
    """

    explains = frozenset[Family](["convolution", "linear", "norm"])
    follows_sign = True

    def __init__(self, epsilon: float = STABILIZER) -> None:
        self.epsilon = positive("epsilon", epsilon)

    @override
    def step_type(self, operation: Operation) -> type[Step]:
        return _EpsilonStep if isinstance(operation, LinearMap) else _ScalingEpsilonStep


class _EpsilonStep(Step):
    rule: Epsilon
    reads_output = True
    in_windows = True

    def prepare(self) -> None:
        self.shares = (self.scale(stabilised(self.y, self.rule.epsilon)),)

    def lower(self, upper: torch.Tensor) -> torch.Tensor:
        scaled = upper * self.shares[0]
        self.bias_takes(scaled)
        return self.adjoint(scaled, self.weight("W", torch.Tensor.detach)).mul_(self.x)


class _ScalingEpsilonStep(Step):
    keeps = "for constants"
    rule: Epsilon
    operation: Scaling
    reads_output = True
    in_windows = True

    def prepare(self) -> None:
        self.shares = (self.operation.factor * self.x / stabilised(self.y, self.rule.epsilon),)

    def lower(self, upper: torch.Tensor) -> torch.Tensor:
        return upper * self.shares[0]
