"""Values put at some places of a tensor, or combined with what is there."""

from typing import TYPE_CHECKING, Any

import torch

from lcrp.composites.operations.moves import chosen
from lcrp.composites.operations.origin import is_cut
from lcrp.composites.operations.signals import Arguments, Function, Options, is_signal, without_gradient
from lcrp.composites.operations.unknown import by_contribution
from lcrp.composites.operations.values import Local
from lcrp.composites.operations.written import booked

if TYPE_CHECKING:
    from lcrp.composites.operations.mode import OperationRules


def put(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Values in place of those of x, or added to them."""
    is_sum = args[3] if len(args) > 3 else kwargs.get("accumulate", False)
    return (scattered if is_sum else chosen)(mode, func, args, kwargs)


def reduced(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Values in place of those of x, or reduced with them."""
    how = args[4] if len(args) > 4 else kwargs.get("reduce")
    if how is None:
        return chosen(mode, func, args, kwargs)
    if how in ("add", "multiply"):  # of scatter, which has no derivative
        x, dim, index, values = args if len(args) > 3 else (*args, kwargs["value"])
        values = values if isinstance(values, torch.Tensor) else torch.full_like(index, values, dtype=x.dtype)
        with mode:
            return torch.scatter_reduce(x, dim, index, values, {"add": "sum", "multiply": "prod"}[how])
    if how in ("sum", "mean"):
        return scattered(mode, func, args, kwargs)
    return (booked if how in ("amax", "amin") else by_contribution)(mode, func, args, kwargs)


def scattered(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Sums of x and summands at some of its places, or means of them; by contribution."""
    signals = [number for number, arg in enumerate(args) if is_signal(arg)]
    rule = mode.rule("matrix_product")
    if not signals or rule is None:
        return mode.native(func, args, kwargs)
    kept = [None if number in signals else mode.kept.values(arg) for number, arg in enumerate(args)]

    def summed(*values: torch.Tensor) -> torch.Tensor:
        placed = list(kept)
        for number, value in zip(signals, values, strict=True):
            placed[number] = value
        out: torch.Tensor = func(*placed, **kwargs)
        return out

    is_alone, has_cut = len(signals) == 1, any(map(is_cut, args))
    operation = Local(function=summed, shares=(1.0,) * len(signals), has_constant=is_alone, is_cut=has_cut)
    inputs = tuple(args[number] for number in signals)
    return mode.explained(rule, operation, inputs, without_gradient(func, args, kwargs))
