"""stage=evaluate: methods compared by flipping and insertion."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from omegaconf import MISSING

from lcrp.config.root import Config, Stage
from lcrp.config.values import filled


@dataclass
class EvaluateStage(Stage):
    """Methods compared by flipping and insertion."""

    explains: ClassVar[bool] = True

    methods: list[str] = MISSING
    num_targets: int = MISSING
    num_layers: int | None = None
    num_steps: int = MISSING
    ablations: list[str] = MISSING
    seed: int = MISSING
    checks: bool = MISSING

    def settings(self, config: Config, origin: Path) -> object:  # noqa: ARG002
        """The settings as the stage's function takes them."""
        from lcrp.config.methods import methods
        from lcrp.stages.evaluate.settings import EvaluateSettings

        return filled(EvaluateSettings, self, origin, {"methods": methods(self.methods)})
