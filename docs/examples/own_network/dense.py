"""A dense detector as somebody trained it, and the few lines that say what its output means."""

import torch
from torch import Tensor, nn

from lcrp.values.prediction import DetectorOutput

CELL = 8  # pixels of a cell's side


class Dense(nn.Module):
    """Every cell of a map says [B, 4 + K, h, w]: logarithms of the ways to the four sides, and class logits."""

    def __init__(self, num_classes: int = 2) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in ((3, 16), (16, 32), (32, 32)):
            layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.BatchNorm2d(outputs), nn.SiLU()]
        self.backbone, self.head = nn.Sequential(*layers), nn.Conv2d(32, 4 + num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Pictures [B, 3, H, W]."""
        out: Tensor = self.head(self.backbone(x))
        return out


def detector_output(raw: Tensor) -> DetectorOutput:
    """What the network says, a row per cell: boxes in input pixels, logits before the sigmoid, no selection."""
    height, width = raw.shape[2:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    middle = torch.stack((x, y), dim=-1).reshape(-1, 2).to(raw) + 0.5
    sides, logits = raw.flatten(2).mT.split([4, raw.shape[1] - 4], dim=-1)  # [B, h w, ...]
    sides = sides.exp()
    boxes = torch.cat((middle - sides[..., :2], middle + sides[..., 2:]), dim=-1) * CELL
    return DetectorOutput(boxes=boxes, class_logits=logits, objectness_logits=None)


class ExplainableDense(nn.Module):
    """The network, and what its output means."""

    def __init__(self, num_classes: int = 2) -> None:
        super().__init__()
        self.network = Dense(num_classes)

    def forward(self, x: Tensor) -> DetectorOutput:
        """Pictures [B, 3, H, W]."""
        return detector_output(self.network(x))
