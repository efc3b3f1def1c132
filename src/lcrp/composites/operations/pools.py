"""Pools."""

from typing import TYPE_CHECKING, Any

import torch

from lcrp.composites.families import Family
from lcrp.composites.operations.signals import (
    Arguments,
    Function,
    Options,
    is_signal,
    without_gradient,
)
from lcrp.composites.operations.values import Local

if TYPE_CHECKING:
    from lcrp.composites.operations.mode import OperationRules


def average(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Averages, which are linear."""
    return _pooled(mode, func, args, kwargs, "pool")


def largest(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Maxima; without a rule of their own, all relevance goes to the largest value, as the gradient does."""
    return _pooled(mode, func, args, kwargs, "max_pool")


def _pooled(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options, family: Family) -> Any:
    x = args[0] if args else kwargs.get("input")
    rule = mode.rule(family)
    if not isinstance(x, torch.Tensor) or not is_signal(x) or rule is None or kwargs.get("return_indices"):
        return mode.native(func, args, kwargs)
    rest = args[1:]
    named = {name: value for name, value in kwargs.items() if name != "input"}
    operation = Local(function=lambda values: func(values, *rest, **named))
    return mode.explained(rule, operation, (x,), without_gradient(func, args, kwargs))
