"""The root of all settings: what is not in these classes is refused.

A group's file that needs more keys than its group's base names a schema as its first default, for example
``/schema/stage@_here_: render``. What the settings mean stands beside them in conf/. Nothing here imports torch before
values are checked: ``--help``, completion and misspelt settings need not wait for it.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Union, get_args

from omegaconf import MISSING

from lcrp.config.dataset import Dataset
from lcrp.config.model import Model
from lcrp.config.values import Problems, filled, told
from lcrp.errors import at_least, one_of, within
from lcrp.values.ledger import Unaccounted

Takes = Literal["subject", "pupil", "dataset", "run", "nothing"]

AUTO = "auto"  # statistics.batch_size: by the memory of the device
DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


@dataclass
class Statistics:
    """What changes concept statistics, shared by all stages."""

    targets: str = MISSING
    layers: list[str] = MISSING
    top_n: int = MISSING
    top_n_per_class: int = MISSING
    seed: str = MISSING
    batch_size: Union[int, str] = MISSING  # noqa: UP007 - OmegaConf knows no other way; a number, or AUTO
    num_samples: int | None = None
    record: bool = MISSING

    def problems(self) -> Problems:
        """What is wrong with them."""
        from lcrp.decisions.subject import StatisticsSettings

        given = {}
        if isinstance(self.batch_size, str):
            given = {"batch_size": 1}
            if self.batch_size != AUTO:
                yield f"'statistics.batch_size' must be a whole number, or auto, not '{self.batch_size}'"
        yield from told("statistics.", lambda: filled(StatisticsSettings, self, Path(), given))


@dataclass
class Shard:
    """The part of a pass that is made."""

    index: int = MISSING
    count: int = MISSING

    def problems(self) -> Problems:
        """What is wrong with them."""
        yield from at_least("shard.count", self.count, 1)
        if self.count >= 1:
            yield from within("shard.index", self.index, 0, self.count - 1)


@dataclass
class Stage:
    """Base of the stages: a function, and a name for folders.

    Attributes:
        takes: what the function works on: 'subject' (network and dataset), a 'pupil' that learns, the files of a
            'dataset', an earlier 'run', or 'nothing' but its settings.
        explains: whether it explains targets, which the dataset's annotation may have to name.
        is_cut: whether it makes one of several shards.
    """

    takes: ClassVar[Takes] = "subject"
    explains: ClassVar[bool] = False
    is_cut: ClassVar[bool] = False

    _target_: str = MISSING
    name: str = MISSING

    def settings(self, config: "Config", origin: Path) -> object:
        """The settings as the stage's function takes them.

        Args:
            config: all settings, of which few stages need more than their own.
            origin: folder where the command was given; a person's paths are relative to it.

        Raises:
            ConfigError: they make no sense; each problem begins with the name of a setting.
        """
        raise NotImplementedError

    def problems(self, config: "Config") -> Problems:
        """What is wrong with the settings, each with its name."""
        yield from told("stage.", lambda: self.settings(config, Path()))


@dataclass
class Config:
    """All settings of a command."""

    model: Model = field(default_factory=Model)
    dataset: Dataset = field(default_factory=Dataset)
    composite: dict[str, Any] = MISSING  # _target_, name, is_lrp, conserves; the rest are the builder's own settings
    stage: Stage = field(default_factory=Stage)
    statistics: Statistics = field(default_factory=Statistics)
    shard: Shard = field(default_factory=Shard)
    device: str = MISSING
    precision: str = MISSING
    unaccounted: str = MISSING
    names: str | None = None
    run: str | None = None
    threads: int | None = None
    workers: int | None = None

    def problems(self) -> Problems:
        """All that is wrong with values of the settings, each with the setting's name."""
        yield from self._machine_problems()
        for part in (self.statistics, self.model, self.dataset, self.shard):
            yield from part.problems()
        yield from self.dataset.class_map_problems()
        yield from self.stage.problems(self)
        yield from self._composite_problems()
        yield from self.task_problems()
        yield from self._annotation_problems()
        yield from self._stage_problems()

    def _machine_problems(self) -> Problems:
        from lcrp.decisions.explainer import Precision

        if not DEVICE.fullmatch(self.device):
            yield f"device='{self.device}' is unknown; choose 'cpu', 'cuda' or 'cuda:0', 'cuda:1', ..., 'mps' or 'auto'"
        yield from one_of("precision", self.precision, get_args(Precision))
        yield from one_of("unaccounted", self.unaccounted, get_args(Unaccounted))
        if self.precision == "tf32" and self.device in ("cpu", "mps"):
            yield "precision=tf32 is a way of GPUs to compute; write device=cuda too, or precision=float32"
        yield from at_least("threads", self.threads, 1)
        yield from at_least("workers", self.workers, 0)

    def _composite_problems(self) -> Problems:
        for key in ("_target_", "name"):
            if not isinstance(self.composite.get(key), str):
                yield f"'composite.{key}' has no value; write composite.{key}=..."
        for key in ("is_lrp", "conserves"):
            if not isinstance(self.composite.get(key, True), bool):
                yield f"composite.{key}={self.composite[key]!r} must be true or false"

    def task_problems(self) -> Problems:
        """What is wrong with the settings that decisions and their seeds depend on."""
        from lcrp.attribution.class_masks import Seed
        from lcrp.config.tasks import build_task

        problems = [*self.model.task_problems(), *one_of("statistics.seed", self.statistics.seed, get_args(Seed))]
        yield from problems or told("model.", lambda: build_task(self, ()))

    def _annotation_problems(self) -> Problems:
        """Whether the annotation can tell of such decisions, where targets are to be the annotated ones."""
        from lcrp.config.tasks import TASKS

        annotation, suited = self.dataset.annotates
        predicted = TASKS[self.model.task].predicts if self.model.task in TASKS else self.model.task
        is_asked = self.stage.explains and self.statistics.targets == "annotated"
        if is_asked and suited and predicted != suited:
            yield (
                f"dataset '{self.dataset.name}' annotates {annotation}, which '{self.model.name}' ({predicted}) "
                "does not predict; write statistics.targets=predicted to explain whatever it does predict"
            )

    def _stage_problems(self) -> Problems:
        """Settings that say nothing to the stage."""
        name = self.stage.name
        if self.stage.takes == "pupil" and self.precision != "float32":
            yield f"stage={name} learns in float32, not in precision={self.precision}"
        if self.shard.count > 1 and not self.stage.is_cut:
            yield f"shard.count={self.shard.count} says nothing to stage={name}; it cuts glocal, missed, audit and tune"
        if self.stage.takes == "run" and self.run is None:
            yield f"stage={name} needs the folder of an earlier run; write run=outputs/runs/..."
        if self.stage.takes != "run" and self.run is not None:
            yield f"run='{self.run}' says nothing to stage={name}; stage=verify looks at it"
