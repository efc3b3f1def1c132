"""From checked settings to a stage that is ready to run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from lcrp.config.build import build_subject, find_device, num_workers, set_precision, statistics_settings
from lcrp.config.check import checked
from lcrp.config.commands import Command
from lcrp.config.compose import composed_node
from lcrp.config.dataset import ScenesDataset
from lcrp.config.network import fresh_network
from lcrp.config.other_family import OtherFamilyError, with_command
from lcrp.config.root import AUTO, Config
from lcrp.config.samples import build_dataset, inspected_dataset
from lcrp.config.stages.inspect import InspectStage
from lcrp.config.stages.own import OwnStage
from lcrp.config.stages.train import TrainStage
from lcrp.config.targets import call, check_arguments, is_own, locate, takes
from lcrp.config.tasks import TASKS
from lcrp.data.dataset import Dataset
from lcrp.decisions.subject import StatisticsSettings, Subject
from lcrp.errors import ConfigError
from lcrp.runs.provenance import read_provenance
from lcrp.runs.run import Run
from lcrp.stages.glocal.batch_size import batch_size
from lcrp.stages.settled import settled
from lcrp.stages.train import Pupil, TrainSubject
from lcrp.values.normalisation import Normalisation

CONTEXT_BIASES = (0.95, 0.2)  # of the pictures on which every trained network is measured

Written = Path | Sequence[Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A stage with all that it takes.

    Attributes:
        stage: runs it; returns the file or files that it wrote.
        facts: what provenance.json says of model, dataset and composite.
    """

    stage: Callable[[Run], Written]
    facts: Mapping[str, object]


def build_job(config: Config, origin: Path, command: Command) -> Job:
    """Everything that one run needs, built from its settings.

    Args:
        config: checked settings.
        origin: folder where the command was given; a person's paths are relative to it.
        command: what the person wrote, for messages that say how to go on.

    Raises:
        LcrpError: a file is missing or wrong, a name leads nowhere, or the parts do not fit each other.
    """
    stage = locate(config.stage._target_, "stage._target_")
    settings = config.stage.settings(config, origin)
    match config.stage:
        case OwnStage():
            return _own(config, stage, origin, command)
        case InspectStage():
            dataset = inspected_dataset(config, origin)
            facts = {"dataset": {"name": config.dataset.name, "fingerprint": dataset.fingerprint()}}
            return Job(stage=partial(stage, dataset, settings), facts=facts)
        case TrainStage():
            pupil = _train_subject(config, config.stage, _device(config), origin)
            facts = {"model": {"name": config.model.name}, "dataset": {"fingerprint": pupil.train.fingerprint()}}
            return Job(stage=partial(stage, pupil, settings), facts=facts)
    if config.stage.takes in ("nothing", "dataset"):
        facts = {"dataset": {"name": config.dataset.name}} if config.stage.takes == "dataset" else {}
        return Job(stage=partial(stage, settings), facts=facts)
    if config.stage.takes == "run":
        assert isinstance(settings, Path)
        return _verification(config, stage, settings, origin, command)
    subject = _subject(config, origin, command)

    def work(run: Run) -> Written:
        written: Written = stage(subject, _statistics(config, subject, run), settings, run)
        return written

    return Job(stage=work, facts=subject.identity)


def _statistics(config: Config, subject: Subject, run: Run) -> StatisticsSettings:
    """How statistics are made, the batch size found if it is asked for."""
    found = statistics_settings(config.statistics)
    if config.statistics.batch_size != AUTO:
        return found
    return replace(found, batch_size=batch_size(subject, found, run))


def _subject(config: Config, origin: Path, command: Command) -> Subject:
    """What a stage works on; a checkpoint of another family is told with the command that is right for it."""
    try:
        return build_subject(config, _device(config), origin, command.statistics())
    except OtherFamilyError as error:
        raise with_command(error, command) from error


def _own(config: Config, stage: Callable[..., Written], origin: Path, command: Command) -> Job:
    """A function of a person's own: its settings by name, and whatever else it has parameters for."""
    assert isinstance(config.stage, OwnStage)
    subject = _subject(config, origin, command)
    settings = config.stage.settings(config, origin)

    def arguments(known: Subject, statistics: StatisticsSettings, run: Run | None) -> dict[str, object]:
        given = {"subject": known, "explainer": known.explainer, "statistics": statistics, "run": run}
        return settings | {name: value for name, value in given.items() if takes(stage, name)}

    without = statistics_settings(config.statistics)  # a batch size that is to be found
    check_arguments(stage, arguments(subject, without, None), "stage")

    def work(run: Run) -> Written:
        statistics = _statistics(config, subject, run) if takes(stage, "statistics") else without
        known = settled(subject, statistics, run, [None, *statistics.layers])
        written: Written = call(stage, arguments(known, statistics, run), "stage")
        return written

    return Job(stage=work, facts=subject.identity)


def _verification(config: Config, stage: Callable[..., Path], folder: Path, origin: Path, command: Command) -> Job:
    """What the command of an earlier run would work on today, beside what it worked on then."""
    recorded = read_provenance(folder)
    given = recorded.get("command")
    if given is None:
        raise ConfigError(f"'{folder}' was made by {recorded['function']} in Python, which no command can repeat")
    assert isinstance(given, dict)
    there = Path(given["folder"])
    settings = checked(composed_node(given["overrides"]))
    if settings.stage.takes == "run":
        raise ConfigError(f"'{folder}' looked at another run itself; name a run that computed something")
    trusted = _targets(config)
    for key, path in _targets(settings).items():
        if path != trusted[key] and not is_own(path):
            raise ConfigError(
                f"'{folder}' names {key}='{path}', which is not lcrp's own code; if you trust it, say so: "
                + command.again(f"{key}={path}")
            )
    earlier = build_job(settings, there if there.is_dir() else origin, command)
    device = str(find_device(settings.device))
    facts = {"device": device, "precision": settings.precision, **earlier.facts}
    return Job(stage=partial(stage, folder, recorded, facts), facts={"verified": str(folder)})


def _targets(config: Config) -> dict[str, str]:
    """What is called, by the setting that names it."""
    return {
        "model.network._target_": str(config.model.network["_target_"]),
        "dataset._target_": config.dataset._target_,
        "composite._target_": config.composite["_target_"],
        "stage._target_": config.stage._target_,
    }


def _train_subject(config: Config, stage: TrainStage, device: torch.device, origin: Path) -> TrainSubject:
    """A fresh network, the pictures it learns, and those on which it is measured."""
    scenes = config.dataset
    assert isinstance(scenes, ScenesDataset)

    def pictures(split: str, context_bias: float) -> Dataset:
        return build_dataset(replace(scenes, split=split, context_bias=context_bias), config.model, origin)

    train = pictures("train", scenes.context_bias)
    biases = dict.fromkeys((scenes.context_bias, *CONTEXT_BIASES))
    validation = {f"val, context_bias {value}": pictures("val", value) for value in biases}
    model, kind = config.model, TASKS[config.model.task]
    pupil = Pupil(
        name=model.name,
        network=fresh_network(model, train.class_names, stage.seed, device),
        normalise=Normalisation(mean=tuple(model.mean), std=tuple(model.std)),
        task=kind.examined(train.class_names),
        objective=kind.objective,
        quality=kind.quality,
    )
    return TrainSubject(pupil=pupil, train=train, validation=validation, num_workers=num_workers(config))


def _device(config: Config) -> torch.device:
    """The device, which multiplies as the settings say from now on."""
    device = find_device(config.device)
    if config.precision == "tf32" and device.type != "cuda":
        raise ConfigError(f"precision=tf32 is a way of GPUs to compute, not of '{device}'; write precision=float32")
    set_precision(config.precision)
    return device
