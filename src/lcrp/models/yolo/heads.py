"""Heads of YOLOv8, YOLO11, YOLO26 and their relatives: boxes, classes, masks of single objects, classes of pixels.

Axes: B batch, K class, M row of the output, P prototype, Q bin of a distance, h w map of a level, H W input.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from lcrp.errors import CheckpointError, ConfigError
from lcrp.models.layers import grid
from lcrp.models.yolo.blocks import Block, Build
from lcrp.models.yolo.part import Part, shown
from lcrp.values.prediction import DetectorOutput, DistanceBins, ObjectMasks, at_least_float32

Head = Literal["many", "one2one"]  # many rows for an object, of which NMS leaves one; or one row for an object


class Detect(Block):
    """Two branches on every level: the four sides of a box, each as a distance from the cell's centre, and classes.

    A distance is a number, in units of the stride, or its expectation over Q bins (Li et al., Generalized Focal Loss,
    2020). Rows lie level after level, row by row, one for every cell.
    """

    def __init__(self, part: Part, build: Build) -> None:
        super().__init__(part, build)
        self.num_classes = part.count("nc")
        self.num_bins = part.count("reg_max", 16)
        strides = part.settings.get("stride")
        if not isinstance(strides, tuple) or not all(one in _STRIDES for one in strides):
            raise CheckpointError(f"{part.kind} says 'stride' is {shown(strides)}: the network was never run")
        self.strides = tuple(int(one or 0) for one in strides)
        if self.num_bins > 1 and self.get_submodule("dfl").get_buffer("conv.weight").numel() != self.num_bins:
            raise CheckpointError(f"{part.kind} says 'reg_max' is {self.num_bins}, and its 'dfl' has other bins")
        self.heads = tuple(name for name, boxes in _BRANCHES.items() if boxes in part.parts)
        self.head: Head = "one2one" if "one2one" in self.heads else "many"
        self.has_choice = len(self.heads) > 1

    def choose(self, head: Head) -> None:
        """Which of its heads answers.

        Raises:
            ConfigError: it has no such head.
        """
        if head not in self.heads:
            own = " and ".join(f"'{one}'" for one in self.heads)
            raise ConfigError(
                f"model.head='{head}' is not in this network: its only head is {own}; leave model.head out"
            )
        self.head = head

    def leave_out(self) -> None:
        """Part with the branches of heads that do not answer: no decision passes them."""
        answering, others = ("one2one_", "") if self.head == "one2one" else ("", "one2one_")
        for name in _OF_HEADS:
            if f"{answering}{name}" in self._modules:
                self._modules.pop(f"{others}{name}", None)
        self.heads = (self.head,)

    def forward(self, maps: Sequence[Tensor]) -> DetectorOutput:
        """Boxes and classes of every cell of the levels [B, C, h, w]."""
        sizes = [tuple(x.shape[2:]) for x in maps]
        sides = at_least_float32(self.branch("cv2", maps))  # [B, 4 Q, M]
        batch, _, rows = sides.shape
        bins = None
        if self.num_bins > 1:
            over_bins, expectation = sides.view(batch, 4, self.num_bins, rows), self.get_submodule("dfl")
            sides = expectation(over_bins)
            values = expectation.get_buffer("conv.weight").flatten()
            bins = DistanceBins(logits=over_bins.permute(0, 3, 1, 2), values=values)
        centres, strides = self.cells(sizes, like=sides)
        left_top, right_bottom = sides.transpose(1, 2).chunk(2, dim=-1)
        boxes = torch.cat((centres - left_top * strides, centres + right_bottom * strides), dim=-1)
        logits = at_least_float32(self.branch("cv3", maps)).transpose(1, 2)
        return DetectorOutput(
            boxes=boxes,
            class_logits=logits,
            objectness_logits=None,
            is_one_to_one=self.head == "one2one",
            sides=sides.transpose(1, 2),
            bins=bins,
        )

    def branch(self, name: str, maps: Sequence[Tensor]) -> Tensor:
        """What a branch of the chosen head makes of the levels, [B, C, M]."""
        prefix = "one2one_" if self.head == "one2one" else ""
        levels = self.get_submodule(f"{prefix}{name}")
        assert isinstance(levels, nn.ModuleList)
        return torch.cat([one(x).flatten(2) for one, x in zip(levels, maps, strict=True)], dim=2)

    def cells(self, sizes: Sequence[tuple[int, ...]], like: Tensor) -> tuple[Tensor, Tensor]:
        """Centres [M, 2] (x, y) in pixels and strides [M, 1] of the cells of maps of these sizes (height, width)."""
        centres, strides = [], []
        for (height, width), stride in zip(sizes, self.strides, strict=True):
            centres.append((grid(height, width, like) + 0.5) * stride)
            strides.append(like.new_full((height * width, 1), stride))
        return torch.cat(centres), torch.cat(strides)


class DFL(nn.Module):
    """Expectation of a distance over its bins, whose values a file may hold otherwise than as 0, 1, 2, ..."""

    def __init__(self, part: Part, build: Build) -> None:  # noqa: ARG002 - as every block
        super().__init__()
        values = part.parts.get("conv", part).count("in_channels")
        self.conv = nn.Module()
        self.conv.register_buffer("weight", torch.arange(float(values)).view(1, values, 1, 1))  # not learned

    def forward(self, x: Tensor) -> Tensor:
        """sum_q v_q softmax(x)_q: from [B, 4, Q, M] to [B, 4, M]."""
        values = self.conv.get_buffer("weight").view(-1, 1).to(x)
        return (x.softmax(dim=2) * values).sum(dim=2)


_STRIDES = tuple(2**power for power in range(10))
_OF_HEADS = ("cv2", "cv3", "cv4")
_BRANCHES: dict[Head, str] = {"many": "cv2", "one2one": "one2one_cv2"}


class Segment(Detect):
    """Boxes, classes, and a mask of every row: its coefficients times prototypes that all rows share."""

    proto: nn.Module

    def forward(self, maps: Sequence[Tensor]) -> DetectorOutput:
        """The same, with masks."""
        found = super().forward(maps)
        prototypes = at_least_float32(self.proto(maps))
        coefficients = at_least_float32(self.branch("cv4", maps)).transpose(1, 2)
        return DetectorOutput(
            boxes=found.boxes,
            class_logits=found.class_logits,
            objectness_logits=None,
            is_one_to_one=found.is_one_to_one,
            masks=ObjectMasks(coefficients=coefficients, prototypes=prototypes, stride=self.strides[0] // 2),
            sides=found.sides,
            bins=found.bins,
        )


class Proto(Block):
    """Prototypes of masks, at a quarter of the input's size, from the finest level."""

    cv1: nn.Module
    cv2: nn.Module
    cv3: nn.Module
    upsample: nn.Module

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """[B, P, H / 4, W / 4]."""
        return self.from_map(maps[0])

    def from_map(self, x: Tensor) -> Tensor:
        """cv3(cv2(upsample(cv1(x)))): [B, P, 2 h, 2 w]."""
        out: Tensor = self.cv3(self.cv2(self.upsample(self.cv1(x))))
        return out


class Proto26(Proto):
    """Prototypes from all levels, summed at the size of the finest (YOLO26)."""

    feat_refine: nn.ModuleList
    feat_fuse: nn.Module

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """[B, P, H / 4, W / 4]."""
        finest, *coarser = maps
        for refine, x in zip(self.feat_refine, coarser, strict=True):
            finest = finest + interpolate(refine(x), size=finest.shape[2:], mode="nearest")
        return self.from_map(self.feat_fuse(finest))


class SemanticSegment(Block):
    """Classes of pixels, at an eighth of the input's size, from the finest level (YOLO26)."""

    classifier: nn.Module

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Logits [B, K, H, W], as large as the input."""
        logits: Tensor = self.classifier(maps[0])
        return interpolate(at_least_float32(logits), scale_factor=8, mode="bilinear", align_corners=False)
