"""Products and quotients."""

import math
from typing import TYPE_CHECKING, Any

import torch

from lcrp.composites.operations.origin import Origin, is_gate, linear_before, note
from lcrp.composites.operations.signals import (
    Arguments,
    Function,
    Options,
    is_signal,
    per_channel,
    without_gradient,
)
from lcrp.composites.operations.values import Elementwise, Masked

if TYPE_CHECKING:
    from lcrp.composites.operations.mode import OperationRules


def multiply(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Product of two."""
    if len(args) != 2 or kwargs:
        return mode.native(func, args, kwargs)
    one, other = args
    if is_signal(one) and is_signal(other):
        return _product(mode, func, one, other)
    if is_signal(one) or is_signal(other):
        x, constant = (one, other) if is_signal(one) else (other, one)
        return _scaled(mode, func, args, x, constant)
    return mode.native(func, args, kwargs)


def divide(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Quotient of two: what is divided by is a constant, which takes no relevance."""
    if kwargs.get("rounding_mode") is not None and any(map(is_signal, args)):
        with mode:
            return getattr(torch, kwargs["rounding_mode"])(args[0] / args[1])
    if len(args) != 2 or kwargs:
        return mode.native(func, args, kwargs)
    x, divisor = args
    if is_signal(x) and is_signal(divisor):
        rule = mode.rule("quotient")
        if rule is None:
            return mode.native(func, args, kwargs)
        return mode.explained(rule, Elementwise(), (x,), without_gradient(func, args, kwargs))
    if is_signal(x):
        return _scaled(mode, func, args, x, _inverse(divisor, x))
    if is_signal(divisor):
        rule = mode.rule("activation")
        if rule is not None:
            y = mode.explained(rule, Elementwise(), (divisor,), without_gradient(func, args, kwargs))
            return note(y, Origin(is_gate=True, version=y._version))  # as a factor it divides
    return mode.native(func, args, kwargs)


def _inverse(divisor: Any, x: torch.Tensor) -> Any:
    """1 / divisor, in the precision in which a signal is divided by it."""
    if isinstance(divisor, torch.Tensor):
        return divisor.to(torch.promote_types(x.dtype, divisor.dtype)).reciprocal()
    return 1 / divisor if divisor else math.copysign(math.inf, divisor)


def floored(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Quotient of two, rounded, of which torch has no derivative."""
    if not any(map(is_signal, args)):
        return mode.native(func, args, kwargs)
    with mode:
        return torch.floor(args[0] / args[1])


def _scaled(mode: "OperationRules", func: Function, args: Arguments, x: torch.Tensor, constant: Any) -> Any:
    """A signal times a constant: merged into the linear map before it, if it is one number per channel."""
    before = linear_before(x)
    scale = None if before is None else per_channel(constant, x, before.map.axis, before.map.num_outputs)
    if before is not None and scale is not None:
        linear = before.map.scaled(scale)
        y = mode.native(func, args, {}) if before.rule is None else without_gradient(func, args, {})
        return mode.merged(y, before, linear, is_norm=False)
    rule = mode.rule("scale")
    if rule is None:
        return mode.native(func, args, {})
    constant = mode.kept.values(constant)
    operation = Masked(factor=constant) if isinstance(constant, torch.Tensor) else Elementwise()
    y = mode.explained(rule, operation, (x,), without_gradient(func, args, {}))
    return mode.inherit(y, args)


def _product(mode: "OperationRules", func: Function, one: torch.Tensor, other: torch.Tensor) -> Any:
    """Of two signals: all to the one that is no gate; halves if neither or both are."""
    args = (one, other)
    gates = [is_gate(value) for value in args]
    if gates[0] != gates[1]:
        rule = mode.rule("gate")
        if rule is not None:
            x = other if gates[0] else one
            return mode.explained(rule, Elementwise(), (x,), without_gradient(func, args, {}))
    rule = mode.rule("product")
    if rule is None:
        return mode.native(func, args, {})
    return mode.explained(rule, Elementwise(), args, without_gradient(func, args, {}))
