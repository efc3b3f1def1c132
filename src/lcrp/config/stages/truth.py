"""stage=truth: heatmaps beside what interventions on the scenes say."""

from dataclasses import dataclass
from pathlib import Path

from omegaconf import MISSING

from lcrp.config.root import Config, Stage
from lcrp.config.values import filled


@dataclass
class TruthStage(Stage):
    """Heatmaps beside what interventions on the scenes say."""

    methods: list[str] = MISSING
    num_targets: int = MISSING
    n_concepts: int = MISSING
    seed: int = MISSING

    def settings(self, config: Config, origin: Path) -> object:  # noqa: ARG002
        """The settings as the stage's function takes them."""
        from lcrp.config.methods import methods
        from lcrp.stages.truth.truth import TruthSettings

        return filled(TruthSettings, self, origin, {"methods": methods(self.methods)})
