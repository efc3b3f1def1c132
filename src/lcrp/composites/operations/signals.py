"""What handlers of operations share: telling signals from constants, and constants per channel from others."""

from collections.abc import Callable, Container, Iterator, Mapping
from functools import cache
from types import FunctionType
from typing import Any

import torch

from lcrp.errors import ConfigError, LayerError

Function = Callable[..., Any]
Arguments = tuple[Any, ...]
Options = Mapping[str, Any]


def is_signal(value: object) -> bool:
    """Whether a value depends on the picture."""
    return isinstance(value, torch.Tensor) and value.requires_grad


def check_real(*values: torch.Tensor) -> None:
    """Refuse complex numbers, of which no rule knows which part spoke for what.

    Raises:
        LayerError: there are some.
    """
    for value in values:
        if value.is_complex():
            raise LayerError(
                f"the network computes with complex numbers ({value.dtype}), through which no rule leads: write them "
                "as pairs of real ones"
            )


def name_of(func: Function) -> str:
    """A function's name, of whichever kind of its arguments."""
    return func.__name__.split(".")[0]


def in_order(func: Function, args: Arguments, kwargs: Options) -> tuple[Arguments, Options]:
    """Arguments, of which tensors that are given by name stand at their place, as torch declares it.

    Raises:
        ConfigError: a signal is given by a name that torch does not declare.
    """
    for value in kwargs.values():
        if isinstance(value, _TENSORS):
            break
    else:
        return args, kwargs
    tensors = tuple(name for name, value in kwargs.items() if name not in _OPTIONS and _has_tensors(value))
    places = _places(func, len(args), tensors, frozenset(kwargs)) if tensors else ()
    if places is None:
        if not any(map(is_signal, leaves((), kwargs))):
            return args, kwargs
        raise ConfigError(f"{func.__name__} is called with {', '.join(tensors)} by name: give them by their place")
    given = tuple(kwargs.get(name, default) for name, default in places)
    moved = {name for name, _ in places}
    return (*args, *given), {name: value for name, value in kwargs.items() if name not in moved}


_TENSORS = (torch.Tensor, list, tuple)
_OPTIONS = frozenset(["out", "requires_grad", "pin_memory", "dtype", "device", "layout", "names"])  # of all functions


def _has_tensors(value: object) -> bool:
    if isinstance(value, list | tuple):
        return any(isinstance(one, torch.Tensor) for one in value)
    return isinstance(value, torch.Tensor)


@cache
def _places(
    func: Function, count: int, tensors: tuple[str, ...], names: frozenset[str]
) -> tuple[tuple[str, object], ...] | None:
    """Name, as it is given, and default of every argument behind the first ones up to the last that is a tensor."""
    schemas = [] if isinstance(func, FunctionType) else list(_schemas(func))  # Python binds them itself
    named = names - _OPTIONS
    for schema in schemas:
        declared = [(_spelled(one.name, named), one) for one in schema.arguments]
        places = [number for number, (name, one) in enumerate(declared) if name in tensors and not one.kwarg_only]
        rest = declared[count : max(places, default=-1) + 1]
        is_whole = all(name in named or one.has_default_value() for name, one in rest)
        if is_whole and named <= {name for name, _ in declared[count:]}:
            return tuple((name, one.default_value) for name, one in rest)
    return None if schemas else ()


def _schemas(func: Function) -> Iterator[Any]:
    """What torch declares of a function, for every kind of its arguments."""
    if isinstance(func, torch._ops.OpOverload):
        yield func._schema
        return
    is_packet = isinstance(func, torch._ops.OpOverloadPacket)
    packet: Any = func if is_packet else getattr(torch.ops.aten, getattr(func, "__name__", ""), None)
    if packet is not None:
        yield from (getattr(packet, name)._schema for name in packet.overloads())


_SPELLINGS = {"self": ("input", "x", "a", "x1"), "other": ("x2",), "dim": ("axis",), "keepdim": ("keepdims",)}


def _spelled(name: str, given: Container[str]) -> str:
    """An argument's name as a call spells it, which may be Python's or numpy's."""
    return next((one for one in (name, *_SPELLINGS.get(name, ())) if one in given), name)


def is_writing(func: Function) -> bool:
    """Whether a function writes into its first argument, told by its name."""
    name: str = getattr(func, "__name__", "")
    return name == "__setitem__" or (name[-1:] == "_" != name[-2:-1] and name != "requires_grad_")


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
    if constant.ndim > like.ndim:
        return None
    if constant.numel() == 1:
        return constant.detach().to(like).reshape(1).expand(channels)
    if constant.numel() != channels:
        return None
    place = axis % like.ndim - (like.ndim - constant.ndim)
    if place < 0 or constant.shape[place] != channels:
        return None
    return constant.detach().to(like).reshape(channels)
