"""stage=train: a network trained from scratch on the embedded pictures."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from omegaconf import MISSING

from lcrp.config.dataset import ScenesDataset
from lcrp.config.paths import absolute
from lcrp.config.root import Config, Stage, Takes
from lcrp.config.values import Problems, filled


@dataclass
class TrainStage(Stage):
    """A network trained from scratch on the embedded pictures."""

    takes: ClassVar[Takes] = "pupil"

    output: str | None = None
    epochs_at: list[list[int]] = MISSING
    batch_size: int = MISSING
    learning_rate: float = MISSING
    weight_decay: float = MISSING
    seed: int = MISSING

    def settings(self, config: Config, origin: Path) -> object:
        """The settings as the stage's function takes them."""
        from lcrp.stages.train import TrainSettings

        output = self.output or f"outputs/weights/{config.model.name}_{config.dataset.name}.pt"
        return filled(TrainSettings, self, origin, {"output": absolute(output, origin)})

    def problems(self, config: Config) -> Problems:
        """What is wrong with the settings, each with its name."""
        yield from super().problems(config)
        if not isinstance(config.dataset, ScenesDataset):
            yield f"stage=train learns the embedded pictures, not '{config.dataset.name}'; use dataset=scenes"
