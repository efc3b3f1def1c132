"""Narrow networks of every family, with random weights, and decisions of theirs."""

from collections.abc import Callable

from torch import nn

from lcrp.attribution.detection import DetectionTask
from lcrp.attribution.engine import Attributor
from lcrp.attribution.layers import layer_names
from lcrp.attribution.segmentation import SegmentationTask
from lcrp.composites import composites
from lcrp.models.deeplabv3plus import DeepLabV3Plus
from lcrp.models.ssd import SSD
from lcrp.models.unet import UNet
from lcrp.models.yolo.family import yolo
from lcrp.models.yolov5 import YOLOv5
from lcrp.models.yolov6 import YOLOv6
from lcrp.values.target import ExplainedTarget, Target

NAMES, SIZE = ("boat", "car", "kite"), 256
NETWORKS: dict[str, tuple[str, Callable[[], nn.Module]]] = {
    "yolov5": ("epsilon_plus_flat", lambda: YOLOv5(num_classes=3, depth=0.33, width=0.125)),
    "yolov6": ("epsilon_gamma_flat", lambda: YOLOv6(num_classes=3, depth=0.17, width=0.125)),
    "yolo": ("epsilon_gamma_flat", lambda: yolo(version="11", scale="n", task="detect", num_classes=3)),
    "ssd": ("epsilon_plus_flat", lambda: SSD(num_classes=3, size=SIZE, width=0.1875)),
    "unet": ("epsilon_plus_flat", lambda: UNet(num_classes=3, width=0.125)),
    "deeplabv3plus": ("epsilon_plus_flat", lambda: DeepLabV3Plus(num_classes=3, width=0.1875)),
}
Task = DetectionTask | SegmentationTask


def task_of(name: str, **settings: float) -> Task:
    """The task of one of `NETWORKS`; settings are those of detections."""
    if name in ("unet", "deeplabv3plus"):
        return SegmentationTask(NAMES, seed="ones")  # random logits may all be negative
    return DetectionTask(NAMES, **settings)  # type: ignore[arg-type]


def prepared(network: nn.Module) -> nn.Module:
    getattr(network, "prepare", lambda: None)()
    return network.eval()


def attributor(network: nn.Module, composite: str, task: Task) -> Attributor:
    builder, layers = getattr(composites, composite), layer_names(network)
    return Attributor(network, builder, task, layers=layers, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))


def decision(sample: int) -> ExplainedTarget:
    return ExplainedTarget(
        target=Target(sample=sample, class_id=1), key="", score=1.0, confidence=1.0, row=3, box=(0.0, 0.0, 9.0, 9.0)
    )
