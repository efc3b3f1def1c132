"""Operations that move values and compute nothing, where some of the values are constants."""

from typing import TYPE_CHECKING, Any

import torch

from lcrp.composites.operations.signals import Arguments, Function, Options, is_signal, without_gradient
from lcrp.composites.operations.values import Local
from lcrp.composites.rules import Moved

if TYPE_CHECKING:
    from lcrp.composites.operations.mode import OperationRules


def joined(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Concatenations and stacks."""
    parts = list(args[0])
    constants = [part for part in parts if not is_signal(part)]
    if not constants or len(constants) == len(parts):
        return mode.native(func, args, kwargs)
    return _moved(mode, func, parts, lambda values: func(values, *args[1:], **kwargs), args, kwargs)


def chosen(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Choices between values by a mask, and the like."""
    if not any(map(is_signal, args)):
        return mode.native(func, args, kwargs)
    return _moved(mode, func, list(args), lambda values: func(*values, **kwargs), args, kwargs)


def padded(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Padding, which may be by nothing at all."""
    widths = args[1] if len(args) > 1 else kwargs["pad"]
    if not any(widths) and is_signal(args[0]):
        return mode.native(torch.Tensor.clone, args[:1], {})
    return chosen(mode, func, args, kwargs)


def parted(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Parts of a tensor; where rules keep copies, as torch lets them be written into: each a view of its own."""
    x = args[0]
    if not mode.kept.copies or not is_signal(x):
        return mode.native(func, args, kwargs)
    with torch.no_grad():
        parts = func(*args, **kwargs)
    views = ((x, part.shape, part.stride(), part.storage_offset()) for part in parts)
    return type(parts)(mode.native(torch.Tensor.as_strided, view, {}) for view in views)


def _moved(
    mode: "OperationRules", func: Function, parts: list[Any], again: Function, args: Arguments, kwargs: Options
) -> Any:
    if mode.rule("unknown") is None:  # the gradient knows what to do
        return mode.native(func, args, kwargs)
    places = [number for number, part in enumerate(parts) if is_signal(part)]
    constants = [None if is_signal(part) else part for part in mode.kept.values(parts)]

    def moved(*values: torch.Tensor) -> torch.Tensor:
        placed = list(constants)
        for number, value in zip(places, values, strict=True):
            placed[number] = value
        out: torch.Tensor = again(placed)
        return out

    inputs = tuple(parts[number] for number in places)
    operation = Local(function=moved, shares=(1.0,) * len(inputs))
    y = without_gradient(func, args, kwargs)
    return mode.inherit(mode.explained(Moved(), operation, inputs, y), (inputs,))
