"""stage=import and stage=export: from zennit-crp, and for other tools."""

from dataclasses import dataclass
from pathlib import Path

from omegaconf import MISSING

from lcrp.config.root import Config, Stage
from lcrp.config.stages.deciding import DecidingStage
from lcrp.config.values import filled


@dataclass
class _ExchangeStage(Stage):
    """Base of both directions."""

    folder: str = MISSING
    layer_prefix: str = MISSING
    first_class: int = MISSING


@dataclass
class ImportStage(_ExchangeStage):
    """Concept statistics from a folder of zennit-crp."""

    overwrite: bool = MISSING

    def settings(self, config: Config, origin: Path) -> object:  # noqa: ARG002
        """The settings as the stage's function takes them."""
        from lcrp.stages.exchange import ImportSettings

        return filled(ImportSettings, self, origin)


@dataclass
class ExportStage(DecidingStage, _ExchangeStage):
    """What lcrp found, as other tools read it."""

    format: str = MISSING
    statistics: str | None = None
    num_decisions: int = MISSING
    layer: str | None = None
    n_concepts: int = MISSING

    def settings(self, config: Config, origin: Path) -> object:  # noqa: ARG002
        """The settings as the stage's function takes them."""
        from lcrp.stages.export import ExportSettings

        return filled(ExportSettings, self.placed(origin), origin)
