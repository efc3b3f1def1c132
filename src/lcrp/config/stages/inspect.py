"""stage=inspect: what is read of labelled pictures."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from omegaconf import MISSING

from lcrp.config.root import Config, Stage, Takes
from lcrp.config.values import filled


@dataclass
class InspectStage(Stage):
    """What is read of labelled pictures, without a network."""

    takes: ClassVar[Takes] = "dataset"

    num_pictures: int = MISSING

    def settings(self, config: Config, origin: Path) -> object:  # noqa: ARG002
        """The settings as the stage's function takes them."""
        from lcrp.stages.inspect import InspectSettings

        return filled(InspectSettings, self, origin)
