"""stage=import and stage=export: concept statistics from or as a folder of zennit-crp."""

from dataclasses import dataclass
from pathlib import Path

from omegaconf import MISSING

from lcrp.config.root import Config, Stage
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
class ExportStage(_ExchangeStage):
    """Concept statistics as a folder of zennit-crp."""

    statistics: str | None = None

    def settings(self, config: Config, origin: Path) -> object:  # noqa: ARG002
        """The settings as the stage's function takes them."""
        from lcrp.stages.exchange import ExportSettings

        return filled(ExportSettings, self, origin)
