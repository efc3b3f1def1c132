"""Building blocks that several networks share, and the arithmetic of their widths and depths.

Axes: B batch, C channel, h w feature map.
"""

import math
from collections.abc import Sequence

import torch
import torch.overrides
from torch import Tensor, nn

PRIOR_PROBABILITY = 0.01


class Concat(nn.Module):
    """Concatenation of feature maps along the channels."""

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps [B, C_i, h, w] joined to [B, sum C_i, h, w]."""
        return torch.cat(list(maps), dim=1)


class L2Norm(nn.Module):
    """Every cell's channels scaled to unit length, then by a learned factor each (Liu et al., ParseNet, 2015)."""

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), scale))

    def forward(self, x: Tensor) -> Tensor:
        """w_c x_c / (|x| + 1e-10): [B, C, h, w]."""
        return l2_norm(x, self.weight)


def l2_norm(x: Tensor, weight: Tensor) -> Tensor:
    """w_c x_c / (|x| + 1e-10): [B, C, h, w]; one operation to those who watch torch's functions."""
    if torch.overrides.has_torch_function((x, weight)):
        out: Tensor = torch.overrides.handle_torch_function(l2_norm, (x, weight), x, weight)
        return out
    length = x.square().sum(dim=1, keepdim=True).sqrt() + 1e-10
    return weight[:, None, None] * (x / length)


class ConvBlock(nn.Module):
    """Convolution without bias, batch normalisation and activation, as YOLO builds it.

    Padding keeps the size at stride 1 unless it is given; BatchNorm has eps 1e-3.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, padding: int | None = None, relu: bool = False
    ) -> None:
        super().__init__()
        padding = kernel // 2 if padding is None else padding
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = batch_norm(outputs)
        self.act = nn.ReLU() if relu else nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        """act(bn(conv(x))): [B, C, h, w]."""
        out: Tensor = self.act(self.bn(self.conv(x)))
        return out


class SpatialPyramid(nn.Module):
    """Fast spatial pyramid pooling: three serial 5x5 max pools between two 1x1 convolutions."""

    def __init__(self, inputs: int, outputs: int, *, relu: bool = False) -> None:
        super().__init__()
        hidden = inputs // 2
        self.cv1 = ConvBlock(inputs, hidden, 1, relu=relu)
        self.cv2 = ConvBlock(hidden * 4, outputs, 1, relu=relu)
        self.pools = nn.ModuleList(nn.MaxPool2d(5, stride=1, padding=2) for _ in range(3))
        self.concat = Concat()

    def forward(self, x: Tensor) -> Tensor:
        """cv2 of the concatenated input and pools: [B, C, h, w]."""
        maps = [self.cv1(x)]
        for pool in self.pools:
            maps.append(pool(maps[-1]))
        out: Tensor = self.cv2(self.concat(maps))
        return out


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """BatchNorm with the eps and momentum of the YOLO networks."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.03)


def scaled_channels(base: int, width: float, multiple: int = 8) -> int:
    """Channels of a layer at a width: base * width, rounded up to a multiple.

    With a base of `multiple` times a power of two the rounding commutes with halving, so the ratio of any scaled layer
    to the largest base layer is a width that gives every layer of the same network back.
    """
    return math.ceil(base * width / multiple) * multiple


def scaled_repeats(base: int, depth: float) -> int:
    """Number of repeated blocks at a depth: base * depth, rounded half to even, at least one."""
    return max(round(base * depth), 1) if base > 1 else base


def depth_of(repeats: Sequence[tuple[int, int]]) -> float | None:
    """Depth at which every block repeats as found.

    Args:
        repeats: (base, found) number of repetitions of every repeated block.

    Returns:
        A published depth if one fits, else the smallest multiple of 0.01 up to 4; None if no depth fits.
    """
    published = (0.33, 0.25, 0.67, 1.0, 1.33)
    for depth in (*published, *(step / 100 for step in range(1, 401))):
        if all(scaled_repeats(base, depth) == found for base, found in repeats):
            return depth
    return None


def grid(height: int, width: int, like: Tensor) -> Tensor:
    """Column and row of every cell of a map, row by row: [height * width, 2], dtype and device of `like`."""
    rows = torch.arange(height, device=like.device, dtype=like.dtype)
    columns = torch.arange(width, device=like.device, dtype=like.dtype)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack((x, y), dim=-1).reshape(-1, 2)


def corners(centre: Tensor, size: Tensor) -> Tensor:
    """Boxes xyxy [..., 4] from centres [..., 2] and sizes [..., 2], all in pixels."""
    return torch.cat((centre - size / 2, centre + size / 2), dim=-1)


def prior_logit() -> float:
    """Logit of the probability that an untrained detector gives everything."""
    return math.log(PRIOR_PROBABILITY / (1 - PRIOR_PROBABILITY))


@torch.no_grad()
def initialise_convolutions(network: nn.Module, generator: torch.Generator) -> None:
    """Kaiming-normal weights and zero biases for every convolution, drawn from `generator`."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
