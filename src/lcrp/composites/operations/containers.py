"""Tensors within what a module returns, in whatever it keeps them."""

from collections.abc import Callable, MutableMapping
from contextlib import suppress
from types import FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_map

from lcrp.errors import ConfigError

Current = Callable[[torch.Tensor], torch.Tensor]
_NO_CONTAINERS = (type, ModuleType, FunctionType, MethodType, nn.Module, str, bytes, int, float, complex, torch.Size)


def with_current(value: Any, current: Current) -> Any:
    """A value with every tensor in it as it is now.

    Lists, tuples and mappings of Python are made anew; others, and objects, hold the new tensors themselves, as they
    would if these had been written into.

    Args:
        value: tensors, containers of tensors, objects with attributes, and these in one another.
        current: what a tensor is now.
    """
    seen: set[int] = set()

    def leaf(one: Any) -> Any:
        if isinstance(one, torch.Tensor):
            return current(one)
        if one is None or isinstance(one, _NO_CONTAINERS) or id(one) in seen:
            return one
        seen.add(id(one))
        return _member(one, member)

    def member(one: Any) -> Any:
        return tree_map(leaf, one)

    return member(value)


def _member(one: Any, member: Callable[[Any], Any]) -> Any:
    """A container of a class that torch does not know, or an object, with its members as they are now."""
    if isinstance(one, tuple):
        now = [member(value) for value in one]
        return one if all(map(_is_same, one, now)) else _tuple(one, now)
    if isinstance(one, MutableMapping):
        for key, value in list(one.items()):
            _put(value, member(value), lambda new, key=key: one.__setitem__(key, new))  # type: ignore[misc]
    elif isinstance(one, list):
        for number, value in enumerate(one):
            _put(value, member(value), lambda new, number=number: one.__setitem__(number, new))  # type: ignore[misc]
    own = getattr(one, "__dict__", {})
    for name, value in list(own.items()):
        _put(value, member(value), lambda new, name=name: own.__setitem__(name, new))  # type: ignore[misc]
    for name in _slots(one):
        with suppress(AttributeError):  # not set
            value = getattr(one, name)
            _put(value, member(value), lambda new, name=name: object.__setattr__(one, name, new))  # type: ignore[misc]
    return one


def _put(before: Any, now: Any, put: Callable[[Any], None]) -> None:
    if not _is_same(before, now):
        put(now)


def _is_same(before: Any, now: Any) -> bool:
    """Whether nothing in a container has changed, which was made anew all the same."""
    if before is now:
        return True
    if isinstance(before, list | tuple):
        return isinstance(now, list | tuple) and len(before) == len(now) and all(map(_is_same, before, now))
    if isinstance(before, dict):
        return isinstance(now, dict) and all(_is_same(value, now[key]) for key, value in before.items())
    return False


def _tuple(like: tuple[Any, ...], values: list[Any]) -> tuple[Any, ...]:
    make = getattr(like, "_make", type(like))
    try:
        made: tuple[Any, ...] = make(values)
    except TypeError as error:
        raise ConfigError(
            f"the network returns tensors in a {type(like).__name__}, which cannot be made anew, and writes into them "
            "in place: return a tuple, list or dict"
        ) from error
    return made


def _slots(one: Any) -> list[str]:
    """Names of what an object without a dictionary has."""
    named = (getattr(kind, "__slots__", ()) for kind in type(one).__mro__)
    return [name for slots in named for name in ((slots,) if isinstance(slots, str) else slots) if name[:2] != "__"]
