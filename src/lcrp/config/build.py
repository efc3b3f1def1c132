"""From checked settings to a network that can be explained, and to what a stage works on.

Nothing beyond this package knows how a run was configured.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch

from lcrp.attribution.answers import check_answer
from lcrp.attribution.layers import AUTO, check_layers, layer_names, no_layer
from lcrp.composites.spec import GRADIENT
from lcrp.config import other_family
from lcrp.config.composite import TUNED, build_composite
from lcrp.config.model import Model
from lcrp.config.network import TrainedNetwork, trained_network
from lcrp.config.paths import absolute
from lcrp.config.root import Config, Statistics
from lcrp.config.samples import build_dataset, dataset_options, has_class_names, input_transform, joined_dataset
from lcrp.config.tasks import build_task
from lcrp.config.tuned import with_composite_of
from lcrp.config.values import filled
from lcrp.data.dataset import Dataset
from lcrp.data.labelled.reading import tell
from lcrp.decisions.explainer import Explainer, Precision
from lcrp.decisions.subject import StatisticsSettings, Subject
from lcrp.errors import ConfigError, LayerError
from lcrp.stages.glocal.batch_size import DEFAULT
from lcrp.values.ledger import Unaccounted

WORKERS_OF_A_GPU = 4
SMP = "lcrp.models.smp.segmenter"  # whose networks may be made for one size of pictures


def build_subject(config: Config, device: torch.device, origin: Path, command: str = "") -> Subject:
    """The network, its dataset and its composite.

    Args:
        config: checked settings.
        device: where the network goes.
        origin: folder where the command was given; a person's paths are relative to it.
        command: makes the concept statistics, as a person gives it; empty where there is no command line.

    Raises:
        LcrpError: a file is missing or wrong, a name leads nowhere, or the parts do not fit each other.
    """
    dataset = build_dataset(config.dataset, config.model, origin) if has_class_names(config.dataset) else None
    explainer = build_explainer(config, None if dataset is None else dataset.class_names, device, origin)
    if dataset is None:
        dataset = build_dataset(config.dataset, config.model, origin, explainer.class_names)
    dataset = joined_dataset(dataset, explainer.class_names, config.dataset.names_by_data())
    options = dataset_options(config.dataset)
    subject = subject_on(explainer, dataset, config.dataset.name, options, num_workers(config))
    return replace(subject, command=command)


def subject_on(
    explainer: Explainer, dataset: Dataset, name: str, options: Mapping[str, object], num_workers: int
) -> Subject:
    """A network and the samples that it is explained on.

    Args:
        explainer: the network.
        dataset: in the network's input geometry.
        name: the dataset's name, in the configuration if it has one there.
        options: further settings of the dataset that may alter numbers, plain values.
        num_workers: processes that load and decode samples.
    """
    reading = getattr(dataset, "reading", None)
    if reading is not None:
        tell(reading)
    described = {"name": name, "fingerprint": dataset.fingerprint(), "num_samples": len(dataset), **options}
    return Subject(
        explainer=explainer,
        dataset=dataset,
        num_workers=num_workers,
        dataset_name=name,
        identity={**explainer.identity(), "dataset": described},
        reading="" if reading is None else reading.text(),
    )


def build_explainer(
    config: Config, dataset_names: tuple[str, ...] | None, device: torch.device, origin: Path
) -> Explainer:
    """The network with all that belongs to it.

    Args:
        config: checked settings.
        dataset_names: class names of the dataset, background included for segmentation; None if it has none.
        device: where the network goes.
        origin: folder to which the checkpoint's path is relative.

    Raises:
        LcrpError: as `build_subject`.
    """
    model = config.model
    if config.composite["_target_"] != TUNED:
        build_composite(config.composite)  # what is wrong with it is told before a checkpoint is read
    dtype = torch.bfloat16 if config.precision == "bfloat16" else torch.float32
    with other_family.told(model, origin):
        trained = trained_network(model, dataset_names, device, origin, dtype)
    if model.network["_target_"] == SMP:
        _check_size(model, trained)
    check_layers(trained.network)
    names = layer_names(trained.network)
    if model.layer not in (AUTO, *names):
        raise LayerError(no_layer(model.layer, model.name, names), mend="Set model.layer.")
    if trained.activation is not None:
        config = replace(config, model=replace(model, activation=trained.activation))
    explainer = Explainer(
        name=model.name,
        network=trained.network,
        task=build_task(config, trained.class_names),
        composite=GRADIENT,
        transform=input_transform(model),
        mean=tuple(model.mean),
        std=tuple(model.std),
        layer=model.layer,
        checkpoint=trained.checkpoint,
        checkpoint_sha256=trained.checkpoint_sha256,
        architecture={"_target_": model.network["_target_"], **trained.arguments},
        precision=cast(Precision, config.precision),
        unaccounted=cast(Unaccounted, config.unaccounted),
    )
    explainer = with_composite_of(explainer, config.composite, origin)
    return explainer if config.names is None else explainer.with_names(absolute(config.names, origin))


def _check_size(model: Model, trained: TrainedNetwork) -> None:
    """Whether a network takes pictures of the size that is set: a library's may be made for one size alone."""
    num_classes = cast(int, trained.arguments["num_classes"])
    try:
        check_answer(trained.network, (model.input.height, model.input.width), model.task, (num_classes,))
    except ConfigError as error:
        raise ConfigError(str(error), mend="Set model.input.height and model.input.width, or the network.") from error


def statistics_settings(statistics: Statistics) -> StatisticsSettings:
    """What changes concept statistics, as a value; a batch size that is still to be found is that of CPUs."""
    given = {"batch_size": DEFAULT} if statistics.batch_size == AUTO else None
    return filled(StatisticsSettings, statistics, Path(), given)


def num_workers(config: Config) -> int:
    """Processes that read samples ahead: as set, or as many as keep the device busy."""
    if config.workers is not None:
        return config.workers
    return 0 if find_device(config.device).type == "cpu" else WORKERS_OF_A_GPU


def set_precision(name: str) -> None:
    """How GPUs multiply float32 numbers, and by kernels that give the same bits each time."""
    torch.backends.cuda.matmul.allow_tf32 = name == "tf32"
    torch.backends.cudnn.allow_tf32 = name == "tf32"
    torch.backends.cudnn.deterministic = True


def find_device(name: str) -> torch.device:
    """The device of a name, if this machine has it; 'auto' takes CUDA before Apple's mps before the CPU.

    Raises:
        ConfigError: it does not.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    has_mps = torch.backends.mps.is_available()
    if name == "auto":
        return torch.device("cuda" if count else "mps" if has_mps else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= count:
        found = f"{count} CUDA devices are there" if count else "torch finds no CUDA device"
        raise ConfigError(f"device='{name}' is not on this machine: {found}; use device=cpu")
    if device.type == "mps" and not has_mps:
        raise ConfigError("device='mps' is not on this machine: it is the GPU of Apple's computers; use device=cpu")
    return device
