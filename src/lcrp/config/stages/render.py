"""stage=render: explanations of single decisions."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from omegaconf import MISSING

from lcrp.config.root import Config
from lcrp.config.stages.deciding import DecidingStage
from lcrp.config.values import filled


@dataclass
class RenderStage(DecidingStage):
    """Explanations of single decisions."""

    explains: ClassVar[bool] = True

    item: int | None = None
    rank: int | None = None
    box: list[float] | None = None
    min_iou: float = MISSING
    instead: str | None = None
    mode: str = MISSING
    layer: str | None = None
    n_concepts: int = MISSING
    n_references: int = MISSING
    distinct_pictures: bool = MISSING
    concepts: list[int] | None = None
    formats: list[str] = MISSING
    statistics: str | None = None
    make_statistics: bool = MISSING

    def settings(self, config: Config, origin: Path) -> object:  # noqa: ARG002
        """The settings as the stage's function takes them."""
        from lcrp.stages.render import RenderSettings

        return filled(RenderSettings, self.placed(origin), origin)
