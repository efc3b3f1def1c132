"""Nodes of torch's graph of derivatives that pass relevance on by a rule.

Axes: as of `closed_form`.
"""

from typing import Any

import torch
from torch.autograd.function import once_differentiable

from lcrp.composites.bookkeeper import Bookkeeper
from lcrp.composites.closed_form import Rule, Step, Tensors, several
from lcrp.composites.operations.linear_map import LinearMap
from lcrp.composites.operations.values import Operation
from lcrp.composites.windowed import is_nothing, whole


def passed_on(
    rule: Rule,
    operation: Operation,
    inputs: Tensors,
    y: torch.Tensor,
    *,
    norm_epsilon: float | None = None,
    few_rounds: bool = False,
    bookkeeper: Bookkeeper | None = None,
) -> torch.Tensor:
    """The output of an operation, whose gradient is the relevance of its inputs.

    Args:
        rule: passes relevance on.
        operation: what was computed.
        inputs: of which.
        y: the output, without gradient, in memory of its own.
        norm_epsilon: as of `Step`.
        few_rounds: as of `Step`.
        bookkeeper: as of `Step`.
    """
    kept, kept_y = tuple(x.detach() for x in inputs), y.detach()
    dtype = operation.weight.dtype if isinstance(operation, LinearMap) else y.dtype
    is_cast = isinstance(operation, LinearMap) and {y.dtype, kept[0].dtype} != {dtype}
    if is_cast:  # automatically: rules compute in the precision of the weights
        kept, kept_y = tuple(x.to(dtype) for x in kept), kept_y.to(dtype)
    step = rule.step_type(operation)(
        rule,
        operation,
        kept,
        kept_y,
        norm_epsilon=norm_epsilon,
        few_rounds=few_rounds,
        bookkeeper=bookkeeper,
    )
    step.dtype = dtype if is_cast else None
    out: torch.Tensor = _Relevance.apply(step, [y], *inputs)
    return out


class _Relevance(torch.autograd.Function):
    """An output that is known already, whose gradient is the relevance that a step finds."""

    @staticmethod
    def forward(ctx: Any, step: Step, y: list[torch.Tensor], *inputs: torch.Tensor) -> torch.Tensor:
        ctx.set_materialize_grads(False)
        ctx.step = step
        ctx.ends = [x.is_leaf for x in inputs]
        return y.pop()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upper: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        if upper is None or is_nothing(upper):  # the other heads of a detector, for example
            return tuple([None] * (2 + len(ctx.ends)))
        step: Step = ctx.step
        if step.dtype is not None:
            upper = whole(upper).to(step.dtype)
        lower = several(step.relevance(upper))
        if step.bookkeeper is not None and step.bookkeeper.is_open and step.keeps != "nothing":
            step.bookkeeper.kept(upper, lower, by=step.keeper, layer=step.layer)
        ends = zip(lower, ctx.ends, strict=True)
        return None, None, *(whole(one) if is_end else one for one, is_end in ends)
