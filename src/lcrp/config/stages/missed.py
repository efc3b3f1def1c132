"""stage=missed: which annotated objects are missed, and why."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from omegaconf import MISSING

from lcrp.config.root import Config, Stage
from lcrp.config.values import Problems, filled, told


@dataclass
class MissedStage(Stage):
    """Which annotated objects are missed, and why."""

    explains: ClassVar[bool] = True
    is_cut: ClassVar[bool] = True

    confidence: float | None = None
    iou: float | None = None
    max_detections: int | None = None
    least_score: float = MISSING
    class_names: list[str] | None = None
    min_area: float = MISSING
    explained: int | None = None
    layer: str | None = None
    formats: list[str] = MISSING

    def settings(self, config: Config, origin: Path) -> object:
        """The settings as the stage's function takes them."""
        from lcrp.data.loader import Shard
        from lcrp.stages.missed.settings import MissedSettings

        shard = Shard(index=config.shard.index, count=config.shard.count)
        return filled(MissedSettings, self, origin, {"shard": shard})

    def problems(self, config: Config) -> Problems:
        """What is wrong with the settings, each with its name."""
        from lcrp.config.tasks import build_task
        from lcrp.decisions.thresholds import Thresholds

        yield from super().problems(config)
        if not any(config.task_problems()):
            yield from told("stage.", lambda: filled(Thresholds, self, Path()).of(build_task(config, ())))
