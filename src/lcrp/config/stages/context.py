"""stage=context: how much classes, concepts and decisions lean on what surrounds the object."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from omegaconf import MISSING

from lcrp.config.root import Config, Stage
from lcrp.config.values import filled


@dataclass
class ContextStage(Stage):
    """How much classes, concepts and decisions lean on their context."""

    explains: ClassVar[bool] = True

    layers: list[str] = MISSING
    n_concepts: int = MISSING
    n_references: int = MISSING
    num_samples_per_class: int = MISSING
    min_pixels: int = MISSING
    class_name: str | None = None
    context_class: str | None = None
    num_flipped: int = MISSING
    seed: int = MISSING
    statistics: str | None = None
    make_statistics: bool = MISSING

    def settings(self, config: Config, origin: Path) -> object:  # noqa: ARG002
        """The settings as the stage's function takes them."""
        from lcrp.stages.context.context import ContextSettings

        return filled(ContextSettings, self, origin)
