"""Commands as a person gives them: complete, and quoted for the shell."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

_ONLY_OF_THE_STAGE = ("stage", "shard", "run", "hydra")  # settings that say nothing to another stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """The command that is running.

    Attributes:
        program: as it was called, ``("lcrp",)`` or ``("python", "-m", "lcrp")``.
        flags: that change where settings are found, ``("--config-dir", "mine")`` say.
        overrides: settings as they were given.
    """

    program: Sequence[str]
    flags: Sequence[str] = ()
    overrides: Sequence[str] = ()

    def again(self, *more: str) -> str:
        """The same command with further settings."""
        return shlex.join([*self.program, *self.flags, *self.overrides, *more])

    def statistics(self) -> str:
        """The command that makes the statistics which this one looks for.

        An experiment chooses a stage and its settings too, which cannot be taken out of it: there, the same command
        makes them first.
        """
        if any(key(override) == "experiment" for override in self.overrides):
            return self.again("stage.make_statistics=true")
        kept = [one for one in self.overrides if key(one).split(".")[0].split("/")[0] not in _ONLY_OF_THE_STAGE]
        return shlex.join([*self.program, *self.flags, "stage=glocal", *kept])


def key(override: str) -> str:
    """The setting that an override is about: ``stage.item`` of ``+stage.item=3``."""
    return override.lstrip("+~").partition("=")[0].partition("@")[0]


def quoted(text: str) -> str:
    """A value of an override as Hydra's grammar takes it, whatever its characters are; in quotes where it must be."""
    parser = OverridesParser.create()
    try:
        plain = parser.parse_override(f"name={text}")
    except HydraException:
        plain = None
    if plain is not None and not plain.is_sweep_override() and plain.value() == text:
        return text
    return "'" + re.sub(r"(\\*)('|$)", lambda found: 2 * found[1] + ("\\'" if found[2] else ""), text) + "'"
