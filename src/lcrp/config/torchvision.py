"""Settings of torchvision's networks that follow from their names, for ``${torchvision:KEY,NAME}`` in YAML files.

Nothing here imports torchvision, or torch.
"""

from collections.abc import Mapping

from omegaconf import OmegaConf

from lcrp.models.torchvision_names import is_segmenter

_SQUARES = {"ssd300_": 300, "ssdlite320_": 320}  # sides to which these squeeze every picture

_DETECTOR: Mapping[str, object] = {
    "task": "kept_detection",
    "side": 800,
    "resize": "letterbox",
    "mean": [0.0, 0.0, 0.0],
    "std": [1.0, 1.0, 1.0],
    "confidence": 0.25,
    "max_detections": 25,
    "min_area": None,
}
_SEGMENTER: Mapping[str, object] = {
    "task": "segmentation",
    "side": 520,
    "resize": "shorter_crop",
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
    "confidence": None,
    "max_detections": None,
    "min_area": 1,
}


def setting_of(key: str, name: str) -> object:
    """A setting of a network, by the name of its builder."""
    if is_segmenter(name):
        return _SEGMENTER[key]
    for beginning, side in _SQUARES.items():
        if name.startswith(beginning):
            return {**_DETECTOR, "side": side, "resize": "stretch"}[key]
    return _DETECTOR[key]


def register_resolver() -> None:
    """Tell OmegaConf of the settings; a second time changes nothing."""
    OmegaConf.register_new_resolver("torchvision", setting_of, replace=True)
