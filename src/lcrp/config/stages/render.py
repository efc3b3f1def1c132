"""stage=render: explanations of single decisions."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from omegaconf import MISSING

from lcrp.config.paths import absolute
from lcrp.config.root import Config
from lcrp.config.stages.deciding import DecidingStage
from lcrp.config.values import filled


@dataclass
class RenderStage(DecidingStage):
    """Explanations of single decisions."""

    explains: ClassVar[bool] = True

    image: str | None = None
    samples: list[Any] | None = None
    class_name: str | None = None
    item: int | None = None
    rank: int | None = None
    box: list[float] | None = None
    rectangle: bool = MISSING
    min_iou: float = MISSING
    max_targets: int = MISSING
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

        image = None if self.image is None else str(absolute(self.image, origin))  # a text: it may be a pattern
        return filled(RenderSettings, replace(self, image=image), origin)
