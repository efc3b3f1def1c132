"""From the dataset's settings to its samples."""

import logging
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

from lcrp.config.dataset import Dataset as DatasetSettings
from lcrp.config.dataset import MasksDataset
from lcrp.config.model import Model, tiles_of
from lcrp.config.root import Config
from lcrp.config.targets import call, locate, takes
from lcrp.config.tasks import TASKS
from lcrp.config.values import filled
from lcrp.data.dataset import Dataset
from lcrp.data.labelled.join import join_classes
from lcrp.data.labelled.joined import JoinedDataset
from lcrp.data.scenes.dataset import ScenesDataset
from lcrp.data.tiles import tiled
from lcrp.data.transforms import InputTransform
from lcrp.errors import ConfigError

log = logging.getLogger(__name__)

_BASE = frozenset(entry.name for entry in fields(DatasetSettings))

INSPECTED = 384  # pixels of a picture that is inspected


def has_class_names(settings: DatasetSettings) -> bool:
    """Whether a dataset knows its classes itself; a folder of pictures takes the model's."""
    return hasattr(settings, "class_names") or not takes(locate(settings._target_, "dataset._target_"), "class_names")


def build_dataset(
    settings: DatasetSettings, model: Model, origin: Path, class_names: tuple[str, ...] | None = None
) -> Dataset:
    """The samples in the model's input geometry.

    What `_target_` names is called with its own settings, with `transform`, and, if it takes them, with `name`,
    `segmentation` (whether labels count the background) and `class_names` (of the model).

    Raises:
        DataError: files are missing.
        ConfigError: the class takes other arguments.
    """
    kind = locate(settings._target_, "dataset._target_")
    arguments = dataset_options(settings)
    arguments.pop("class_map", None)
    arguments |= settings.places(origin)
    if takes(kind, "origin"):
        arguments["origin"] = origin
    if takes(kind, "name"):
        arguments.setdefault("name", settings.name)
    if takes(kind, "segmentation"):
        arguments["segmentation"] = TASKS[model.task].has_background
    if class_names is not None:
        arguments["class_names"] = class_names
    return tiled(lambda transform: call(kind, arguments | {"transform": transform}, "dataset"), input_transform(model))


def inspected_dataset(config: Config, origin: Path) -> Dataset:
    """The samples as a person looks at them, whatever the network: whole, small, with what is annotated itself."""
    shown = replace(config.model.input, height=INSPECTED, width=INSPECTED, resize="letterbox", tiles=None)
    has_masks = config.dataset.annotates[1] == "segmentation" or isinstance(config.dataset, MasksDataset)
    model = replace(config.model, input=shown, task="segmentation" if has_masks else "detection")
    names = None if has_class_names(config.dataset) else ()
    return build_dataset(config.dataset, model, origin, names)


def dataset_options(settings: DatasetSettings) -> dict[str, object]:
    """Settings that may alter numbers: all but names and paths."""
    own = {key: value for key, value in vars(settings).items() if key not in _BASE.union(settings.files)}
    return own | settings.options | ({"class_map": settings.names_by_data()} if settings.class_map else {})


def joined_dataset(dataset: Dataset, class_names: tuple[str, ...], class_map: Mapping[str, str]) -> Dataset:
    """A dataset with the classes of a network, joined by name, if they have any in common.

    Args:
        dataset: as it was read.
        class_names: of the network.
        class_map: the network's name by the data's.

    Raises:
        ConfigError: the map names what is not there, or the dataset cannot be joined.
    """
    join = join_classes(dataset.class_names, class_names, class_map)
    if (join.is_same and not class_map) or not join.num_known:
        return dataset
    if isinstance(dataset, ScenesDataset):
        if class_map:
            raise ConfigError(f"dataset.class_map says nothing to dataset '{dataset.name}', whose classes are fixed")
        return dataset
    own = getattr(dataset, "joined", None)
    if own is None:
        log.info("data: %s", join)
        return JoinedDataset(dataset, join)
    joined: Dataset = own(join)
    return joined


def input_transform(model: Model) -> InputTransform:
    """How a picture becomes the model's input."""
    return filled(InputTransform, model.input, Path(), {"tiles": tiles_of(model.input)})
