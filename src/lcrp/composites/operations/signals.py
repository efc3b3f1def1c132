"""What handlers of operations share: telling signals from constants, and constants per channel from others."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

Function = Callable[..., Any]
Arguments = tuple[Any, ...]
Options = Mapping[str, Any]


def is_signal(value: object) -> bool:
    """Whether a value depends on the picture."""
    return isinstance(value, torch.Tensor) and value.requires_grad


_POSITIONS = (  # of names, one after another
    *("condition", "tensors", "input", "other", "mat", "mat1", "mat2", "batch1", "batch2", "tensor1", "tensor2"),
    *("vec", "vec1", "vec2", "end", "exponent"),
)


def in_order(args: Arguments, kwargs: Options) -> tuple[Arguments, Options]:
    """Arguments that are mostly given by their place, and are so here."""
    found = [name for name in _POSITIONS if name in kwargs]
    if not found:
        return args, kwargs
    rest = {name: value for name, value in kwargs.items() if name not in found}
    return (*args, *(kwargs[name] for name in found)), rest


def leaves(args: Arguments, kwargs: Options) -> Iterator[Any]:
    """Arguments, and members of lists of them."""
    for arg in (*args, *kwargs.values()) if kwargs else args:
        if isinstance(arg, list | tuple):
            yield from arg
        else:
            yield arg


def without_gradient(func: Function, args: Arguments, kwargs: Options) -> torch.Tensor:
    """What an operation computes, for a rule to take the place of its derivative."""
    with torch.no_grad():
        out: torch.Tensor = func(*args, **kwargs)
    return out


def per_channel(constant: object, like: torch.Tensor, axis: int, channels: int) -> torch.Tensor | None:
    """A constant as one number per channel [channels], or None if it is none.

    Args:
        constant: a number or a tensor that broadcasts to `like`.
        like: what it is added to or multiplied with.
        axis: of the channels.
        channels: their number.
    """
    if not isinstance(constant, torch.Tensor):
        return None if isinstance(constant, complex) else like.new_full((channels,), float(constant))  # type: ignore[arg-type]
    if constant.numel() == 1:
        return constant.detach().to(like).reshape(1).expand(channels)
    if constant.numel() != channels or constant.ndim > like.ndim:
        return None
    place = axis % like.ndim - (like.ndim - constant.ndim)
    if place < 0 or constant.shape[place] != channels:
        return None
    return constant.detach().to(like).reshape(channels)
