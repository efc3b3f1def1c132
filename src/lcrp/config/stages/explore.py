"""stage=explore: one HTML file that says why."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from omegaconf import MISSING

from lcrp.config.root import Config
from lcrp.config.stages.deciding import DecidingStage
from lcrp.config.values import filled


@dataclass
class ExploreStage(DecidingStage):
    """One HTML file that says why."""

    explains: ClassVar[bool] = True

    num_decisions: int = MISSING
    layers: list[str] = MISSING
    n_concepts: int = MISSING
    n_concepts_per_class: int = MISSING
    n_references: int = MISSING
    n_references_per_class: int = MISSING
    max_megabytes: float = MISSING
    pictures: bool = MISSING
    folder: bool = MISSING
    statistics: list[str] = MISSING
    make_statistics: bool = MISSING
    context: str | None = None
    evaluate: str | None = None
    output: str | None = None

    def settings(self, config: Config, origin: Path) -> object:  # noqa: ARG002
        """The settings as the stage's function takes them."""
        from lcrp.stages.explore.settings import ExploreSettings

        return filled(ExploreSettings, self.placed(origin), origin)
