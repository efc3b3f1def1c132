"""A stage of a person's own: any function, with whatever settings its YAML file gives it."""

from dataclasses import dataclass
from pathlib import Path

from lcrp.config.root import Config, Stage


@dataclass
class OwnStage(Stage):
    """Any function.

    It is called with the settings of its YAML file by name, and with those of `subject` (network and dataset),
    `explainer` (the network alone), `run` (the run's folder and progress) and `statistics` (how concept statistics are
    made) that it has parameters for; it returns the file or files that it wrote.
    """

    def settings(self, config: Config, origin: Path) -> dict[str, object]:  # noqa: ARG002
        """The arguments that its file gives the function."""
        return {key: value for key, value in vars(self).items() if key not in ("_target_", "name")}
