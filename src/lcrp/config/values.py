"""From settings to the frozen values that the library takes: fields of the same name, checked where they are born."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from lcrp.config.paths import absolute
from lcrp.errors import ConfigError

Problems = Iterator[str]
_Value = TypeVar("_Value")


def filled(
    kind: Callable[..., _Value], settings: object, origin: Path, given: Mapping[str, object] | None = None
) -> _Value:
    """A value whose fields are settings of the same name.

    Lists become tuples, and texts paths where the field is one. A field that no setting is named after is filled in
    turn if it is a dataclass itself, and else keeps its default.

    Args:
        kind: a frozen dataclass.
        settings: a dataclass of the configuration.
        origin: folder where the command was given; a person's paths are relative to it.
        given: fields whose values are known already.

    Raises:
        ConfigError: settings make no sense; the message names all of them.
    """
    values, problems = dict(given or {}), list[str]()
    known = {entry.name for entry in fields(settings)}  # type: ignore[arg-type]  # a dataclass, whichever
    hints = get_type_hints(kind)
    for entry in fields(kind):  # type: ignore[arg-type]
        if entry.name in values:
            continue
        if entry.name in known:
            values[entry.name] = _plain(getattr(settings, entry.name), hints[entry.name], origin)
        elif is_dataclass(hints[entry.name]):
            try:
                values[entry.name] = filled(hints[entry.name], settings, origin)
            except ConfigError as error:
                problems += error.problems
    if problems:
        raise ConfigError(*problems)
    return kind(**values)


def told(prefix: str, build: Callable[[], object]) -> Problems:
    """What a value finds wrong with its fields, as settings: each problem begins with the prefix.

    Args:
        prefix: the settings' place, ``stage.`` say.
        build: makes the value.
    """
    try:
        build()
    except ConfigError as error:
        yield from (f"{prefix}{problem}" for problem in error.problems)


def _plain(value: Any, hint: Any, origin: Path) -> object:
    """A setting as the library takes it."""
    if isinstance(value, list):
        return tuple(_plain(one, hint, origin) for one in value)
    return absolute(value, origin) if isinstance(value, str) and _has_paths(hint) else value


def _has_paths(hint: Any) -> bool:
    return hint is Path or any(map(_has_paths, get_args(hint)))
