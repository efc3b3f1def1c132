"""stage=verify: an earlier run, looked at again."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from lcrp.config.paths import absolute
from lcrp.config.root import Config, Stage, Takes


@dataclass
class VerifyStage(Stage):
    """An earlier run, looked at again."""

    takes: ClassVar[Takes] = "run"

    def settings(self, config: Config, origin: Path) -> object:
        """The folder of the earlier run."""
        return absolute(config.run or "", origin)
