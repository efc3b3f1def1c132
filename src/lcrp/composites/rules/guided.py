"""Guided backpropagation."""

import torch
from typing_extensions import override

from lcrp.composites.arithmetic import positive_part, where_positive
from lcrp.composites.closed_form import Rule, Step
from lcrp.composites.families import Family
from lcrp.composites.operations.values import Operation


class PositiveGradient(Rule):
    """The gradient of a ReLU, stopped where it is negative (Springenberg et al., guided backpropagation, 2015)."""

    explains = frozenset[Family](["relu"])
    conserves = False

    @override
    def step_type(self, operation: Operation) -> type[Step]:
        return _PositiveGradientStep


class _PositiveGradientStep(Step):
    def lower(self, upper: torch.Tensor) -> torch.Tensor:
        return where_positive(positive_part(upper), self.x)
