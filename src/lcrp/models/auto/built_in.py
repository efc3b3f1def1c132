"""Files of the networks whose code is lcrp's own: YOLOv5, YOLOv6, SSD, UNet and DeepLabV3+."""

from collections.abc import Mapping
from typing import Any

from lcrp.models.auto.known import Known, classes
from lcrp.models.checkpoint import Checkpoint
from lcrp.models.deeplabv3plus import DeepLabV3Plus
from lcrp.models.recognition import FAMILIES, looks_like
from lcrp.models.ssd import SSD
from lcrp.models.unet import UNet
from lcrp.models.yolov5 import YOLOv5
from lcrp.models.yolov6 import YOLOv6

# depth and width of the published sizes
_YOLOV5 = {(0.33, 0.25): "n", (0.33, 0.5): "s", (0.67, 0.75): "m", (1.0, 1.0): "l", (1.33, 1.25): "x"}
_YOLOV6 = {(0.33, 0.25): "n", (0.25, 0.5): "t", (0.33, 0.5): "s"}
_SSD_SIDE = 512  # of its input in conf/model/ssd.yaml


def recognise_yolov5(found: Checkpoint) -> Known | None:
    """YOLOv5 of releases 6.0 to 7.0."""
    if not _is(found, "yolov5"):
        return None
    told = YOLOv5.arguments_of(found.state)
    return _known(found, "yolov5", f"YOLOv5{_size(_YOLOV5, told)}", told, "its 25 layers and the anchors of its head")


def recognise_yolov6(found: Checkpoint) -> Known | None:
    """YOLOv6 0.1.0."""
    if not _is(found, "yolov6"):
        return None
    told = YOLOv6.arguments_of(found.state)
    sign = "its RepVGG backbone and the objectness of its head"
    return _known(found, "yolov6", f"YOLOv6{_size(_YOLOV6, told)} 0.1.0", told, sign)


def recognise_ssd(found: Checkpoint) -> Known | None:
    """SSD on a VGG-16."""
    if not _is(found, "ssd"):
        return None
    told = SSD.arguments_of(found.state)
    return _known(found, "ssd", f"SSD{told['size']} on a VGG-16", told, "its VGG and the priors of its heads")


def recognise_unet(found: Checkpoint) -> Known | None:
    """UNet with a VGG13 encoder."""
    if not _is(found, "unet"):
        return None
    told = UNet.arguments_of(found.state)
    return _known(found, "unet", "a UNet with a VGG13 encoder", told, "the layers of its encoder and decoder")


def recognise_deeplabv3plus(found: Checkpoint) -> Known | None:
    """DeepLabV3+ with a ResNet-50."""
    if not _is(found, "deeplabv3plus"):
        return None
    told = DeepLabV3Plus.arguments_of(found.state)
    return _known(found, "deeplabv3plus", "DeepLabV3+ with a ResNet-50", told, "the layers of its backbone and ASPP")


def input_of_ssd(side: int) -> dict[str, str]:
    """Settings of the input that the priors of an SSD are made for."""
    return {} if side == _SSD_SIDE else dict.fromkeys(("model.input.height", "model.input.width"), str(side))


def _is(found: Checkpoint, family: str) -> bool:
    return not found.config and FAMILIES.get(looks_like(found.state)) == family


def _known(found: Checkpoint, family: str, name: str, told: Mapping[str, Any], sign: str) -> Known:
    counted = classes(told["num_classes"], found.class_names)
    settings = input_of_ssd(told["size"]) if family == "ssd" else {}
    return Known(family=family, what=f"{name}, {counted}", sign=sign, settings=settings)


def _size(published: Mapping[tuple[float, float], str], told: Mapping[str, Any]) -> str:
    """The letter of a published size; of others nothing."""
    return published.get((told["depth"], told["width"]), "")
