"""Values of a map read at other places: resizes, RoIAlign, grid samples, deformable convolutions' samples."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from lcrp.composites.families import Family
from lcrp.composites.operations.signals import Arguments, Function, Options, is_signal, without_gradient
from lcrp.composites.operations.values import Local

if TYPE_CHECKING:
    from lcrp.composites.operations.mode import OperationRules


def resize(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Interpolations."""
    if _keeps_size(*args):
        return mode.native(torch.Tensor.clone, args[:1], {})
    return _sampled(mode, func, args, kwargs, "resize")


def repeated(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Interpolations that take the nearest value: its gradient is its relevance."""
    if _keeps_size(*args):
        return mode.native(torch.Tensor.clone, args[:1], {})
    return mode.native(func, args, kwargs)


def _keeps_size(x: torch.Tensor, sizes: Sequence[int] | None = None, *rest: Any) -> bool:
    """Whether an interpolation is by a factor of one, and so none at all."""
    factors = [one for given in rest for one in (given if isinstance(given, list | tuple) else (given,))]
    numbers = [one for one in factors if one is not None and not isinstance(one, bool)]
    is_known = bool(numbers) if sizes is None else tuple(sizes) == tuple(x.shape[2:])
    return is_known and all(number == 1 for number in numbers) and is_signal(x)


def sample(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Samples of a map at places that may depend on the picture too; where to look is no evidence."""
    return _sampled(mode, func, args, kwargs, "sampling")


def deformable(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Deformable convolutions, by contribution too."""
    return _sampled(mode, func, args, kwargs, "sampling", has_constant=True)


def _sampled(
    mode: "OperationRules",
    func: Function,
    args: Arguments,
    kwargs: Options,
    family: Family,
    *,
    has_constant: bool = False,
) -> Any:
    x = args[0] if args else kwargs.get("input")
    rule = mode.rule(family)
    if x is None or not is_signal(x) or rule is None:
        return mode.native(func, args, kwargs)
    rest = tuple(mode.kept.values(value.detach() if is_signal(value) else value) for value in args[1:])
    given = ((name, value) for name, value in kwargs.items() if name != "input")
    named = {name: mode.kept.values(value.detach() if is_signal(value) else value) for name, value in given}
    operation = Local(function=lambda values: func(values, *rest, **named), has_constant=has_constant)
    return mode.explained(rule, operation, (x,), without_gradient(func, args, kwargs))
