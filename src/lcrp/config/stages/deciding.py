"""Settings of the stages that show decisions of pictures at hand: which of them, by thresholds of their own."""

from dataclasses import dataclass
from pathlib import Path

from lcrp.config.root import Config, Stage
from lcrp.config.values import Problems, filled, told


@dataclass
class DecidingStage(Stage):
    """Thresholds of the decisions that are shown, and what of them; null: the model's, as for the statistics."""

    confidence: float | None = None
    iou: float | None = None
    max_detections: int | None = None
    read: str | None = None

    def problems(self, config: Config) -> Problems:
        """What is wrong with the settings, each with its name."""
        from lcrp.config.tasks import build_task
        from lcrp.decisions.thresholds import Thresholds

        yield from super().problems(config)
        if not any(config.task_problems()):
            yield from told("stage.", lambda: filled(Thresholds, self, Path()).of(build_task(config, ())))
