"""stage=audit: does the network need the context?"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from omegaconf import MISSING

from lcrp.config.root import Config, Stage
from lcrp.config.values import filled


@dataclass
class AuditStage(Stage):
    """Whether decisions need their context, and which concepts carry that."""

    explains: ClassVar[bool] = True
    is_cut: ClassVar[bool] = True

    num_objects: int = MISSING
    num_grounds: int = MISSING
    num_synthetic: int = MISSING
    n_concepts: int = MISSING
    seed: int = MISSING

    def settings(self, config: Config, origin: Path) -> object:
        """The settings as the stage's function takes them."""
        from lcrp.data.loader import Shard
        from lcrp.stages.audit.settings import AuditSettings

        shard = Shard(index=config.shard.index, count=config.shard.count)
        return filled(AuditSettings, self, origin, {"shard": shard})
