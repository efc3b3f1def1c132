"""Tensors within what a module returns, in whatever it keeps them."""

import operator
from collections.abc import Callable, Iterator, MutableMapping, MutableSequence
from functools import partial
from types import FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import nn

from lcrp.errors import ConfigError

_PLAIN = (type(None), type, str, bytes, bytearray, int, float, complex, torch.Size)
_NO_CONTAINERS = (*_PLAIN, ModuleType, FunctionType, MethodType, nn.Module)


class Current:
    """Puts in place of every tensor in a value what it is now.

    Containers and objects hold the new tensors themselves, as they would if these had been written into; tuples are
    made anew.

    Args:
        current: what a tensor is now.
    """

    def __init__(self, current: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self._current = current
        self._known: dict[int, tuple[Any, Any]] = {}  # a container, which keeps its id, and what it has become

    def of(self, value: Any) -> Any:
        """Tensors, containers of tensors, objects with attributes, and these in one another, as they are now."""
        if isinstance(value, torch.Tensor):
            return self._current(value)
        if isinstance(value, _NO_CONTAINERS):
            return value
        if id(value) not in self._known:
            self._known[id(value)] = (value, value)
            self._known[id(value)] = (value, self._container(value))
        return self._known[id(value)][1]

    def _container(self, value: Any) -> Any:
        if isinstance(value, tuple):
            members = list(map(self.of, value))
            return value if all(map(operator.is_, value, members)) else _tuple(value, members)
        for member, put in list(_members(value)):
            now = self.of(member)
            if now is not member:
                put(now)
        return value


def _members(value: Any) -> Iterator[tuple[Any, Callable[[Any], None]]]:
    """What a container or an object holds, and what puts another thing in its place."""
    if isinstance(value, MutableMapping):
        yield from ((one, partial(operator.setitem, value, key)) for key, one in value.items())
    elif isinstance(value, MutableSequence):
        yield from ((one, partial(operator.setitem, value, number)) for number, one in enumerate(value))
    attributes = getattr(value, "__dict__", {})
    yield from ((one, partial(operator.setitem, attributes, name)) for name, one in attributes.items())
    for name in _slots(value):
        if hasattr(value, name):
            yield getattr(value, name), partial(object.__setattr__, value, name)


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
