"""dataset=auto: the layout is told by the files, and the settings are composed anew with the layout's name."""

import logging
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.override_parser.overrides_parser import OverridesParser

from lcrp.config.commands import key, quoted
from lcrp.config.paths import absolute
from lcrp.errors import ConfigError

if TYPE_CHECKING:
    from lcrp.data.labelled.recognise import Layout

log = logging.getLogger(__name__)

AUTO, GROUP = "auto", "dataset"
_PATH, _SPLIT, _NAMES = "dataset.path", "dataset.split", "dataset.class_names"
WITHOUT_SPLIT = ("coco", "masks", "folder")  # layouts that hold all of their pictures


def known_layout(path: str, split: str | None, origin: Path) -> "Layout":
    """What a path is taken for.

    Raises:
        DataError: it is not there, or holds labels that need to be told more of.
    """
    from lcrp.data.labelled.recognise import recognised

    return recognised(absolute(path, origin), split)


def with_layout(overrides: Sequence[str], layout: "Layout", origin: Path) -> list[str]:
    """A command's settings with the layout's name in place of auto, and with where its files lie.

    What a person sets counts.

    Raises:
        ConfigError: the layout does not take what was set.
    """
    left_out = [_PATH, *([_SPLIT] if layout.name in WITHOUT_SPLIT or layout.is_of_split else [])]
    if layout.name == "folder" and any(key(one) == _NAMES for one in overrides):
        raise ConfigError(f"{_NAMES} says nothing to pictures without labels, which were found; see dataset.path")
    settings = {name: _shown(value, origin) for name, value in layout.settings.items()}
    chosen = [f"{GROUP}={layout.name}", *(f"{GROUP}.{name}={quoted(value)}" for name, value in settings.items())]
    given = [one for one in overrides if key(one) not in left_out]
    place = next((number for number, one in enumerate(given) if key(one) == GROUP), None)
    if place is None:
        return [*chosen, *given]
    return [*given[:place], *chosen, *given[place + 1 :]]


def named_data(overrides: Sequence[str], origin: Path) -> list[str]:
    """A command's settings with the layout; as they are without dataset=auto, or without a path in them."""
    values = {key(one): one for one in overrides}
    if values.get(GROUP, "").partition("=")[2] != AUTO or _PATH not in values:
        return list(overrides)
    path, split = _value(values[_PATH]), _value(values[_SPLIT]) if _SPLIT in values else None
    if not isinstance(path, str):
        raise ConfigError(f"{_PATH}={path!r} is no path")
    return with_layout(overrides, known_layout(path, None if split is None else str(split), origin), origin)


def tell_layout(path: str, layout: "Layout", origin: Path) -> None:
    """Say what a path was taken for, with the settings that mean the same."""
    settings = [f"{GROUP}={layout.name}"]
    settings += [f"{GROUP}.{name}={quoted(_shown(value, origin))}" for name, value in layout.settings.items()]
    log.info("%s is %s, by %s: %s", path, layout.what, layout.sign, shlex.join(settings))


def _value(override: str) -> object:
    return OverridesParser.create().parse_override(override).value()


def _shown(value: str, origin: Path) -> str:
    """A path relative to where the command was given, if it lies below."""
    try:
        return Path(value).relative_to(origin).as_posix()
    except ValueError:
        return value
