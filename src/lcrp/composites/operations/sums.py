"""Sums of signals, and of signals and constants."""

from typing import TYPE_CHECKING, Any

import torch

from lcrp.composites.operations.origin import Origin, SumOutput, note, origin_of
from lcrp.composites.operations.signals import (
    Arguments,
    Function,
    Options,
    is_signal,
    per_channel,
    without_gradient,
)
from lcrp.composites.operations.values import Elementwise, Sum

if TYPE_CHECKING:
    from lcrp.composites.operations.mode import OperationRules


def add(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Sum of two."""
    return _sum(mode, func, args, kwargs, sign=1)


def subtract(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Difference of two."""
    return _sum(mode, func, args, kwargs, sign=-1)


def _sum(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options, *, sign: int) -> Any:
    if len(args) != 2 or kwargs:  # alpha, out
        return mode.native(func, args, kwargs)
    signals = [(value, one) for value, one in zip(args, (1, sign), strict=True) if is_signal(value)]
    if not signals:
        return mode.native(func, args, kwargs)
    if len(signals) == 1:
        joined = _with_constant(mode, func, args, sign)
        if joined is not None:
            return joined
    rule = mode.rule("sum")
    if rule is None:
        return mode.native(func, args, kwargs)
    y = without_gradient(func, args, kwargs)
    inputs, signs = _summands(mode, signals)
    sums = [before for value, _ in signals if (before := origin_of(value).sum) is not None]
    has_constant = len(signals) == 1 or any(before.has_constant for before in sums)
    broadcasts = any(x.shape != y.shape for x in inputs)
    y = mode.explained(rule, Sum(signs=signs, broadcasts=broadcasts, has_constant=has_constant), inputs, y)
    made = SumOutput(inputs=inputs, signs=signs, has_constant=has_constant, call=mode.running.call)
    return note(y, Origin(sum=made))


def _summands(
    mode: "OperationRules", signals: list[tuple[torch.Tensor, int]]
) -> tuple[tuple[torch.Tensor, ...], tuple[int, ...]]:
    """The signals of a sum; of one that the same call of a module has just made, its own."""
    inputs: list[torch.Tensor] = []
    signs: list[int] = []
    for value, sign in signals:
        before = origin_of(value).sum
        if before is None or before.call != mode.running.call:
            inputs.append(value)
            signs.append(sign)
        else:
            inputs += before.inputs
            signs += [sign * one for one in before.signs]
    return tuple(inputs), tuple(signs)


def _with_constant(mode: "OperationRules", func: Function, args: Arguments, sign: int) -> torch.Tensor | None:
    """A signal and a constant, where that is no sum: the picture's own offset, and the bias of a linear map."""
    x, constant = args if is_signal(args[0]) else (args[1], args[0])
    origin = origin_of(x)
    if origin.is_picture:
        return _offset(mode, func, args, x)
    before = origin.linear
    if before is None or (sign < 0 and x is args[1]):
        return None
    offset = per_channel(constant, x, before.map.axis, before.map.num_outputs)
    if offset is None:
        return None
    linear = before.map.scaled(torch.ones_like(offset), sign * offset)
    y = mode.native(func, args, {}) if before.rule is None else without_gradient(func, args, {})
    return mode.merged(y, before, linear, is_norm=False)


def _offset(mode: "OperationRules", func: Function, args: Arguments, x: torch.Tensor) -> torch.Tensor:
    """The picture plus a constant is the picture still: what is written differently is no evidence."""
    rule = mode.rule("scale")
    if rule is None:
        out: torch.Tensor = mode.native(func, args, {})
        return out
    return mode.explained(rule, Elementwise(), (x,), without_gradient(func, args, {}))
