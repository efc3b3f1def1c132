"""One hostile or broken input, and what is to become of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """Input that ends a command.

    Attributes:
        name: what is wrong with it.
        prepare: writes it into an empty folder; returns the command's arguments.
        error: part of the one line that tells of it.
    """

    name: str
    prepare: Callable[[Path], list[str]]
    error: str

    @property
    def outcome(self) -> str:
        """Column of the table."""
        return f"error: {self.error}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One sample of a dataset whose other samples are fine.

    Attributes:
        name: what is wrong with it.
        key: of the sample.
        write: writes it into the dataset's folder.
        skipped: part of the reason for which it is skipped and counted; empty if it is read.
        left_out: part of the warning that tells of an object that is left out of it.
    """

    name: str
    key: str
    write: Callable[[Path], None]
    skipped: str = ""
    left_out: str = ""

    @property
    def outcome(self) -> str:
        """Column of the table."""
        if self.skipped:
            return f"skipped and counted: {self.skipped}"
        return f"read; an object or its outline is left out and counted: {self.left_out}" if self.left_out else "read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """Input with another outcome.

    Attributes:
        name: what is wrong with it.
        outcome: what becomes of it.
    """

    name: str
    outcome: str
