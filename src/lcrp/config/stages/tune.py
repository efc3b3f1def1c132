"""stage=tune: the composite that is most faithful to a network."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from omegaconf import MISSING

from lcrp.config.root import Config, Stage
from lcrp.config.values import filled


@dataclass
class TuneStage(Stage):
    """The composite that is most faithful to a network."""

    explains: ClassVar[bool] = True
    is_cut: ClassVar[bool] = True

    num_targets: int = MISSING
    num_confirmed: int = MISSING
    num_layers: int = MISSING
    minutes: float | None = None
    seed: int = MISSING

    def settings(self, config: Config, origin: Path) -> object:
        """The settings as the stage's function takes them."""
        from lcrp.data.loader import Shard
        from lcrp.stages.tune.settings import TuneSettings

        shard = Shard(index=config.shard.index, count=config.shard.count)
        return filled(TuneSettings, self, origin, {"shard": shard})
