"""From the dataset's settings to its samples."""

from dataclasses import fields
from pathlib import Path

from lcrp.config.dataset import Dataset as DatasetSettings
from lcrp.config.model import Model, tiles_of
from lcrp.config.paths import absolute
from lcrp.config.targets import call, locate, takes
from lcrp.config.tasks import TASKS
from lcrp.config.values import filled
from lcrp.data.dataset import Dataset
from lcrp.data.tiles import tiled
from lcrp.data.transforms import InputTransform

_BASE = frozenset(entry.name for entry in fields(DatasetSettings))
_PATHS = frozenset({"root", "path"})  # settings that are relative to where the command was given


def has_class_names(settings: DatasetSettings) -> bool:
    """Whether a dataset knows its classes itself; a folder of pictures takes the model's."""
    return not takes(locate(settings._target_, "dataset._target_"), "class_names")


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
    arguments |= {key: absolute(value, origin) for key, value in vars(settings).items() if key in _PATHS}
    if takes(kind, "name"):
        arguments.setdefault("name", settings.name)
    if takes(kind, "segmentation"):
        arguments["segmentation"] = TASKS[model.task].has_background
    if class_names is not None:
        arguments["class_names"] = class_names
    return tiled(lambda transform: call(kind, arguments | {"transform": transform}, "dataset"), input_transform(model))


def dataset_options(settings: DatasetSettings) -> dict[str, object]:
    """Settings that may alter numbers: all but names and paths."""
    own = {key: value for key, value in vars(settings).items() if key not in _BASE | _PATHS}
    return own | settings.options


def input_transform(model: Model) -> InputTransform:
    """How a picture becomes the model's input."""
    return filled(InputTransform, model.input, Path(), {"tiles": tiles_of(model.input)})
