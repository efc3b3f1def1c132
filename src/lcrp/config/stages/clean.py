"""stage=clean: what earlier commands left, listed or deleted."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from omegaconf import MISSING

from lcrp.config.root import Config, Stage, Takes
from lcrp.config.values import filled


@dataclass
class CleanStage(Stage):
    """What earlier commands left, listed or deleted."""

    takes: ClassVar[Takes] = "nothing"

    delete: list[str] = MISSING

    def settings(self, config: Config, origin: Path) -> object:  # noqa: ARG002
        """The settings as the stage's function takes them."""
        from lcrp.stages.clean.clean import CleanSettings

        return filled(CleanSettings, self, origin)
