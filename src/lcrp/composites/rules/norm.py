"""The norm rule, for all that is linear in its inputs; notation as in `lcrp.composites.rules`."""

import torch
from typing_extensions import override

from lcrp.composites.arithmetic import stabilised
from lcrp.composites.closed_form import Rule, Step, Tensors
from lcrp.composites.families import Family
from lcrp.composites.operations.values import Local, Operation, Sum


class Norm(Rule):
    """Relevance of sums and means, by contribution: R_in = x . (A *T (R / stab(A * x))) for the linear map A."""

    explains = frozenset[Family](
        ["normalisation", "sum", "pool", "max_pool", "resize", "sampling", "matrix_product", "unknown"]
    )

    @override
    def step_type(self, operation: Operation) -> type[Step]:
        return _NormSumStep if isinstance(operation, Sum) else _NormLocalStep


class _NormStep(Step):
    operation: Sum | Local
    reads_output = True

    def prepare(self) -> None:
        if self.operation.has_constant:
            self.keeps = "for constants"
        self.shares = (stabilised(self.y).reciprocal_(),)


class _NormSumStep(_NormStep):
    operation: Sum
    in_windows = True

    def lower(self, upper: torch.Tensor) -> Tensors:
        scaled = upper * self.shares[0]
        pairs = zip(self.operation.signs, self.inputs, strict=True)
        lower = (x * scaled if sign > 0 else (x * scaled).neg_() for sign, x in pairs)
        if not self.operation.broadcasts:
            return tuple(lower)
        return tuple(one.sum_to_size(x.shape) for one, x in zip(lower, self.inputs, strict=True))


class _NormLocalStep(_NormStep):
    operation: Local

    def lower(self, upper: torch.Tensor) -> Tensors:
        inputs = [x.detach().requires_grad_() for x in self.inputs]
        with torch.enable_grad():
            y = self.operation.function(*inputs)
        lower = torch.autograd.grad(y, inputs, upper * self.shares[0])
        return tuple(share * (one * x) for share, one, x in zip(self.operation.shares, lower, self.inputs, strict=True))
