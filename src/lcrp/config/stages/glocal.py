"""stage=glocal: concept statistics of a dataset."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from omegaconf import MISSING

from lcrp.config.root import Config, Stage
from lcrp.config.values import filled


@dataclass
class GlocalStage(Stage):
    """Concept statistics of a dataset."""

    explains: ClassVar[bool] = True
    is_cut: ClassVar[bool] = True

    output: str | None = None
    on_error: str = MISSING
    overwrite: bool = MISSING
    checkpoint_minutes: float = MISSING

    def settings(self, config: Config, origin: Path) -> object:
        """The settings as the stage's function takes them."""
        from lcrp.data.loader import Shard
        from lcrp.stages.glocal.glocal import GlocalSettings

        shard = Shard(index=config.shard.index, count=config.shard.count)
        return filled(GlocalSettings, self, origin, {"shard": shard})
