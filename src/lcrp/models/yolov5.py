"""YOLOv5, releases 6.0 to 7.0 (Ultralytics), with its published sub-module names.

Axes: B batch, A anchor, C channel, K class, M row of the output, h w feature map.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from lcrp.errors import CheckpointError
from lcrp.models.layers import (
    Concat,
    ConvBlock,
    SpatialPyramid,
    corners,
    depth_of,
    grid,
    initialise_convolutions,
    prior_logit,
    scaled_channels,
    scaled_repeats,
)
from lcrp.models.obeyed import innermost, obey
from lcrp.models.recognition import check_family, num_blocks
from lcrp.models.unpickling import Inert
from lcrp.models.yolo.part import Part, Plain, Setting, described
from lcrp.values.prediction import DetectorOutput, at_least_float32

STRIDES = (8, 16, 32)
ANCHORS = (  # width and height in pixels, three per level
    ((10, 13), (16, 30), (33, 23)),
    ((30, 61), (62, 45), (59, 119)),
    ((116, 90), (156, 198), (373, 326)),
)
SOURCES = {12: (11, 6), 16: (15, 4), 19: (18, 14), 22: (21, 10)}  # layers that join several earlier ones
OUTPUTS = (17, 20, 23)
REPEATS = {2: 3, 4: 6, 6: 9, 8: 3, 13: 3, 17: 3, 20: 3, 23: 3}  # bottlenecks of every C3 at depth 1


class Bottleneck(nn.Module):
    """1x1 and 3x3 convolution, with a residual sum in the backbone."""

    def __init__(self, channels: int, *, shortcut: bool) -> None:
        super().__init__()
        self.cv1 = ConvBlock(channels, channels, 1)
        self.cv2 = ConvBlock(channels, channels, 3)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Feature map x + cv2(cv1(x)) or, without shortcut, cv2(cv1(x))."""
        out: Tensor = self.cv2(self.cv1(x))
        return x + out if self.shortcut else out


class C3(nn.Module):
    """Cross-stage partial block: a chain of bottlenecks beside a 1x1 convolution."""

    def __init__(self, inputs: int, outputs: int, repeats: int, *, shortcut: bool) -> None:
        super().__init__()
        hidden = outputs // 2
        self.cv1 = ConvBlock(inputs, hidden, 1)
        self.cv2 = ConvBlock(inputs, hidden, 1)
        self.cv3 = ConvBlock(2 * hidden, outputs, 1)
        self.m = nn.Sequential(*(Bottleneck(hidden, shortcut=shortcut) for _ in range(repeats)))
        self.concat = Concat()

    def forward(self, x: Tensor) -> Tensor:
        """cv3(cat[m(cv1(x)), cv2(x)])."""
        out: Tensor = self.cv3(self.concat((self.m(self.cv1(x)), self.cv2(x))))
        return out


class Detect(nn.Module):
    """One 1x1 convolution per level; three anchors per cell, each with box, objectness and classes."""

    anchors: Tensor

    def __init__(self, num_classes: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.num_classes = num_classes
        pixels, strides = torch.tensor(ANCHORS, dtype=torch.float32), torch.tensor(STRIDES, dtype=torch.float32)
        self.register_buffer("anchors", pixels / strides[:, None, None])  # [level, A, 2] in units of the stride
        self.m = nn.ModuleList(nn.Conv2d(inputs, pixels.shape[1] * (5 + num_classes), 1) for inputs in channels)
        self.set_prior()

    @torch.no_grad()
    def set_prior(self) -> None:
        """Let every objectness and class start near the prior probability."""
        for conv in self.m:
            assert isinstance(conv, nn.Conv2d)
            assert conv.bias is not None
            conv.bias.view(-1, 5 + self.num_classes)[:, 4:] = prior_logit()

    def forward(self, maps: list[Tensor]) -> DetectorOutput:
        """Decode [B, A * (5 + K), h, w] of every level to rows, ordered by level, anchor, row and column."""
        boxes, objectness, classes = [], [], []
        for level, (conv, stride, x) in enumerate(zip(self.m, STRIDES, maps, strict=True)):
            raw = at_least_float32(conv(x))
            batch, _, height, width = raw.shape
            anchors = self.anchors[level] * stride  # [A, 2]
            raw = raw.view(batch, len(anchors), 5 + self.num_classes, height * width).transpose(2, 3)  # [B, A, hw, 5+K]
            box = raw[..., :4].sigmoid() * 2
            centre = (box[..., :2] - 0.5 + grid(height, width, raw)) * stride
            size = box[..., 2:].square() * anchors[:, None]
            boxes.append(corners(centre, size).flatten(1, 2))  # [B, A*hw, 4]
            objectness.append(raw[..., 4].flatten(1))
            classes.append(raw[..., 5:].flatten(1, 2))
        return DetectorOutput(
            boxes=torch.cat(boxes, dim=1),
            class_logits=torch.cat(classes, dim=1),
            objectness_logits=torch.cat(objectness, dim=1),
            is_class_trained=self.num_classes > 1,
        )


class YOLOv5(nn.Module):
    """YOLOv5 n to x, anchor-based detector.

    Box of anchor (p_w, p_h) in cell (g_x, g_y) of stride s: centre = (2 sigmoid(t_xy) - 0.5 + g) s,
    size = (2 sigmoid(t_wh))^2 p. Classes are independent sigmoids.

    Args:
        num_classes: number of classes K.
        depth: factor on the repetitions (n, s: 0.33, m: 0.67, l: 1, x: 1.33).
        width: factor on the channels (n: 0.25, s: 0.5, m: 0.75, l: 1, x: 1.25).
    """

    def __init__(self, *, num_classes: int = 80, depth: float = 0.33, width: float = 0.25) -> None:
        super().__init__()
        c1, c2, c3, c4, c5 = (scaled_channels(base, width) for base in (64, 128, 256, 512, 1024))
        repeats = {layer: scaled_repeats(base, depth) for layer, base in REPEATS.items()}
        self.model = nn.Sequential(
            ConvBlock(3, c1, 6, stride=2, padding=2),
            ConvBlock(c1, c2, 3, stride=2),
            C3(c2, c2, repeats[2], shortcut=True),
            ConvBlock(c2, c3, 3, stride=2),
            C3(c3, c3, repeats[4], shortcut=True),
            ConvBlock(c3, c4, 3, stride=2),
            C3(c4, c4, repeats[6], shortcut=True),
            ConvBlock(c4, c5, 3, stride=2),
            C3(c5, c5, repeats[8], shortcut=True),
            SpatialPyramid(c5, c5),
            ConvBlock(c5, c4, 1),
            nn.Upsample(scale_factor=2, mode="nearest"),
            Concat(),
            C3(2 * c4, c4, repeats[13], shortcut=False),
            ConvBlock(c4, c3, 1),
            nn.Upsample(scale_factor=2, mode="nearest"),
            Concat(),
            C3(2 * c3, c3, repeats[17], shortcut=False),
            ConvBlock(c3, c3, 3, stride=2),
            Concat(),
            C3(2 * c3, c4, repeats[20], shortcut=False),
            ConvBlock(c4, c4, 3, stride=2),
            Concat(),
            C3(2 * c4, c5, repeats[23], shortcut=False),
            Detect(num_classes, (c3, c4, c5)),
        )

    def forward(self, x: Tensor) -> DetectorOutput:
        """Every box of every cell, unselected.

        Args:
            x: [B, 3, H, W] RGB in [0, 1], sides multiples of 32.

        Returns:
            M = 3 (HW/64 + HW/256 + HW/1024) rows, ordered by level, anchor, row and column.
        """
        maps: list[Tensor] = []
        *layers, detect = self.model
        for index, layer in enumerate(layers):
            x = layer([maps[source] for source in SOURCES[index]] if index in SOURCES else x)
            maps.append(x)
        output: DetectorOutput = detect([maps[index] for index in OUTPUTS])
        return output

    def cell_centres(self, height: int, width: int) -> torch.Tensor:
        """Centre (x, y) of the cell of every output row, [M, 2] in pixels of an input of this size."""
        anchors = self._detect().anchors  # [level, A, 2]
        points = [(grid(height // stride, width // stride, anchors) + 0.5) * stride for stride in STRIDES]
        return torch.cat([of_level for of_level in points for _ in range(anchors.shape[1])])

    def initialise(self, generator: torch.Generator) -> None:
        """Fresh weights for training from scratch."""
        initialise_convolutions(self, generator)
        self._detect().set_prior()

    def _detect(self) -> Detect:
        detect = self.model[-1]
        assert isinstance(detect, Detect)
        return detect

    @staticmethod
    def derived(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The anchors in pixels, which files of release 6.0 and trainers up to it hold too."""
        anchors, strides = state.get("model.24.anchors"), torch.tensor(STRIDES, dtype=torch.float32)
        if anchors is None or anchors.ndim != 3 or len(anchors) != len(strides):
            return {}  # they do not fit the network either
        return {"model.24.anchor_grid": (anchors * strides[:, None, None])[:, None, :, None, None]}

    def obey(self, module: Inert) -> tuple[str, ...]:
        """Do what a file's modules say, beside their tensors; gives what of it is not as published, in words.

        Raises:
            CheckpointError: it is of another layout.
        """
        part = innermost(described(module), "model.24")
        return obey(self, part, _rewired(part.parts.get("model", part)))

    @staticmethod
    def arguments_of(state: Mapping[str, Tensor]) -> dict[str, int | float]:
        """Constructor arguments of the network whose state this is.

        Raises:
            CheckpointError: if these are weights of another architecture.
        """
        check_family(state, "YOLOv5", "YOLOv5 (releases 6.0 to 7.0)")
        heads, anchors = state["model.24.m.0.weight"], state["model.24.anchors"]
        depth = depth_of([(base, num_blocks(state, f"model.{layer}.m.")) for layer, base in REPEATS.items()])
        if tuple(anchors.shape) != (3, 3, 2) or heads.shape[0] % 3 or heads.shape[0] < 18 or depth is None:
            raise CheckpointError(
                "these weights belong to a YOLOv5 with another layout than n, s, m, l and x "
                f"(anchors {tuple(anchors.shape)}, {heads.shape[0]} head channels); only their layout is built"
            )
        if not anchors.is_meta and bool((anchors <= 0).any()):
            raise CheckpointError(
                f"model.24.anchors holds {float(anchors.min()):g}: no box has such a side; the file is damaged"
            )
        width = state["model.9.cv2.conv.weight"].shape[0] / 1024
        return {"num_classes": heads.shape[0] // 3 - 5, "depth": depth, "width": width}


def _rewired(layers: Part) -> Iterator[str]:
    """What a file's layers read, and the strides of its head, where they are not the published ones."""
    for number, layer in enumerate(layers.parts.values()):
        given = layer.settings.get("f")
        found = [one + number if isinstance(one, int) and one < 0 else one for one in _as_tuple(given)]
        expected = [*OUTPUTS] if number == 24 else [*SOURCES.get(number, (number - 1,))]
        if found != expected:
            yield f"layer {number} reads {given} and not {expected}"
    strides = layers.parts["24"].settings.get("stride", STRIDES) if "24" in layers.parts else STRIDES
    if strides != STRIDES:
        yield f"its strides are {strides} and not {STRIDES}"


def _as_tuple(value: Setting) -> tuple[Plain, ...]:
    return value if isinstance(value, tuple) else (value,)
