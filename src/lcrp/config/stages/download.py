"""stage=download: a public dataset, fetched."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from omegaconf import MISSING

from lcrp.config.paths import absolute
from lcrp.config.root import Config, Stage, Takes
from lcrp.config.values import filled


@dataclass
class DownloadStage(Stage):
    """A public dataset, fetched into its folder."""

    takes: ClassVar[Takes] = "dataset"

    url_base: str | None = None
    keep_archives: bool = MISSING

    def settings(self, config: Config, origin: Path) -> object:
        """The settings as the stage's function takes them; what is fetched goes into the dataset's `root`."""
        from lcrp.stages.download import DownloadSettings

        root = getattr(config.dataset, "root", None)
        where = None if root is None else absolute(root, origin)
        return filled(DownloadSettings, self, origin, {"dataset": config.dataset.name, "root": where})
