"""stage=explore: one HTML file that says why."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from omegaconf import MISSING

from lcrp.config.paths import absolute
from lcrp.config.root import Config
from lcrp.config.stages.deciding import DecidingStage
from lcrp.config.values import filled


@dataclass
class ExploreStage(DecidingStage):
    """One HTML file that says why."""

    explains: ClassVar[bool] = True

    image: str | None = None
    samples: list[Any] | None = None
    class_name: str | None = None
    rectangle: bool = MISSING
    max_targets: int = MISSING
    num_decisions: int = MISSING
    layers: list[str] = MISSING
    n_concepts: int = MISSING
    n_concepts_per_class: int = MISSING
    n_references: int = MISSING
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

        image = None if self.image is None else str(absolute(self.image, origin))  # a text: it may be a pattern
        return filled(ExploreSettings, replace(self, image=image), origin)
