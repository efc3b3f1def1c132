"""SSD on VGG-16, sub-module names as the published PyTorch weights have them.

Axes: B batch, C channel, K class (background first), H W picture, h w feature map, A priors of a cell, M row.
"""

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from lcrp.errors import CheckpointError, ConfigError, nearest
from lcrp.models.layers import L2Norm, corners, grid, initialise_convolutions, prior_logit, scaled_channels
from lcrp.models.recognition import check_family, num_blocks
from lcrp.values import devices
from lcrp.values.prediction import DetectorOutput, at_least_float32

VGG = (64, 64, "pool", 128, 128, "pool", 256, 256, 256, "ceil pool", 512, 512, 512, "pool", 512, 512, 512)
FC = 1024  # channels of the two convolutions that replace VGG's dense layers
FINE = 23  # layer of `vgg` before which the finest map is taken
L2_SCALE = 20.0
CENTRE_VARIANCE, SIZE_VARIANCE = 0.1, 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What SSD has for one side of its square input.

    Attributes:
        extras: (hidden channels, outputs, kernel, stride, padding) of every pair of convolutions behind VGG.
        strides: of the levels' cells, in pixels.
        scales: sides of the priors, in pixels: level i has squares of scales[i] and sqrt(scales[i] scales[i + 1]).
        ratios: aspect ratios of each level's further priors, each in both orientations.
    """

    extras: tuple[tuple[int, int, int, int, int], ...]
    strides: tuple[int, ...]
    scales: tuple[float, ...]
    ratios: tuple[tuple[int, ...], ...]

    @property
    def num_priors(self) -> tuple[int, ...]:
        """Priors A of a cell of every level."""
        return tuple(2 + 2 * len(ratios) for ratios in self.ratios)


LAYOUTS = {
    256: Layout(
        extras=((256, 512, 3, 2, 1), (128, 256, 3, 2, 1), (128, 256, 3, 2, 1), (128, 256, 3, 2, 1)),
        strides=(8, 16, 32, 64, 128, 256),
        scales=(18.0, 34.0, 58.0, 86.0, 118.0, 154.0, 196.0),
        ratios=((2,), (2, 3), (2, 3), (2, 3), (2, 3), (2, 3)),
    ),
    300: Layout(
        extras=((256, 512, 3, 2, 1), (128, 256, 3, 2, 1), (128, 256, 3, 1, 0), (128, 256, 3, 1, 0)),
        strides=(8, 16, 32, 64, 100, 300),
        scales=(21.0, 45.0, 99.0, 153.0, 207.0, 261.0, 315.0),
        ratios=((2,), (2, 3), (2, 3), (2, 3), (2,), (2,)),
    ),
    512: Layout(
        extras=(
            (256, 512, 3, 2, 1), (128, 256, 3, 2, 1), (128, 256, 3, 2, 1), (128, 256, 3, 2, 1), (128, 256, 4, 1, 1)
        ),
        strides=(8, 16, 32, 64, 128, 256, 512),
        scales=(20.48, 51.2, 133.12, 215.04, 296.96, 378.88, 460.8, 542.72),
        ratios=((2,), (2, 3), (2, 3), (2, 3), (2, 3), (2,), (2,)),
    ),
}  # fmt: skip


class Backbone(nn.Module):
    """VGG-16 with dilated convolutions for its dense layers, and further convolutions down to the coarsest map."""

    def __init__(self, layout: Layout, width: float) -> None:
        super().__init__()
        self.vgg = nn.ModuleList(_vgg(width))
        inputs = scaled_channels(FC, width, 4)
        extras, relus = [], []
        self.channels = [scaled_channels(512, width, 4), inputs]
        for base_hidden, base_outputs, kernel, stride, padding in layout.extras:
            hidden, outputs = scaled_channels(base_hidden, width, 4), scaled_channels(base_outputs, width, 4)
            extras += [nn.Conv2d(inputs, hidden, 1), nn.Conv2d(hidden, outputs, kernel, stride, padding)]
            relus += [nn.ReLU(), nn.ReLU()]
            inputs = outputs
            self.channels.append(outputs)
        self.extras, self.extra_relus = nn.ModuleList(extras), nn.ModuleList(relus)
        self.l2_norm = L2Norm(self.channels[0], L2_SCALE)

    def forward(self, x: Tensor) -> list[Tensor]:
        """One feature map [B, C, h, w] per level, the finest first."""
        maps = []
        for index, layer in enumerate(self.vgg):
            if index == FINE:
                maps.append(self.l2_norm(x))
            x = layer(x)
        maps.append(x)
        for index, (conv, relu) in enumerate(zip(self.extras, self.extra_relus, strict=True)):
            x = relu(conv(x))
            if index % 2:
                maps.append(x)
        return maps


class Predictor(nn.Module):
    """A 3x3 convolution for the classes and one for the boxes of every level's cells."""

    def __init__(self, channels: list[int], num_priors: tuple[int, ...], num_columns: int) -> None:
        super().__init__()
        self.num_columns = num_columns
        sizes = list(zip(channels, num_priors, strict=True))
        self.cls_headers = nn.ModuleList(
            nn.Conv2d(inputs, count * num_columns, 3, padding=1) for inputs, count in sizes
        )
        self.reg_headers = nn.ModuleList(nn.Conv2d(inputs, count * 4, 3, padding=1) for inputs, count in sizes)

    @torch.no_grad()
    def set_prior(self) -> None:
        """Let the classes together start at the prior probability, the background at the rest."""
        for conv in self.cls_headers:
            assert isinstance(conv, nn.Conv2d)
            assert conv.bias is not None
            conv.bias.view(-1, self.num_columns)[:, 0] = math.log(self.num_columns - 1) - prior_logit()

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Class logits [B, M, K] and box offsets [B, M, 4], ordered by level, row, column and prior."""
        classes = [_rows(head(x), self.num_columns) for head, x in zip(self.cls_headers, maps, strict=True)]
        offsets = [_rows(head(x), 4) for head, x in zip(self.reg_headers, maps, strict=True)]
        return torch.cat(classes, dim=1), torch.cat(offsets, dim=1)


class SSD(nn.Module):
    """SSD (Liu et al., ECCV 2016) on VGG-16, anchor-based detector with a softmax over background and classes.

    Box of prior (c, s), both relative to the input: centre = 0.1 t_xy s + c, size = exp(0.2 t_wh) s. The priors of
    sides 300 and 512 are those of the published COCO configurations; 256 is for the embedded pictures.

    Args:
        num_classes: number of classes, background not counted.
        size: side of the square input that the priors are made for: 256, 300 or 512.
        width: factor on the channels, rounded up to multiples of four; 1 as published.
    """

    def __init__(self, *, num_classes: int = 80, size: int = 512, width: float = 1.0) -> None:
        super().__init__()
        if size not in LAYOUTS:
            raise ConfigError(f"there is no SSD for inputs of {size} pixels; {nearest(str(size), map(str, LAYOUTS))}")
        self.size, self.layout = size, LAYOUTS[size]
        self.backbone = Backbone(self.layout, width)
        predictor = Predictor(self.backbone.channels, self.layout.num_priors, num_classes + 1)
        self.box_head = nn.Sequential(OrderedDict(predictor=predictor))

    def forward(self, x: Tensor) -> DetectorOutput:
        """Every prior's box and logits, unselected.

        Args:
            x: [B, 3, H, W] normalised; priors have as many pixels as in an input of H = W = `size`.

        Returns:
            M rows, ordered by level, row, column and prior, with K = num_classes + 1 columns, background first.
        """
        height, width = x.shape[-2:]
        maps = self.backbone(x)
        logits, offsets = map(at_least_float32, self.box_head(maps))
        priors = self.priors([(one.shape[-2], one.shape[-1]) for one in maps], (height, width), logits)
        centre = offsets[..., :2] * CENTRE_VARIANCE * priors[:, 2:] + priors[:, :2]
        size = (offsets[..., 2:] * SIZE_VARIANCE).exp() * priors[:, 2:]
        pixels = devices.sent(torch.tensor([width, height] * 2, dtype=logits.dtype), logits.device)
        return DetectorOutput(
            boxes=corners(centre, size) * pixels,
            class_logits=logits,
            objectness_logits=None,
            has_background=True,
        )

    def priors(self, maps: Sequence[tuple[int, int]], picture: tuple[int, int], like: Tensor) -> Tensor:
        """Priors of an input: [M, 4] centre (x, y), width and height relative to the input, clipped to [0, 1].

        Args:
            maps: height and width of every level's map.
            picture: height and width of the input; at another size than `size` the cells tile it evenly, and priors
                keep their sides in pixels: the same object is seen with the same box.
            like: gives dtype and device.
        """
        levels, on_cpu = [], torch.zeros((), dtype=like.dtype)
        for (rows, columns), stride, shapes in zip(maps, self.layout.strides, self._shapes(), strict=True):
            step = (columns, rows) if picture != (self.size, self.size) else (self.size / stride, self.size / stride)
            centres = (grid(rows, columns, on_cpu) + 0.5) / on_cpu.new_tensor(step)  # [h w, 2]
            sizes = on_cpu.new_tensor(shapes) / on_cpu.new_tensor(picture[::-1])  # [A, 2]
            cells = torch.cat((centres[:, None].expand(-1, len(sizes), -1), sizes.expand(len(centres), -1, -1)), dim=-1)
            levels.append(cells.reshape(-1, 4))
        return devices.sent(torch.cat(levels).clamp(0, 1), like.device)

    def cell_centres(self, height: int, width: int) -> torch.Tensor:
        """Centre (x, y) of the prior of every output row, [M, 2] in pixels of an input of this size."""
        like = self.backbone.l2_norm.weight
        maps = list(zip(self._map_sides(height), self._map_sides(width), strict=True))
        priors = self.priors(maps, (height, width), like)
        return priors[:, :2] * priors.new_tensor([width, height])

    def initialise(self, generator: torch.Generator) -> None:
        """Fresh weights for training from scratch; every prior starts near certain of the background."""
        initialise_convolutions(self, generator)
        predictor = self.box_head.predictor
        assert isinstance(predictor, Predictor)
        predictor.set_prior()

    @staticmethod
    def arguments_of(state: Mapping[str, Tensor]) -> dict[str, int | float]:
        """Constructor arguments of the network whose state this is.

        Raises:
            CheckpointError: if these are weights of another architecture or of other priors.
        """
        check_family(state, "SSD on VGG-16")
        heads = "box_head.predictor"
        num_levels = num_blocks(state, f"{heads}.reg_headers.")
        num_priors = tuple(state[f"{heads}.reg_headers.{level}.bias"].shape[0] // 4 for level in range(num_levels))
        sizes = [size for size, layout in LAYOUTS.items() if layout.num_priors == num_priors]
        if not sizes:
            raise CheckpointError(
                f"these weights belong to an SSD with {num_priors} priors per cell; known are SSD300 and SSD512"
            )
        num_columns = state[f"{heads}.cls_headers.0.bias"].shape[0] // num_priors[0]
        width = state["backbone.vgg.33.weight"].shape[0] / FC
        return {"num_classes": num_columns - 1, "size": sizes[0], "width": width}

    def _shapes(self) -> list[list[tuple[float, float]]]:
        """Width and height in pixels of the priors of every level: two squares, then both orientations per ratio."""
        shapes = []
        for (side, following), ratios in zip(pairwise(self.layout.scales), self.layout.ratios, strict=True):
            level = [(side, side), (math.sqrt(side * following),) * 2]
            for ratio in ratios:
                long, short = side * math.sqrt(ratio), side / math.sqrt(ratio)
                level += [(long, short), (short, long)]
            shapes.append(level)
        return shapes

    def _map_sides(self, side: int) -> list[int]:
        """Height or width of every level's map for an input of this height or width."""
        fine = math.ceil(side // 4 / 2)
        sides = [fine, fine // 2]
        for _, _, kernel, stride, padding in self.layout.extras:
            sides.append((sides[-1] + 2 * padding - kernel) // stride + 1)
        return sides


def _vgg(width: float) -> list[nn.Module]:
    """VGG-16's convolutions and pools, and the two convolutions that replace its dense layers."""
    layers: list[nn.Module] = []
    inputs = 3
    for entry in VGG:
        if isinstance(entry, str):
            layers.append(nn.MaxPool2d(2, 2, ceil_mode=entry == "ceil pool"))
        else:
            outputs = scaled_channels(entry, width, 4)
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
            inputs = outputs
    outputs = scaled_channels(FC, width, 4)
    layers += [nn.MaxPool2d(3, 1, padding=1), nn.Conv2d(inputs, outputs, 3, padding=6, dilation=6), nn.ReLU()]
    return [*layers, nn.Conv2d(outputs, outputs, 1), nn.ReLU()]


def _rows(raw: Tensor, num_columns: int) -> Tensor:
    """Head output [B, A * columns, h, w] as rows [B, h w A, columns]."""
    return raw.permute(0, 2, 3, 1).reshape(len(raw), -1, num_columns)
