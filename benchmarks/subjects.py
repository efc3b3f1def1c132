"""Networks at their published sizes, with random weights and targets at fixed places.

Axes: B image, M box of the raw output, K class, T target.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn
from zennit import rules as zennit_rules
from zennit.core import Hook

from lcrp.attribution.detection import DetectionTask
from lcrp.attribution.segmentation import SegmentationTask
from lcrp.composites.composites import epsilon_gamma_flat, epsilon_plus_flat
from lcrp.composites.table import RuleTable
from lcrp.models.deeplabv3plus import DeepLabV3Plus
from lcrp.models.ssd import SSD
from lcrp.models.unet import UNet
from lcrp.models.yolo.network import YOLO
from lcrp.models.yolo.published import network_part
from lcrp.models.yolo.tables import size_of
from lcrp.models.yolov5 import YOLOv5
from lcrp.models.yolov6 import YOLOv6
from lcrp.values.geometry import Geometry
from lcrp.values.prediction import DetectorOutput
from lcrp.values.sample import Sample
from lcrp.values.target import ExplainedTarget, Target
from zennits import generalised_gamma

MEAN, STD = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A network and what is explained of it.

    Attributes:
        network: in evaluation mode, without gradients for its parameters.
        size: (height, width) of its input.
        num_classes: K, the background included for segmentation.
        composite: ours.
        convolution: rule of its convolutions as zennit would write it; None where zennit has no rules for the network.
        layer: whose concepts are shown.
    """

    network: nn.Module
    size: tuple[int, int]
    num_classes: int
    composite: Callable[[nn.Module], RuleTable]
    convolution: Callable[[], Hook] | None
    layer: str

    @property
    def task(self) -> DetectionTask | SegmentationTask:
        """Reads and seeds the output."""
        names = [str(number) for number in range(self.num_classes)]
        return FixedBoxes(names) if hasattr(self.network, "cell_centres") else WholeMaps(names)

    def images(self, count: int) -> torch.Tensor:
        """Noise [B, 3, H, W]."""
        return torch.rand(count, 3, *self.size, generator=torch.Generator().manual_seed(3))


def subject(name: str, scale: float = 1.0) -> Subject:
    """One of `NAMES`, its width and input times `scale`."""
    build, size, num_classes, layer = _NETWORKS[name]
    least = 256 if name.startswith("ssd") else 1  # side for which there are priors
    height, width = (max(least, int(scale * side)) for side in size)
    network = build(scale, height)
    generator = torch.Generator().manual_seed(0)
    network.initialise(generator)  # type: ignore[operator]
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):  # far from the identity
            module.weight.data.uniform_(0.7, 1.3, generator=generator)
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.uniform_(-0.1, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
    prepare = getattr(network, "prepare", None)
    if callable(prepare):
        prepare()
    gamma = name.startswith(("yolov6", "yolo11"))
    return Subject(
        network=network.eval().requires_grad_(False),
        size=(height, width),
        num_classes=num_classes,
        composite=epsilon_gamma_flat if gamma else epsilon_plus_flat,
        convolution=None if name.startswith("yolo11") else generalised_gamma if gamma else zennit_rules.ZPlus,
        layer=layer,
    )


def _yolo11(scale: float) -> nn.Module:
    size = size_of("11", "n")
    return YOLO(network_part("11", replace(size, width=size.width * scale), 80, "detect"))


_NETWORKS: dict[str, tuple[Callable[[float, int], nn.Module], tuple[int, int], int, str]] = {
    "yolov5m": (
        lambda scale, _: YOLOv5(num_classes=80, depth=0.67, width=0.75 * scale),
        (640, 640),
        80,
        "model.8.cv3.conv",
    ),
    "yolov6s": (
        lambda scale, _: YOLOv6(num_classes=80, depth=0.33, width=0.5 * scale),
        (640, 640),
        80,
        "backbone.ERBlock_5.0.rbr_dense.conv",
    ),
    "yolo11n": (lambda scale, _: _yolo11(scale), (640, 640), 80, "model.6.cv2.conv"),
    "ssd512": (lambda scale, side: SSD(num_classes=80, size=side, width=scale), (512, 512), 80, "backbone.vgg.28"),
    "unet": (lambda scale, _: UNet(num_classes=20, width=scale), (256, 512), 20, "encoder.features.15"),
    "deeplabv3plus": (
        lambda scale, _: DeepLabV3Plus(num_classes=21, width=scale),
        (513, 513),
        21,
        "backbone.layer4.0.conv3",
    ),
}
NAMES = tuple(_NETWORKS)


class Pictures:
    """Images [B, 3, H, W] as samples."""

    def __init__(self, images: torch.Tensor) -> None:
        self.images = images

    def __getitem__(self, index: int) -> Sample:
        geometry = Geometry.identity((self.images.shape[2], self.images.shape[3]))
        return Sample(index=index, key=str(index), image=self.images[index], annotation=None, geometry=geometry)


class FixedBoxes(DetectionTask):
    """Explains boxes at fixed rows: random weights detect few."""

    def predictions(self, output: object) -> list[object]:  # type: ignore[override]
        """The output itself, for every image."""
        assert isinstance(output, DetectorOutput)
        return [output] * len(output.boxes)

    def found(self, prediction: object, sample: Sample, *_: object) -> ExplainedTarget:  # type: ignore[override]
        """The first class in the middle row."""
        return targets(prediction, sample.index, 1)[0]


class WholeMaps(SegmentationTask):
    """Explains the logits of a class wherever they are: random weights predict few classes."""

    def found(self, prediction: object, sample: Sample, *_: object) -> ExplainedTarget:  # type: ignore[override]
        """The first class."""
        return targets(prediction, sample.index, 1)[0]

    def seed(
        self, output: torch.Tensor, explained: Sequence[ExplainedTarget | None]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See the base class."""
        seed = torch.zeros_like(output)
        for image, one in enumerate(explained):
            if one is not None:
                logits = output[image, one.target.class_id].detach()
                seed[image, one.target.class_id] = logits / logits.abs().sum()
        return output, seed


class Logits(nn.Module):
    """A network that returns one number per target, as classifiers do and zennit-crp expects.

    For a detector the class logits of boxes spread over all of them; for a segmenter numbers whose gradient are the
    logits of each class.
    """

    def __init__(self, network: nn.Module, num_targets: int) -> None:
        super().__init__()
        self.network = network
        self.num_targets = num_targets

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, T]."""
        output = self.network(x)
        if isinstance(output, DetectorOutput):
            rows = target_rows(output.class_logits.shape[1], self.num_targets)
            columns = [number + output.has_background for number in range(self.num_targets)]
            return output.class_logits[:, rows, columns]
        halved: torch.Tensor = output[:, : self.num_targets].square().sum(dim=(2, 3)) / 2  # its gradient are the logits
        return halved


def target_rows(num_boxes: int, num_targets: int) -> list[int]:
    """Rows of the raw output that are explained: spread over the boxes of all levels."""
    return [(2 * number + 1) * num_boxes // (2 * num_targets) for number in range(num_targets)]


def targets(output: object, sample: int, count: int) -> list[ExplainedTarget]:
    """The first `count` classes of an image, as boxes at `target_rows` or whole masks."""
    rows = target_rows(output.class_logits.shape[1], count) if isinstance(output, DetectorOutput) else [None] * count
    return [
        ExplainedTarget(
            target=Target(sample=sample, class_id=number),
            key=str(sample),
            score=1.0,
            confidence=1.0,
            row=-1 if row is None else row,
            box=None if row is None else (0.0, 0.0, 1.0, 1.0),
            area=1 if row is None else None,
        )
        for number, row in enumerate(rows)
    ]
