"""A checkpoint that was recognised."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lcrp.errors import CheckpointError

MAX_NAMES = 3


class UnknownNetworkError(CheckpointError):
    """A checkpoint is sound, and of a network that is not known here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a checkpoint was taken for.

    Attributes:
        family: name of its configuration, as model=NAME takes it.
        what: the network, as a person calls it, with its classes.
        sign: by what it was recognised.
        settings: what must be set besides, by key; for what a person sets, too, that counts.
        untold: settings that the file does not tell, by key: what is known of them.
    """

    family: str
    what: str
    sign: str
    settings: Mapping[str, str] = field(default_factory=dict)
    untold: Mapping[str, str] = field(default_factory=dict)


def classes(count: int, names: Sequence[str] | None) -> str:
    """For example '3 classes (car, bus, van)'."""
    counted = f"{count} class" if count == 1 else f"{count} classes"
    if names is None or len(names) != count:
        return counted
    more = ", ..." if count > MAX_NAMES else ""
    return f"{counted} ({', '.join(names[:MAX_NAMES])}{more})"
