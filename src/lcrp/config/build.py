"""From checked settings to a stage that is ready to run.

Nothing beyond this package knows how a run was configured.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from hydra import compose

from lcrp.config import schema
from lcrp.config.check import checked
from lcrp.config.composite import build_composite
from lcrp.config.dataset import build_dataset, dataset_options, has_class_names, input_transform
from lcrp.config.network import fresh_network, trained_network
from lcrp.config.paths import absolute
from lcrp.config.stages import download_settings, stage_settings, train_settings
from lcrp.config.targets import is_own, locate
from lcrp.config.tasks import TASKS, build_task
from lcrp.data.dataset import Dataset
from lcrp.data.loader import Shard
from lcrp.decisions.explainer import Explainer
from lcrp.decisions.subject import StatisticsSettings, Subject
from lcrp.errors import ConfigError
from lcrp.runs.provenance import read_provenance
from lcrp.runs.run import Run
from lcrp.stages.clean.clean import CleanSettings
from lcrp.stages.glocal.glocal import GlocalSettings
from lcrp.stages.train import Pupil, TrainSubject
from lcrp.values.normalisation import Normalisation

WORKERS_OF_A_GPU = 4
CONTEXT_BIASES = (0.95, 0.2)  # of the pictures on which every trained network is measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A stage with all that it takes.

    Attributes:
        stage: runs it; returns the file or files that it wrote.
        facts: what provenance.json says of model, dataset and composite.
    """

    stage: Callable[[Run], Path | Sequence[Path]]
    facts: Mapping[str, object]


def build_job(config: schema.Config, origin: Path) -> Job:
    """Everything that one run needs, built from its settings.

    Args:
        config: checked settings.
        origin: folder where the command was given; a user's paths are relative to it.

    Raises:
        LcrpError: a file is missing or wrong, a name leads nowhere, or the parts do not fit each other.
    """
    stage = locate(config.stage._target_, "stage._target_")
    if isinstance(config.stage, schema.DownloadStage):
        fetched = download_settings(config.stage, config.dataset, origin)
        return Job(stage=partial(stage, fetched), facts={"dataset": {"name": config.dataset.name}})
    if isinstance(config.stage, schema.VerifyStage):
        return _verification(config, stage, origin)
    if isinstance(config.stage, schema.CleanStage):
        return Job(stage=partial(stage, CleanSettings(delete=tuple(config.stage.delete))), facts={})
    device = _device(config.device)
    set_precision(config.precision)
    if isinstance(config.stage, schema.TrainStage):
        pupil = _train_subject(config, config.stage, device, origin)
        output = origin / "outputs" / "weights" / f"{config.model.name}_{config.dataset.name}.pt"
        settings = train_settings(config.stage, output, origin)
        facts = {"model": {"name": config.model.name}, "dataset": {"fingerprint": pupil.train.fingerprint()}}
        return Job(stage=partial(stage, pupil, settings), facts=facts)
    subject = build_subject(config, device, origin)
    wanted = stage_settings(config.stage, origin)
    if isinstance(wanted, GlocalSettings):
        wanted = replace(wanted, shard=Shard(index=config.shard.index, count=config.shard.count))
    return Job(stage=partial(stage, subject, _statistics(config.statistics), wanted), facts=subject.identity)


def _verification(config: schema.Config, stage: Callable[..., Path], origin: Path) -> Job:
    """What the command of an earlier run would work on today, beside what it worked on then."""
    assert config.run is not None
    folder = absolute(config.run, origin)
    recorded = read_provenance(folder)
    command = recorded["command"]
    assert isinstance(command, dict)
    there = Path(command["folder"])
    settings = checked(compose(config_name="config", overrides=list(command["overrides"])))
    if isinstance(settings.stage, schema.VerifyStage):
        raise ConfigError(f"'{folder}' looked at another run itself; name a run that computed something")
    trusted = _targets(config)
    for key, path in _targets(settings).items():
        if path != trusted[key] and not is_own(path):
            raise ConfigError(
                f"'{folder}' names {key}='{path}', which is not lcrp's own code; if you trust it, say so: "
                f"lcrp stage=verify run={config.run} {key}={path}"
            )
    earlier = build_job(settings, there if there.is_dir() else origin)
    facts = {"device": settings.device, "precision": settings.precision, **earlier.facts}
    return Job(stage=partial(stage, folder, recorded, facts), facts={"verified": str(folder)})


def _targets(config: schema.Config) -> dict[str, str]:
    """What is called, by the setting that names it."""
    return {
        "model.network._target_": str(config.model.network["_target_"]),
        "dataset._target_": config.dataset._target_,
        "composite._target_": config.composite["_target_"],
        "stage._target_": config.stage._target_,
    }


def build_subject(config: schema.Config, device: torch.device, origin: Path) -> Subject:
    """The network, its dataset and its composite.

    Raises:
        LcrpError: as `build_job`.
    """
    dataset = build_dataset(config.dataset, config.model, origin) if has_class_names(config.dataset) else None
    explainer = build_explainer(config, None if dataset is None else dataset.class_names, device, origin)
    if dataset is None:
        dataset = build_dataset(config.dataset, config.model, origin, explainer.class_names)
    described = {
        "name": config.dataset.name,
        "fingerprint": dataset.fingerprint(),
        "num_samples": len(dataset),
        **dataset_options(config.dataset),
    }
    return Subject(
        explainer=explainer,
        dataset=dataset,
        num_workers=num_workers(config),
        dataset_name=config.dataset.name,
        identity={**explainer.identity(), "dataset": described},
    )


def build_explainer(
    config: schema.Config, dataset_names: tuple[str, ...] | None, device: torch.device, origin: Path
) -> Explainer:
    """The network with all that belongs to it.

    Args:
        config: checked settings.
        dataset_names: class names of the dataset, background included for segmentation; None if it has none.
        device: where the network goes.
        origin: folder to which the checkpoint's path is relative.

    Raises:
        LcrpError: as `build_job`.
    """
    model = config.model
    composite = build_composite(config.composite)
    dtype = torch.bfloat16 if config.precision == "bfloat16" else torch.float32
    trained = trained_network(model, dataset_names, device, origin, dtype)
    return Explainer(
        name=model.name,
        network=trained.network,
        task=build_task(config, trained.class_names),
        composite=composite,
        transform=input_transform(model),
        mean=tuple(model.mean),
        std=tuple(model.std),
        layer=model.layer,
        checkpoint=trained.checkpoint,
        checkpoint_sha256=trained.checkpoint_sha256,
        architecture={"_target_": model.network["_target_"], **trained.arguments},
        precision=config.precision,  # type: ignore[arg-type]
    )


def _statistics(statistics: schema.Statistics) -> StatisticsSettings:
    return StatisticsSettings(
        targets=statistics.targets,  # type: ignore[arg-type]
        layers=tuple(statistics.layers),
        top_n=statistics.top_n,
        top_n_per_class=statistics.top_n_per_class,
        batch_size=statistics.batch_size,
        num_samples=statistics.num_samples,
        record=statistics.record,
    )


def _train_subject(config: schema.Config, stage: schema.TrainStage, device: torch.device, origin: Path) -> TrainSubject:
    """A fresh network, the pictures it learns, and those on which it is measured."""
    if not isinstance(config.dataset, schema.ScenesDataset):
        raise ConfigError(f"stage=train learns the embedded pictures, not '{config.dataset.name}'; use dataset=scenes")

    def pictures(split: str, context_bias: float) -> Dataset:
        settings = replace(config.dataset, split=split, context_bias=context_bias)  # type: ignore[call-arg]
        return build_dataset(settings, config.model, origin)

    biases = dict.fromkeys((config.dataset.context_bias, *CONTEXT_BIASES))
    train = pictures("train", config.dataset.context_bias)
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
    return TrainSubject(
        pupil=pupil,
        train=train,
        validation=validation,
        num_workers=num_workers(config),
    )


def num_workers(config: schema.Config) -> int:
    """Processes that read samples ahead: as set, or as many as keep the device busy."""
    if config.workers is not None:
        return config.workers
    return WORKERS_OF_A_GPU if config.device.startswith("cuda") else 0


def set_precision(name: str) -> None:
    """How GPUs multiply float32 numbers, and by kernels that give the same bits each time."""
    torch.backends.cuda.matmul.allow_tf32 = name == "tf32"
    torch.backends.cudnn.allow_tf32 = name == "tf32"
    torch.backends.cudnn.deterministic = True


def _device(name: str) -> torch.device:
    """The device, if this machine has it."""
    device = torch.device(name)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= count:
        found = f"{count} CUDA devices are there" if count else "torch finds no CUDA device"
        raise ConfigError(f"device='{name}' is not on this machine: {found}; use device=cpu")
    return device
