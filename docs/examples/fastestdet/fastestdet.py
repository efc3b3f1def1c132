"""FastestDet, a detector with one level: a ShuffleNetV2, a pyramid and a head, named as in its checkpoint."""

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d
from torchvision.ops import batched_nms

CELL = 16  # pixels of a cell's side


def conv(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, *, is_depthwise: bool = False) -> list[nn.Module]:
    """Convolution and BatchNorm."""
    groups = inputs if is_depthwise else 1
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]


def depthwise(channels: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """Depthwise convolution and BatchNorm."""
    return conv(channels, channels, kernel, stride, is_depthwise=True)


class Unit(nn.Module):
    """Unit of a ShuffleNetV2: half of the channels passes by, or is projected where the map is halved."""

    def __init__(self, width: int, stride: int) -> None:
        super().__init__()
        self.branch_main = nn.Sequential(
            *conv(width, width), nn.ReLU(), *depthwise(width, 3, stride), *conv(width, width), nn.ReLU()
        )
        self.branch_proj = None
        if stride == 2:
            self.branch_proj = nn.Sequential(*depthwise(width, 3, 2), *conv(width, width), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """Maps [B, C, h, w], of which every other channel goes through the main branch."""
        if self.branch_proj is not None:
            return torch.cat((self.branch_proj(x), self.branch_main(x)), dim=1)
        return torch.cat((x[:, 0::2], self.branch_main(x[:, 1::2])), dim=1)


class Backbone(nn.Module):
    """ShuffleNetV2 with maps of 48, 96 and 192 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.first_conv = nn.Sequential(*conv(3, 24, 3, 2), nn.ReLU())
        for stage, width, length in ((2, 24, 4), (3, 48, 8), (4, 96, 4)):
            units = [Unit(width, 2 if number == 0 else 1) for number in range(length)]
            setattr(self, f"stage{stage}", nn.Sequential(*units))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Maps at an eighth, a sixteenth and a thirty-second of the picture."""
        low = self.stage2(max_pool2d(self.first_conv(x), 3, 2, 1))
        middle = self.stage3(low)
        return low, middle, self.stage4(middle)


class Named(nn.Module):
    """A sequence under a name."""

    def __init__(self, name: str, *modules: nn.Module) -> None:
        super().__init__()
        self.add_module(name, nn.Sequential(*modules))

    def forward(self, x: Tensor) -> Tensor:
        """What the sequence makes of x."""
        (sequence,) = self.children()
        return sequence(x)


class Pyramid(nn.Module):
    """Three depthwise paths of different length over all maps at one size."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv1x1 = Named("conv1x1", *conv(336, 96), nn.ReLU())
        for length in (1, 2, 3):
            path = [module for _ in range(length) for module in (*depthwise(96, 5), nn.ReLU())]
            setattr(self, f"S{length}", nn.Sequential(*path))
        self.output = nn.Sequential(*conv(288, 96))

    def forward(self, low: Tensor, middle: Tensor, high: Tensor) -> Tensor:
        """All maps at a sixteenth of the picture, joined."""
        maps = (avg_pool2d(low, 3, 2, 1), middle, interpolate(high, scale_factor=2.0))
        x = self.Conv1x1(torch.cat(maps, dim=1))
        return (x + self.output(torch.cat((self.S1(x), self.S2(x), self.S3(x)), dim=1))).relu()


class Head(nn.Module):
    """Objectness, box and class of every cell."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.conv1x1 = Named("conv1x1", *conv(96, 96), nn.ReLU())
        for name, outputs in (("obj", 1), ("reg", 4), ("cls", num_classes)):
            layers = Named("conv5x5", *depthwise(96, 5), nn.ReLU(), *conv(96, outputs))
            setattr(self, f"{name}_layers", layers)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits [B, 1, h, w], boxes [B, 4, h, w] and class logits [B, K, h, w]."""
        x = self.conv1x1(x)
        return self.obj_layers(x), self.reg_layers(x), self.cls_layers(x)


class FastestDet(nn.Module):
    """Keeps boxes itself: boxes, scores and labels of one picture."""

    def __init__(self, num_classes: int = 80) -> None:
        super().__init__()
        self.backbone, self.SPP, self.detect_head = Backbone(), Pyramid(), Head(num_classes)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Of one picture [1, 3, H, W], RGB from 0 to 1."""
        maps = self.backbone(x.flip(1))  # trained with blue first
        objectness, box, logits = (one[0].flatten(1).T for one in self.detect_head(self.SPP(*maps)))  # [cells, ...]
        scores, labels = logits.softmax(dim=-1).max(dim=-1)
        scores = objectness[:, 0].sigmoid() ** 0.6 * scores**0.4
        boxes = decoded(box, x.shape[-2:])
        kept = batched_nms(boxes, scores, labels, iou_threshold=0.45)
        return {"boxes": boxes[kept], "scores": scores[kept], "labels": labels[kept]}


def decoded(box: Tensor, size: torch.Size) -> Tensor:
    """Boxes xyxy [cells, 4] in pixels of a picture of `size`."""
    height, width = size
    rows, columns = torch.meshgrid(
        torch.arange(height // CELL, device=box.device), torch.arange(width // CELL, device=box.device), indexing="ij"
    )
    cells = torch.stack((columns, rows), dim=-1).reshape(-1, 2)
    centre = (cells + box[:, :2].tanh()) * CELL
    side = box[:, 2:].sigmoid() * torch.tensor([width, height], device=box.device)
    return torch.cat((centre - side / 2, centre + side / 2), dim=-1)
