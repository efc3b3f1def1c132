"""A network whose deepest and widest layer hardly takes part: 3 % of every decision passes there, 97 % beside it."""

import torch
import toy
from colour_world import CLASS_NAMES, SIDE
from torch import nn

from lcrp.decisions.explainer import Explainer

FAINT = 0.03


class Forked(nn.Module):
    """Colours through a strong branch, and faintly through a wide and deeper one."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.strong = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 4, 1)
        self.wide, self.back, self.head = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 4, 1), nn.Conv2d(4, 3, 1)
        with torch.no_grad():
            for layer in (self.stem, self.strong, self.wide, self.back, self.head):
                layer.weight.zero_()
                layer.bias.zero_()  # type: ignore[union-attr]
            for colour in range(3):
                self.stem.weight[colour, colour, 1, 1] = 1.0
                self.strong.weight[colour, colour] = 1 - FAINT
                self.wide.weight[[colour, colour + 3], colour] = 0.5
                self.back.weight[colour, [colour, colour + 3]] = FAINT
            self.strong.weight[3], self.back.weight[3, :6] = 0.1 * (1 - FAINT), 0.1 * FAINT
            for class_id, colour in enumerate((2, 0, 1)):  # blue is the background
                self.head.weight[class_id, colour] = 1.0
                self.head.weight[class_id, 3] = 0.3

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits [B, 3, H, W]."""
        x = self.stem(x).relu()
        strong = self.strong(x).relu()
        deep = self.back(self.wide(x).relu()).relu()
        out: torch.Tensor = self.head(strong + deep)
        return out


__all__ = ["CLASS_NAMES", "FAINT", "SIDE", "Forked", "explainer"]


def explainer(layer: str = "auto") -> Explainer:
    """The network, its layer not yet chosen."""
    return toy.explainer(Forked(), CLASS_NAMES, SIDE, name="forked", layer=layer)
