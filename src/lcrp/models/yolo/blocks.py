"""Blocks of YOLOv8, YOLO11, YOLO26 and their relatives, with their published sub-module names.

Every block gets its parts from a description; what is written here is how they go together.

Axes: B batch, C channel, h w feature map, N = h w places, A attention head.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from lcrp.models.yolo.part import Part

Build = Callable[[Part], nn.Module]


class Block(nn.Module):
    """A module with the parts of a description.

    Args:
        part: its description.
        build: makes a module of a description.
    """

    def __init__(self, part: Part, build: Build) -> None:
        super().__init__()
        for name, one in part.parts.items():
            self.add_module(name, build(one))


class Conv(Block):
    """Convolution, batch normalisation where it was not fused, and activation."""

    conv: nn.Module
    act: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        """act(bn(conv(x))): [B, C, h, w]."""
        x = self.conv(x)
        if "bn" in self._modules:
            x = self.get_submodule("bn")(x)
        out: Tensor = self.act(x)
        return out


class Bottleneck(Block):
    """Two convolutions, with or without a residual sum."""

    cv1: nn.Module
    cv2: nn.Module

    def __init__(self, part: Part, build: Build) -> None:
        super().__init__(part, build)
        self.add = part.switch("add")

    def forward(self, x: Tensor) -> Tensor:
        """Sum: x + cv2(cv1(x)) or cv2(cv1(x)): [B, C, h, w]."""
        out: Tensor = self.cv2(self.cv1(x))
        return x + out if self.add else out


class C2f(Block):
    """Halves of a convolution; a chain of blocks goes on from the second, and all of it is joined."""

    cv1: nn.Module
    cv2: nn.Module
    m: nn.ModuleList

    def forward(self, x: Tensor) -> Tensor:
        """cv2(cat[halves of cv1(x), m_0, m_1, ...]): [B, C, h, w]."""
        maps = list(self.cv1(x).chunk(2, dim=1))
        for block in self.m:
            maps.append(block(maps[-1]))
        out: Tensor = self.cv2(torch.cat(maps, dim=1))
        return out


class C3(Block):
    """A chain of blocks beside a 1x1 convolution."""

    cv1: nn.Module
    cv2: nn.Module
    cv3: nn.Module
    m: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        """cv3(cat[m(cv1(x)), cv2(x)]): [B, C, h, w]."""
        out: Tensor = self.cv3(torch.cat((self.m(self.cv1(x)), self.cv2(x)), dim=1))
        return out


class SPPF(Block):
    """Spatial pyramid: one max pool in a row, between two 1x1 convolutions."""

    cv1: nn.Module
    cv2: nn.Module
    m: nn.Module

    def __init__(self, part: Part, build: Build) -> None:
        super().__init__(part, build)
        self.repeats, self.add = part.count("n", 3), part.switch("add")

    def forward(self, x: Tensor) -> Tensor:
        """cv2 of the joined pools, plus x where the description says so: [B, C, h, w]."""
        maps = [self.cv1(x)]
        for _ in range(self.repeats):
            maps.append(self.m(maps[-1]))
        out: Tensor = self.cv2(torch.cat(maps, dim=1))
        return out + x if self.add else out


class Attention(Block):
    """Attention over all places of a map, with a depthwise convolution of the values for where they are."""

    qkv: nn.Module
    proj: nn.Module
    pe: nn.Module

    def __init__(self, part: Part, build: Build) -> None:
        super().__init__(part, build)
        self.num_heads, self.key_dim, self.head_dim = map(part.count, ("num_heads", "key_dim", "head_dim"))
        self.scale = part.number("scale", self.key_dim**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        """proj(V softmax(scale q k) + pe(V)): [B, C, h, w]."""
        batch, _, height, width = x.shape
        split = self.qkv(x).view(batch, self.num_heads, 2 * self.key_dim + self.head_dim, height * width)
        query, key, value = split.split([self.key_dim, self.key_dim, self.head_dim], dim=2)  # [B, A, ., N]
        weights = ((query * self.scale).transpose(2, 3) @ key).softmax(dim=-1)  # [B, A, N, N]
        values = value.transpose(2, 3)  # [B, A, N, .]
        seen, own = (one.transpose(1, 2).reshape(batch, height, width, -1) for one in (weights @ values, values))
        out: Tensor = self.proj(seen.movedim(-1, 1) + self.pe(own.movedim(-1, 1)))  # in memory channels last
        return out


class PSABlock(Block):
    """Attention, then two convolutions, each with a residual sum."""

    attn: nn.Module
    ffn: nn.Module

    def __init__(self, part: Part, build: Build) -> None:
        super().__init__(part, build)
        self.add = part.switch("add", default=True)

    def forward(self, x: Tensor) -> Tensor:
        """Sum: x + attn(x), then x + ffn(x): [B, C, h, w]."""
        x = x + self.attn(x) if self.add else self.attn(x)
        x = x + self.ffn(x) if self.add else self.ffn(x)
        return x


class C2PSA(Block):
    """Halves of a convolution, the second of which goes through attention (YOLO11, YOLO26)."""

    cv1: nn.Module
    cv2: nn.Module
    m: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        """cv2(cat[a, m(b)]): [B, C, h, w]."""
        first, second = self.cv1(x).chunk(2, dim=1)
        out: Tensor = self.cv2(torch.cat((first, self.m(second)), dim=1))
        return out


class PSA(Block):
    """The same with a single block of attention (YOLOv10)."""

    cv1: nn.Module
    cv2: nn.Module
    attn: nn.Module
    ffn: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        """cv2(cat[a, b + attn(b), ...]): [B, C, h, w]."""
        first, second = self.cv1(x).chunk(2, dim=1)
        second = second + self.attn(second)
        second = second + self.ffn(second)
        out: Tensor = self.cv2(torch.cat((first, second), dim=1))
        return out


class SCDown(Block):
    """A 1x1 convolution, then a depthwise one that halves the map (YOLOv10)."""

    cv1: nn.Module
    cv2: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        """cv2(cv1(x)): [B, C, h / 2, w / 2]."""
        out: Tensor = self.cv2(self.cv1(x))
        return out


class CIB(Block):
    """A chain of depthwise and 1x1 convolutions, with or without a residual sum (YOLOv10)."""

    cv1: nn.Module

    def __init__(self, part: Part, build: Build) -> None:
        super().__init__(part, build)
        self.add = part.switch("add")

    def forward(self, x: Tensor) -> Tensor:
        """Sum: x + cv1(x) or cv1(x): [B, C, h, w]."""
        out: Tensor = self.cv1(x)
        return x + out if self.add else out


class RepVGGDW(Block):
    """Two depthwise convolutions, 7x7 and 3x3, summed; one where they were fused (YOLOv10)."""

    conv: nn.Module
    act: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        """act(conv(x) + conv1(x)): [B, C, h, w]."""
        summed = self.conv(x)
        if "conv1" in self._modules:
            summed = summed + self.get_submodule("conv1")(x)
        out: Tensor = self.act(summed)
        return out


class AAttn(Block):
    """Attention within areas, horizontal strips of the map (YOLO12)."""

    qkv: nn.Module
    proj: nn.Module
    pe: nn.Module

    def __init__(self, part: Part, build: Build) -> None:
        super().__init__(part, build)
        self.num_heads, self.head_dim = part.count("num_heads"), part.count("head_dim")
        self.area = part.count("area", 1)

    def forward(self, x: Tensor) -> Tensor:
        """proj(V softmax(q k) + pe(V)): [B, C, h, w]."""
        batch, _, height, width = x.shape
        places = height * width // self.area
        joint = self.qkv(x).flatten(2).transpose(1, 2)  # [B, N, 3 C]
        joint = joint.reshape(batch * self.area, places, self.num_heads, 3 * self.head_dim).permute(0, 2, 3, 1)
        query, key, value = joint.split(self.head_dim, dim=2)  # [B area, A, ., N / area]
        weights = (query.transpose(2, 3) @ key * self.head_dim**-0.5).softmax(dim=-1)
        seen = value @ weights.transpose(2, 3)
        seen, value = (self._placed(one, x) for one in (seen, value))
        out: Tensor = self.proj(seen + self.pe(value))
        return out

    def _placed(self, of_areas: Tensor, x: Tensor) -> Tensor:
        """[B area, A, C / A, N / area] as a map [B, C, h, w]."""
        batch, channels, height, width = x.shape
        flat = of_areas.permute(0, 3, 1, 2).reshape(batch, height, width, channels)
        return flat.permute(0, 3, 1, 2).contiguous()


class ABlock(Block):
    """Attention within areas, then two convolutions, each with a residual sum (YOLO12)."""

    attn: nn.Module
    mlp: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        """Sum: x + attn(x), then x + mlp(x): [B, C, h, w]."""
        x = x + self.attn(x)
        x = x + self.mlp(x)
        return x


class A2C2f(Block):
    """A chain of blocks that goes on from a 1x1 convolution, all of it joined (YOLO12)."""

    cv1: nn.Module
    cv2: nn.Module
    m: nn.ModuleList

    def __init__(self, part: Part, build: Build) -> None:
        super().__init__(part, build)
        self.gamma = None
        if "gamma" in part.parameters:
            last = part.parts["cv2"].parts["conv"].count("out_channels")
            self.gamma = nn.Parameter(torch.full((last,), 0.01))

    def forward(self, x: Tensor) -> Tensor:
        """cv2(cat[cv1(x), m_0, m_1, ...]), or x plus gamma times that: [B, C, h, w]."""
        maps = [self.cv1(x)]
        for block in self.m:
            maps.append(block(maps[-1]))
        out: Tensor = self.cv2(torch.cat(maps, dim=1))
        return out if self.gamma is None else x + self.gamma[:, None, None] * out


class Concat(Block):
    """Maps joined along the channels."""

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """[B, C_i, h, w] each, to [B, sum C_i, h, w]."""
        return torch.cat(list(maps), dim=1)
