"""stage=merge: concept statistics from those of shards."""

from dataclasses import dataclass
from pathlib import Path

from lcrp.config.root import Config, Stage
from lcrp.config.values import filled


@dataclass
class MergeStage(Stage):
    """Concept statistics from those of shards."""

    shards: list[str] | None = None
    output: str | None = None

    def settings(self, config: Config, origin: Path) -> object:  # noqa: ARG002
        """The settings as the stage's function takes them."""
        from lcrp.stages.merge import MergeSettings

        return filled(MergeSettings, self, origin)
