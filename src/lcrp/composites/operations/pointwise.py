"""Functions of single values."""

from typing import TYPE_CHECKING, Any

import torch

from lcrp.composites.families import Family
from lcrp.composites.operations.origin import Origin, note
from lcrp.composites.operations.signals import (
    Arguments,
    Function,
    Options,
    is_signal,
    name_of,
    without_gradient,
)
from lcrp.composites.operations.values import Elementwise

if TYPE_CHECKING:
    from lcrp.composites.operations.mode import OperationRules


def relu(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """ReLU, which may have a rule of its own."""
    family: Family = "relu" if mode.rule("relu") is not None else "activation"
    return _pointwise(mode, func, args, kwargs, family)


def activation(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Every other function of single values."""
    return _pointwise(mode, func, args, kwargs, "activation")


def clamped(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Values within bounds, all relevance theirs; where a bound is a signal too, that of the one that holds."""
    names = _BOUNDS.get(name_of(func), ("min", "max"))
    bounds = {**dict(zip(names, args[1:], strict=False)), **kwargs}
    if mode.rule("activation") is None or not any(map(is_signal, bounds.values())):
        return _pointwise(mode, func, args, kwargs, "activation")
    x = args[0]
    with mode:
        for name, choose in (("min", torch.maximum), ("max", torch.minimum)):
            bound = bounds.get(name)
            if bound is not None:
                x = choose(x, torch.as_tensor(bound, dtype=x.dtype, device=x.device))
    return x


_BOUNDS = {"clamp_min": ("min",), "clamp_max": ("max",)}


def gate(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Functions whose values, where they are factors, decide how much of a signal passes."""
    y = _pointwise(mode, func, args, kwargs, "activation")
    return note(y, Origin(is_gate=True, version=y._version)) if is_signal(y) else y


def power(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """A power; a negative one is divided by, where it is a factor, and takes nothing."""
    exponent = args[1] if len(args) > 1 else kwargs.get("exponent")
    is_inverse = isinstance(exponent, int | float) and exponent < 0
    return (gate if is_inverse else activation)(mode, func, args, kwargs)


def gated(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Gated linear unit: half of the values times a sigmoid of the other half."""
    x = args[0]
    dim = args[1] if len(args) > 1 else kwargs.get("dim", -1)
    if not is_signal(x) or mode.rule("gate") is mode.rule("product") is None:
        return mode.native(func, args, kwargs)
    with mode:
        values, gates = x.chunk(2, dim)
        return values * gates.sigmoid()


def _pointwise(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options, family: Family) -> Any:
    x = next(filter(is_signal, args[:2]), None)  # the second where a constant is raised to a power
    if x is None:
        return mode.native(func, args, kwargs)
    rule = mode.rule(family)
    if rule is None:
        return mode.native(func, args, kwargs)
    return mode.explained(rule, Elementwise(), (x,), without_gradient(func, args, kwargs))
