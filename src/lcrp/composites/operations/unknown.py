"""Operations that no family knows: every signal in them takes what it contributes."""

from typing import TYPE_CHECKING, Any

import torch
from torch.utils._pytree import tree_flatten, tree_unflatten

from lcrp.composites.closed_form import Tensors
from lcrp.composites.operations.kept import Kept
from lcrp.composites.operations.signals import Arguments, Function, Options, is_signal, leaves, without_gradient
from lcrp.composites.operations.values import Local

if TYPE_CHECKING:
    from lcrp.composites.operations.mode import OperationRules


def by_contribution(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """A call whose signals take what they contribute."""
    rule = mode.rule("unknown")
    if rule is None or not any(map(is_signal, leaves(args, kwargs))):
        return mode.native(func, args, kwargs)
    return mode.explained(rule, *contribution(mode.kept, func, args, kwargs), without_gradient(func, args, kwargs))


def contribution(
    kept: Kept, func: Function, args: Arguments, kwargs: Options, number: int | None = None
) -> tuple[Local, Tensors]:
    """A call as an operation of its signals, and the signals, whether they are arguments or members of them.

    Args:
        kept: keeps the constants.
        func: what is called.
        args: by their place.
        kwargs: by name.
        number: of the output, where there are several.
    """
    flat, form = tree_flatten((args, dict(kwargs)))
    places = [place for place, value in enumerate(flat) if is_signal(value)]
    constants = [None if place in places else kept.values(value) for place, value in enumerate(flat)]

    def again(*values: torch.Tensor) -> torch.Tensor:
        placed = list(constants)
        for place, value in zip(places, values, strict=True):
            placed[place] = value
        positional, named = tree_unflatten(placed, form)
        found = func(*positional, **named)
        part: torch.Tensor = found if number is None else found[number]
        return part

    shares = (1 / len(places),) * len(places)
    operation = Local(function=again, shares=shares, name=getattr(func, "__name__", str(func)))
    return operation, tuple(flat[place] for place in places)
