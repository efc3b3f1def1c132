"""Settings of transformers' networks that follow from their folders, for ``${transformers:KEY,NAME,FOLDER}`` in YAML.

Nothing here imports transformers, or torch. A folder that cannot be read says nothing: loading it tells why.
"""

from collections.abc import Mapping
from pathlib import Path

from omegaconf import OmegaConf

from lcrp.errors import CheckpointError
from lcrp.models.settings_files import config_of
from lcrp.models.transformers_names import (
    ARCHITECTURES,
    DETECTION,
    QUERY_SEGMENTATION,
    input_of,
    named,
    normalisation_of,
    preprocessing,
)

_UNKNOWN = "RTDetrForObjectDetection"  # whose settings are taken where no folder is named
_DETECTOR: Mapping[str, object] = {"confidence": 0.5, "max_detections": 25, "min_area": None, "score": None}
_SEGMENTER: Mapping[str, object] = {"confidence": None, "max_detections": None, "min_area": 1, "score": None}


def setting_of(key: str, architecture: str | None, checkpoint: str | None) -> object:
    """A setting of a network, by its folder, or else by the name of its architecture."""
    name, told = architecture if architecture in ARCHITECTURES else _UNKNOWN, {}
    if checkpoint is not None:
        folder = Path(str(checkpoint)).expanduser()
        try:
            name, told = named(config_of(folder)) or name, dict(preprocessing(folder))
            return _settings(str(name), told)[key]
        except CheckpointError:
            told = {}
    return _settings(str(name), told)[key]


def _settings(name: str, told: Mapping[str, object]) -> Mapping[str, object]:
    kind = ARCHITECTURES[name]
    height, width, resize = input_of(kind, told)
    mean, std = normalisation_of(kind, told)
    own = _DETECTOR if kind.task == DETECTION else _SEGMENTER
    if kind.task == QUERY_SEGMENTATION:
        own = {**own, "score": "class"}
    placed = {"height": height, "width": width, "resize": resize, "multiple_of": kind.multiple_of}
    return {**own, **placed, "task": kind.task, "mean": mean, "std": std}


def register_resolver() -> None:
    """Tell OmegaConf of the settings; a second time changes nothing."""
    OmegaConf.register_new_resolver("transformers", setting_of, replace=True)
