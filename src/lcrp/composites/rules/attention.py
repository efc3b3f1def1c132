"""The rule of AttnLRP for softmax; notation as in `lcrp.composites.rules`."""

import torch
from typing_extensions import override

from lcrp.composites.closed_form import Rule, Step
from lcrp.composites.families import Family
from lcrp.composites.operations.values import Operation, Softmax


class AttentionSoftmax(Rule):
    """Softmax by its first-order expansion (Achtibat et al., AttnLRP, 2024, proposition 3.1): x . (R - y sum R).

    The bias of the expansion takes or gives what is missing; nothing bounds it.
    """

    explains = frozenset[Family](["softmax"])
    conserves = False

    @override
    def step_type(self, operation: Operation) -> type[Step]:
        return _AttentionSoftmaxStep


class _AttentionSoftmaxStep(Step):
    keeps = "nothing"  # neither a constant nor the stabiliser has what is missing
    operation: Softmax
    reads_output = True

    def prepare(self) -> None:
        self.shares = (self.y,)

    def lower(self, upper: torch.Tensor) -> torch.Tensor:
        x = torch.where(self.x.isinf(), 0, self.x)  # what is masked has no part
        return x * (upper - self.shares[0] * upper.sum(self.operation.dim, keepdim=True))
