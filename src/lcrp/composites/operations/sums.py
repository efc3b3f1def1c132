"""Sums of signals, and of signals and constants."""

from typing import TYPE_CHECKING, Any

import torch

from lcrp.composites.operations.origin import (
    Origin,
    SumOutput,
    is_cut,
    is_gate,
    is_picture,
    linear_before,
    note,
    sum_before,
)
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


def subtract_from(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:  # noqa: ARG001
    """Difference of two, the second less the first."""
    one, other, factor = _two(args, kwargs)
    if not isinstance(other, torch.Tensor):
        other = torch.as_tensor(other, dtype=one.dtype, device=one.device)
    with mode:
        return torch.sub(other, one if factor == 1 else one * factor)


def add_product(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Sums x + value a b."""
    return _add_combined(torch.mul, mode, func, args, kwargs)


def add_quotient(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Sums x + value a / b."""
    return _add_combined(torch.div, mode, func, args, kwargs)


def _add_combined(combine: Function, mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    if mode.rule("sum") is None or not any(map(is_signal, args)):
        return mode.native(func, args, kwargs)
    x, one, other = args
    value = kwargs.get("value", 1)
    with mode:
        combined = combine(one, other)
        return x + (combined if value == 1 else combined * value)


def between(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Mixtures (1 - weight) a + weight b."""
    if mode.rule("sum") is None or not any(map(is_signal, args)):
        return mode.native(func, args, kwargs)
    one, other = args[:2]
    weight = args[2] if len(args) > 2 else kwargs["weight"]
    with mode:
        return one * (1 - weight) + other * weight


def _two(args: Arguments, kwargs: Options) -> tuple[Any, Any, Any]:
    """What is added, and alpha, a factor of the second."""
    one, other = (*args, *(kwargs[name] for name in ("input", "other") if name in kwargs))
    return one, other, kwargs.get("alpha", 1)


def _sum(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options, *, sign: int) -> Any:
    if kwargs or len(args) != 2:
        one, other, factor = _two(args, kwargs)
        with mode:
            return func(one, other if factor == 1 else other * factor)
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
    sums = [before for value, _ in signals if (before := sum_before(value)) is not None]
    has_constant = len(signals) == 1 or any(before.has_constant for before in sums)
    has_cut = any(map(is_cut, args)) or any(before.is_cut for before in sums)
    broadcasts = any(x.shape != y.shape for x in inputs)
    operation = Sum(signs=signs, broadcasts=broadcasts, has_constant=has_constant, is_cut=has_cut)
    y = mode.explained(rule, operation, inputs, y)
    versions = tuple(x._version for x in inputs)
    made = SumOutput(
        inputs=inputs,
        signs=signs,
        has_constant=has_constant,
        is_cut=has_cut,
        call=mode.running.call,
        versions=versions,
        own_version=y._version,
    )
    return note(y, Origin(sum=made, is_gate=all(is_gate(value) for value, _ in signals), version=y._version))


def _summands(
    mode: "OperationRules", signals: list[tuple[torch.Tensor, int]]
) -> tuple[tuple[torch.Tensor, ...], tuple[int, ...]]:
    """The signals of a sum; of one that the same call of a module has just made, its own."""
    inputs: list[torch.Tensor] = []
    signs: list[int] = []
    for value, sign in signals:
        before = sum_before(value)
        if before is None or before.call != mode.running.call:
            inputs.append(mode.kept.own(value))
            signs.append(sign)
        else:
            for x, version in zip(before.inputs, before.versions, strict=True):
                mode.kept.check(x, version)
            inputs += before.inputs
            signs += [sign * one for one in before.signs]
    return tuple(inputs), tuple(signs)


def _with_constant(mode: "OperationRules", func: Function, args: Arguments, sign: int) -> torch.Tensor | None:
    """A signal and a constant, where that is no sum: the picture's own offset, and the bias of a linear map."""
    x, constant = args if is_signal(args[0]) else (args[1], args[0])
    if is_picture(x):
        return _offset(mode, func, args, x)
    before = linear_before(x)
    if before is None or is_cut(constant) or (sign < 0 and x is args[1]):
        return None
    offset = per_channel(constant, x, before.map.axis, before.map.num_outputs)
    if offset is None:
        return None
    linear = before.map.shifted(sign * offset)
    y = mode.native(func, args, {}) if before.rule is None else without_gradient(func, args, {})
    return mode.merged(y, before, linear, is_norm=False)


def _offset(mode: "OperationRules", func: Function, args: Arguments, x: torch.Tensor) -> torch.Tensor:
    """The picture plus a constant is the picture still: what is written differently is no evidence."""
    rule = mode.rule("scale")
    if rule is None:
        out: torch.Tensor = mode.native(func, args, {})
        return out
    return mode.explained(rule, Elementwise(), (x,), without_gradient(func, args, {}))
