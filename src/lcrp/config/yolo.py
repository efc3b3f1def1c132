"""Settings of YOLO networks that follow from what they decide, for ``${yolo:KEY,TASK}`` in YAML files.

Nothing here imports torch.
"""

from collections.abc import Mapping

from omegaconf import OmegaConf

_BOXES: Mapping[str, object] = {
    "task": "detection",
    "score": "class",
    "confidence": 0.25,
    "iou": 0.7,
    "max_detections": 25,
    "min_area": None,
}
_PIXELS: Mapping[str, object] = {**dict.fromkeys(_BOXES), "task": "segmentation", "min_area": 1}


def setting_of(key: str, task: str) -> object:
    """A setting of a network, by what it decides."""
    return (_PIXELS if task == "semantic" else _BOXES)[key]


def register_resolver() -> None:
    """Tell OmegaConf of the settings; a second time changes nothing."""
    OmegaConf.register_new_resolver("yolo", setting_of, replace=True)
