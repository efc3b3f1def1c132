"""Settings of the stages that show decisions of pictures at hand: which of them, by thresholds of their own."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from omegaconf import MISSING

from lcrp.config.paths import absolute
from lcrp.config.root import Config, Stage
from lcrp.config.values import Problems, filled, told


@dataclass
class DecidingStage(Stage):
    """Whose decisions are shown, which of them, and what of them; thresholds of null are the model's."""

    image: str | None = None
    rectangle: bool = MISSING
    samples: list[Any] | None = None
    class_name: str | None = None
    max_targets: int = MISSING
    confidence: float | None = None
    iou: float | None = None
    max_detections: int | None = None
    read: str | None = None

    def placed(self, origin: Path) -> Self:
        """The same; a person's own pictures are where the command was given."""
        image = None if self.image is None else str(absolute(self.image, origin))  # a text: it may be a pattern
        return replace(self, image=image)

    def problems(self, config: Config) -> Problems:
        """What is wrong with the settings, each with its name."""
        from lcrp.config.tasks import build_task
        from lcrp.decisions.thresholds import Thresholds

        yield from super().problems(config)
        if not any(config.task_problems()):
            yield from told("stage.", lambda: filled(Thresholds, self, Path()).of(build_task(config, ())))
