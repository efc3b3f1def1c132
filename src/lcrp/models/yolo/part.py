"""Descriptions of modules: what a file or a table says of a network before anything is built.

A description holds what decides what a module computes: its kind, its numbers and switches, and its parts by name.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from lcrp.errors import CheckpointError
from lcrp.models.unpickling import Inert

Plain = bool | int | float | str | None
Setting = Plain | tuple[Plain, ...]
MAX_PIXELS = 1024  # of kernels, strides and the like
_LARGEST = 1e9  # number that a setting may be
_MAX_DEPTH = 16  # of modules within modules
_MAX_SHOWN = 80  # characters of a value in a message
_OF_TORCH = frozenset(("training", "call_super_init", "dump_patches"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A module, described.

    Attributes:
        kind: name of its class.
        settings: attributes that are plain values, or tuples of them.
        parts: modules in it, by name, in order.
        parameters: names of its own parameters.
    """

    kind: str
    settings: Mapping[str, Setting] = field(default_factory=dict)
    parts: Mapping[str, "Part"] = field(default_factory=dict)
    parameters: tuple[str, ...] = ()

    def number(self, name: str, default: float | None = None) -> float:
        """A setting that is a number.

        Raises:
            CheckpointError: it is none.
        """
        value = self.settings.get(name, default)
        if isinstance(value, tuple) and value and len(set(value)) == 1:
            value = value[0]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise CheckpointError(f"{self.kind} says '{name}' is {shown(value)}, and no number")
        if not abs(value) <= _LARGEST:
            raise CheckpointError(f"{self.kind} says '{name}' is {shown(value)}, and no number of this kind")
        return value

    def count(self, name: str, default: int | None = None) -> int:
        """A setting that is a whole number."""
        value = self.number(name, default)
        if value != int(value):
            raise CheckpointError(f"{self.kind} says '{name}' is {value}, and no whole number")
        return int(value)

    def switch(self, name: str, default: bool = False) -> bool:
        """A setting that is true or false.

        Raises:
            CheckpointError: it is neither.
        """
        value = self.settings.get(name, default)
        if value not in (True, False):
            raise CheckpointError(f"{self.kind} says '{name}' is {shown(value)}, and neither true nor false")
        return bool(value)

    def pair(self, name: str) -> tuple[int, int]:
        """A setting of height and width."""
        value = self.settings.get(name)
        values = value if isinstance(value, tuple) else (value, value)
        numbers = [one for one in values if isinstance(one, int) and 0 <= one <= MAX_PIXELS]
        if len(values) != 2 or len(numbers) != 2:
            raise CheckpointError(f"{self.kind} says '{name}' is {shown(value)}, and no number of pixels")
        return numbers[0], numbers[1]

    def sha256(self) -> str:
        """Tells descriptions apart."""
        return hashlib.sha256(json.dumps(self._plain(), sort_keys=True).encode()).hexdigest()

    def _plain(self) -> list[object]:
        parts = {name: part._plain() for name, part in self.parts.items()}
        return [self.kind, dict(self.settings), parts, list(self.parameters)]


def shown(value: object) -> str:
    """A value in a message: on one line, and cut short if it is long."""
    text = repr(value[: 2 * _MAX_SHOWN] if isinstance(value, str | tuple) else value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def described(module: Inert, depth: int = 0) -> Part:
    """The description of a module that lies in a file.

    Raises:
        CheckpointError: modules are nested without end.
    """
    if depth > _MAX_DEPTH:
        raise CheckpointError("its modules are nested without end")
    content = module.content if isinstance(module.content, dict) else {}
    return Part(
        kind=type(module).__name__,
        settings=dict(_settings(content)),
        parts={str(name): described(one, depth + 1) for name, one in members(content, "_modules")},
        parameters=tuple(str(name) for name, one in _all(content, "_parameters") if isinstance(one, Tensor)),
    )


def members(content: Mapping[object, object], name: str) -> list[tuple[object, Inert]]:
    """Modules in a module's state."""
    return [(key, one) for key, one in _all(content, name) if isinstance(one, Inert)]


def _all(content: Mapping[object, object], name: str) -> list[tuple[object, object]]:
    found = content.get(name)
    return list(found.items()) if isinstance(found, dict) else []


def _settings(content: Mapping[object, object]) -> Iterator[tuple[str, Setting]]:
    for name, value in content.items():
        if not isinstance(name, str) or name.startswith("_") or name in _OF_TORCH:
            continue
        if isinstance(value, Tensor) and value.numel() <= 16:
            value = value.flatten().tolist()
        if isinstance(value, list | tuple) and all(isinstance(one, Plain) for one in value):
            yield name, tuple(value)
        elif isinstance(value, Plain):
            yield name, value
