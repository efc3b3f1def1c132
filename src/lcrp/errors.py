"""Errors that a user can mend: each message names the value, the choices, its origin and the mend."""

import difflib
from collections.abc import Iterable, Iterator
from numbers import Integral, Real
from pathlib import Path


class LcrpError(Exception):
    """Base of every error that is reported to the user as one line, without a traceback.

    Args:
        message: what is wrong, in words that hold in Python and at the command line alike.
        mend: what a person at the command line can set; only the command line says it.
    """

    def __init__(self, message: str = "", *, mend: str = "") -> None:
        super().__init__(message)
        self.mend = mend

    def with_mend(self) -> str:
        """The message as the command line says it: what is wrong, then what to set."""
        message = str(self)
        if not self.mend:
            return message
        return f"{message} {self.mend}" if message.endswith((".", "?")) else f"{message}. {self.mend}"


class ConfigError(LcrpError):
    """Settings have values that make no sense, or contradict each other.

    Args:
        problems: all that is wrong; where it is wrong with the field of a value, the text begins with the field's name.
        mend: what a person at the command line can set.
    """

    def __init__(self, *problems: str, mend: str = "") -> None:
        super().__init__("; ".join(problems), mend=mend)
        self.problems = problems


class DataError(LcrpError):
    """A dataset, picture or annotation file is missing, empty or cannot be read.

    Args:
        message: what is wrong.
        mend: as of every error.
        path: the file at fault, if the message names it.
    """

    def __init__(self, message: str = "", *, mend: str = "", path: Path | None = None) -> None:
        super().__init__(message, mend=mend)
        self.path = path

    def without_folder(self) -> str:
        """The message with the file's bare name, for results that leave the machine."""
        return str(self) if self.path is None else str(self).replace(str(self.path), self.path.name)


class CheckpointError(LcrpError):
    """A checkpoint is missing, unsafe, damaged or does not fit the network."""


class TargetError(LcrpError):
    """The decision to be explained does not exist: unknown class, no such detection, empty mask."""


class LayerError(LcrpError):
    """A layer or a concept is not in the network."""


class StoreError(LcrpError):
    """Stored statistics are missing, damaged, incomplete or belong to another configuration."""


class InaccessibleError(StoreError):
    """A file cannot be opened now, and may be as good as ever: never a reason to replace or to delete it."""


class MissingError(StoreError):
    """Nothing was stored yet."""


class VersionError(StoreError):
    """A stored file is of another version of its format."""


def nearest(value: object, choices: Iterable[str], limit: int = 5) -> str:
    """Valid choices as one comma-separated text, the ones most similar to `value` first.

    Args:
        value: what the user gave, of any type.
        choices: everything that would have been valid.
        limit: at most so many choices are listed; the number of the others follows.

    Returns:
        For example ``'layer4.0', 'layer4.1' and 14 more``; ``none`` without choices.
    """
    value, pool = str(value), list(dict.fromkeys(choices))
    if not pool:
        return "none"
    longer = [choice for choice in pool if value and choice.startswith(value)]  # a name that was broken off
    similar = list(dict.fromkeys([*longer, *difflib.get_close_matches(value, pool, n=limit, cutoff=0.0)]))[:limit]
    listed = ", ".join(f"'{choice}'" for choice in similar)
    rest = len(pool) - len(similar)
    return f"{listed} and {rest} more" if rest > 0 else listed


def refuse(problems: Iterable[str]) -> None:
    """Raise all that is wrong together.

    Raises:
        ConfigError: there are problems.
    """
    found = tuple(problems)
    if found:
        raise ConfigError(*found)


def one_of(field: str, value: str, choices: Iterable[str]) -> Iterator[str]:
    """The problem with a field whose value is none of the choices."""
    if value not in choices:
        yield f"{field}='{value}' is unknown; nearest: {nearest(value, choices)}"


def at_least(field: str, value: float | None, least: float, *, is_count: bool = True) -> Iterator[str]:
    """The problem with a field whose value is too small, or no whole number if it counts; None is no value."""
    if value is None:
        return
    if is_count and not is_whole(value):
        yield f"{field}={value!r} is no whole number; the least is {least}"
    elif not value >= least:
        yield f"{field}={value} is too small; the least is {least}"


def within(field: str, value: float | None, low: float, high: float, *, is_count: bool = False) -> Iterator[str]:
    """The problem with a field whose value is no number, out of range, or no whole one if it counts; None is none."""
    if value is None:
        return
    if not isinstance(value, Real):
        yield f"{field}={value!r} is no number; write a value from {low} to {high}"
    elif not low <= value <= high:
        yield f"{field}={value} is out of range; write a value from {low} to {high}"
    elif is_count and not is_whole(value):
        yield f"{field}={value!r} is no whole number; write one from {low} to {high}"


def is_whole(value: object) -> bool:
    """Whether a value is a whole number of any kind; truth values are none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


class Interrupted(KeyboardInterrupt):
    """Work was stopped by a signal; the message says what is left of it.

    Args:
        message: one line.
        signal: its number.
    """

    def __init__(self, message: str, *, signal: int) -> None:
        super().__init__(message)
        self.signal = signal
