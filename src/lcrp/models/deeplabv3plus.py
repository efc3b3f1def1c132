"""DeepLabV3+ with a ResNet-50 at output stride 16 or 8, sub-module names as its widely used PyTorch port has them.

Axes: B batch, C channel, K class, H W picture, h w feature map.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from lcrp.errors import ConfigError
from lcrp.models.checkpoint import WEIGHTS_FOLDER
from lcrp.models.layers import Concat, initialise_convolutions, scaled_channels
from lcrp.models.recognition import check_family

_log = logging.getLogger(__name__)

EXPANSION = 4  # of a bottleneck's channels
BLOCKS = (3, 4, 6, 3)  # bottlenecks of the four layers
STEM, LOW_LEVEL, PYRAMID = 64, 48, 256  # channels at width 1
DILATIONS = {16: (6, 12, 18), 8: (12, 24, 36)}  # of the spatial pyramid, by output stride


class Bottleneck(nn.Module):
    """Residual block of a 1x1, a 3x3 and a 1x1 convolution (He et al., CVPR 2016); the 3x3 one carries the stride."""

    def __init__(self, inputs: int, hidden: int, *, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        outputs = hidden * EXPANSION
        self.conv1 = nn.Conv2d(inputs, hidden, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(hidden, hidden, 3, stride, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(hidden)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(hidden, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        self.relu3 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """relu(x + F(x)): [B, C, h, w]."""
        residual = self.relu1(self.bn1(self.conv1(x)))
        residual = self.bn3(self.conv3(self.relu2(self.bn2(self.conv2(residual)))))
        out: Tensor = self.relu3(self.downsample(x) + residual)
        return out


class Backbone(nn.Module):
    """ResNet-50 whose last layer, or last two, are dilated instead of strided."""

    def __init__(self, width: float, output_stride: int) -> None:
        super().__init__()
        stem = scaled_channels(STEM, width, 4)
        self.conv1 = nn.Conv2d(3, stem, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        hidden = [scaled_channels(STEM * 2**level, width, 4) for level in range(4)]
        self.layer1 = _layer(stem, hidden[0], BLOCKS[0])
        self.layer2 = _layer(hidden[0] * EXPANSION, hidden[1], BLOCKS[1], stride=2)
        stride = output_stride // 8  # of layer3; what it does not stride is dilated from there on
        self.layer3 = _layer(hidden[1] * EXPANSION, hidden[2], BLOCKS[2], stride=stride, dilation=2 // stride)
        self.layer4 = _layer(hidden[2] * EXPANSION, hidden[3], BLOCKS[3], first=2 // stride, dilation=4 // stride)
        self.channels = (hidden[0] * EXPANSION, hidden[3] * EXPANSION)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Feature maps at strides 4 (fine) and 16 or 8 (coarse) of a picture [B, 3, H, W]."""
        fine: Tensor = self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(x)))))
        return fine, self.layer4(self.layer3(self.layer2(fine)))


class SpatialPyramid(nn.Module):
    """Atrous spatial pyramid pooling: one 1x1 and three dilated convolutions beside the mean of the whole map."""

    def __init__(self, inputs: int, outputs: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.convs = nn.ModuleList([_conv_block(inputs, outputs, 1)])
        self.convs.extend(_conv_block(inputs, outputs, 3, dilation=dilation) for dilation in dilations)
        self.convs.append(nn.Sequential(nn.AdaptiveAvgPool2d(1), *_conv_block(inputs, outputs, 1)))
        self.concat = Concat()
        self.project = nn.Sequential(*_conv_block(outputs * len(self.convs), outputs, 1), nn.Dropout(0.1))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] to [B, C', h, w]."""
        maps = [conv(x) for conv in self.convs]
        maps[-1] = _resized(maps[-1], x)
        out: Tensor = self.project(self.concat(maps))
        return out


class Head(nn.Module):
    """Decoder: the pyramid's map joins a fine one, then every cell is classified."""

    def __init__(self, channels: tuple[int, int], num_classes: int, width: float, dilations: Sequence[int]) -> None:
        super().__init__()
        fine, coarse = channels
        low_level, pyramid = scaled_channels(LOW_LEVEL, width, 4), scaled_channels(PYRAMID, width, 4)
        self.project = _conv_block(fine, low_level, 1)
        self.aspp = SpatialPyramid(coarse, pyramid, dilations)
        self.concat = Concat()
        self.classifier = nn.Sequential(
            *_conv_block(low_level + pyramid, pyramid, 3), nn.Conv2d(pyramid, num_classes, 1)
        )

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """Logits [B, K, H/4, W/4]."""
        fine = self.project(fine)
        logits: Tensor = self.classifier(self.concat((fine, _resized(self.aspp(coarse), fine))))
        return logits


class DeepLabV3Plus(nn.Module):
    """DeepLabV3+ (Chen et al., ECCV 2018) on ResNet-50: logits of every class for every pixel.

    Maps are resized bilinearly, without aligned corners; relevance passes these steps as the gradient does.

    Args:
        num_classes: number of classes K, background included.
        width: factor on the channels, rounded up to multiples of four; 1 as published.
        output_stride: pixels of the input by cells of the coarse map, 16 or 8; weights fit both, but were trained at
            one.

    Raises:
        ConfigError: there is no such output stride.
    """

    def __init__(self, *, num_classes: int = 21, width: float = 1.0, output_stride: int = 16) -> None:
        super().__init__()
        if output_stride not in DILATIONS:
            raise ConfigError(f"output_stride={output_stride} is unknown; choose 16 or 8")
        self.output_stride = int(output_stride)
        self.backbone = Backbone(width, self.output_stride)
        self.classifier = Head(self.backbone.channels, num_classes, width, DILATIONS[output_stride])

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, K, H, W] of a picture [B, 3, H, W], normalised."""
        return _resized(self.classifier(*self.backbone(x)), x)

    def initialise(self, generator: torch.Generator) -> None:
        """Fresh weights for training from scratch."""
        initialise_convolutions(self, generator)

    def tell_of(self, path: Path) -> None:
        """Say what a file leaves open: of its output stride at most its name tells, as trainers write it."""
        named = re.search(r"os(8|16)(?!\d)", path.stem)
        if named is None and path.resolve().parent != WEIGHTS_FOLDER.resolve():
            _log.info(
                "checkpoint '%s' does not say at which output stride it was trained, 16 or 8; it is run at %d "
                "(model.network.output_stride)",
                path.name,
                self.output_stride,
            )
        elif named is not None and int(named[1]) != self.output_stride:
            _log.warning(
                "checkpoint '%s' is named for output stride %s, but is run at %d, which gives other masks: "
                "write model.network.output_stride=%s",
                path.name,
                named[1],
                self.output_stride,
                named[1],
            )

    @staticmethod
    def arguments_of(state: Mapping[str, Tensor]) -> dict[str, int | float]:
        """Constructor arguments of the network whose state this is.

        Raises:
            CheckpointError: if these are weights of another architecture or backbone.
        """
        check_family(state, "DeepLabV3+ with a ResNet-50")
        width = state["backbone.layer4.0.conv3.weight"].shape[0] / (STEM * 8 * EXPANSION)
        return {"num_classes": state["classifier.classifier.3.weight"].shape[0], "width": width}


def _layer(
    inputs: int, hidden: int, count: int, *, stride: int = 1, first: int = 1, dilation: int = 1
) -> nn.Sequential:
    """Bottlenecks of one resolution; the first one strides, and is dilated as the layer before."""
    entry = Bottleneck(inputs, hidden, stride=stride, dilation=first)
    others = [Bottleneck(hidden * EXPANSION, hidden, dilation=dilation) for _ in range(count - 1)]
    return nn.Sequential(entry, *others)


def _conv_block(inputs: int, outputs: int, kernel: int, *, dilation: int = 1) -> nn.Sequential:
    """Convolution without bias that keeps the size, BatchNorm and ReLU."""
    padding = kernel // 2 * dilation
    conv = nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())


def _resized(maps: Tensor, like: Tensor) -> Tensor:
    """Maps [B, C, h, w] at the height and width of `like`."""
    size: Sequence[int] = like.shape[-2:]
    return interpolate(maps, size=list(size), mode="bilinear", align_corners=False)
