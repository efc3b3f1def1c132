"""YOLOv6, release 0.1.0 (Meituan), with its published sub-module names and unfused RepVGG blocks.

Axes: B batch, C channel, K class, M row of the output, h w feature map.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lcrp.errors import CheckpointError
from lcrp.models.layers import (
    Concat,
    ConvBlock,
    SpatialPyramid,
    batch_norm,
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
from lcrp.models.yolo.part import described
from lcrp.values.prediction import DetectorOutput, at_least_float32

STRIDES = (8, 16, 32)
CHANNELS = (64, 128, 256, 512, 1024, 256, 128, 128, 256, 256, 512)  # backbone 0 to 4, neck 5 to 10, at width 1
REPEATS = {  # RepVGG blocks of every RepBlock at depth 1
    "backbone.ERBlock_2.1": 6,
    "backbone.ERBlock_3.1": 12,
    "backbone.ERBlock_4.1": 18,
    "backbone.ERBlock_5.1": 6,
    "neck.Rep_p4": 12,
    "neck.Rep_p3": 12,
    "neck.Rep_n3": 12,
    "neck.Rep_n4": 12,
}


class Branch(nn.Sequential):
    """Convolution without bias and BatchNorm: one branch of a RepVGG block."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.bn = batch_norm(outputs)


class RepVGGBlock(nn.Module):
    """ReLU(3x3 branch + 1x1 branch + identity branch) (Ding et al., RepVGG, CVPR 2021, section 3.3).

    The identity branch (a BatchNorm) exists where channels and size stay. `fuse` turns the block into the one
    convolution that it equals at inference.
    """

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__()
        self.nonlinearity = nn.ReLU()
        self.rbr_identity = batch_norm(inputs) if inputs == outputs and stride == 1 else None
        self.rbr_dense: Branch | None = Branch(inputs, outputs, 3, stride)
        self.rbr_1x1: Branch | None = Branch(inputs, outputs, 1, stride)
        self.rbr_reparam: nn.Conv2d | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Feature map [B, C, h, w]."""
        if self.rbr_reparam is not None:
            out = self.rbr_reparam(x)
        else:
            assert self.rbr_dense is not None
            assert self.rbr_1x1 is not None
            out = self.rbr_dense(x) + self.rbr_1x1(x)
            if self.rbr_identity is not None:
                out = out + self.rbr_identity(x)
        activated: Tensor = self.nonlinearity(out)
        return activated

    @torch.no_grad()
    def fuse(self) -> None:
        """Replace the branches by one 3x3 convolution with bias; a fused block stays as it is.

        Kernel = sum of gamma / sqrt(var + eps) times the branch kernels (1x1 and identity at the centre), bias = sum of
        beta - mean gamma / sqrt(var + eps), summed in float64.
        """
        if self.rbr_dense is None or self.rbr_1x1 is None:
            return
        conv = self.rbr_dense.conv
        kernel, bias = _folded(conv.weight, self.rbr_dense.bn)
        points = [_folded(self.rbr_1x1.conv.weight, self.rbr_1x1.bn)]
        if self.rbr_identity is not None:
            points.append(
                _folded(torch.eye(conv.in_channels, device=conv.weight.device)[..., None, None], self.rbr_identity)
            )
        for point, shift in points:
            kernel[:, :, 1:2, 1:2] += point
            bias += shift
        stride = (conv.stride[0], conv.stride[1])
        fused = nn.Conv2d(conv.in_channels, conv.out_channels, 3, stride, padding=1, device=conv.weight.device)
        fused = fused.to(conv.weight.dtype).requires_grad_(conv.weight.requires_grad)
        fused.weight.copy_(kernel)
        assert fused.bias is not None
        fused.bias.copy_(bias)
        self.rbr_reparam = fused.train(self.training)
        self.rbr_identity = self.rbr_dense = self.rbr_1x1 = None


class RepBlock(nn.Module):
    """A chain of RepVGG blocks."""

    def __init__(self, inputs: int, outputs: int, repeats: int) -> None:
        super().__init__()
        self.conv1 = RepVGGBlock(inputs, outputs)
        rest = [RepVGGBlock(outputs, outputs) for _ in range(repeats - 1)]
        self.block = nn.Sequential(*rest) if rest else None

    def forward(self, x: Tensor) -> Tensor:
        """Feature map [B, C, h, w]."""
        x = self.conv1(x)
        return x if self.block is None else self.block(x)


class Transpose(nn.Module):
    """Learned upsampling by two."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.upsample_transpose = nn.ConvTranspose2d(channels, channels, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] to [B, C, 2h, 2w]."""
        out: Tensor = self.upsample_transpose(x)
        return out


class EfficientRep(nn.Module):
    """The backbone."""

    def __init__(self, channels: tuple[int, ...], repeats: Mapping[str, int]) -> None:
        super().__init__()
        c = channels
        self.stem = RepVGGBlock(3, c[0], stride=2)
        stages = [
            nn.Sequential(
                RepVGGBlock(c[k - 2], c[k - 1], stride=2),
                RepBlock(c[k - 1], c[k - 1], repeats[f"backbone.ERBlock_{k}.1"]),
            )
            for k in (2, 3, 4, 5)
        ]
        stages[-1].append(SpatialPyramid(c[4], c[4], relu=True))
        self.ERBlock_2, self.ERBlock_3, self.ERBlock_4, self.ERBlock_5 = stages

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Feature maps at strides 8, 16 and 32."""
        x2 = self.ERBlock_3(self.ERBlock_2(self.stem(x)))
        x1 = self.ERBlock_4(x2)
        return x2, x1, self.ERBlock_5(x1)


class RepPANNeck(nn.Module):
    """The neck: top-down, then bottom-up."""

    def __init__(self, channels: tuple[int, ...], repeats: Mapping[str, int]) -> None:
        super().__init__()
        c = channels
        self.Rep_p4 = RepBlock(c[3] + c[5], c[5], repeats["neck.Rep_p4"])
        self.Rep_p3 = RepBlock(c[2] + c[6], c[6], repeats["neck.Rep_p3"])
        self.Rep_n3 = RepBlock(c[6] + c[7], c[8], repeats["neck.Rep_n3"])
        self.Rep_n4 = RepBlock(c[5] + c[9], c[10], repeats["neck.Rep_n4"])
        self.reduce_layer0 = ConvBlock(c[4], c[5], 1, relu=True)
        self.upsample0 = Transpose(c[5])
        self.reduce_layer1 = ConvBlock(c[5], c[6], 1, relu=True)
        self.upsample1 = Transpose(c[6])
        self.downsample2 = ConvBlock(c[6], c[7], 3, stride=2, relu=True)
        self.downsample1 = ConvBlock(c[8], c[9], 3, stride=2, relu=True)
        self.concat_p4, self.concat_p3, self.concat_n3, self.concat_n4 = (Concat() for _ in range(4))

    def forward(self, maps: tuple[Tensor, Tensor, Tensor]) -> list[Tensor]:
        """Feature maps at strides 8, 16 and 32 of the backbone to those of the head."""
        x2, x1, x0 = maps
        f0 = self.reduce_layer0(x0)
        g0 = self.Rep_p4(self.concat_p4((self.upsample0(f0), x1)))
        f1 = self.reduce_layer1(g0)
        p3 = self.Rep_p3(self.concat_p3((self.upsample1(f1), x2)))
        p4 = self.Rep_n3(self.concat_n3((self.downsample2(p3), f1)))
        p5 = self.Rep_n4(self.concat_n4((self.downsample1(p4), f0)))
        return [p3, p4, p5]


class Detect(nn.Module):
    """Decoupled anchor-free head: classes from one branch, box and objectness from the other."""

    def __init__(self, num_classes: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.cls_convs = nn.ModuleList(ConvBlock(c, c, 3) for c in channels)
        self.reg_convs = nn.ModuleList(ConvBlock(c, c, 3) for c in channels)
        self.cls_preds = nn.ModuleList(nn.Conv2d(c, num_classes, 1) for c in channels)
        self.reg_preds = nn.ModuleList(nn.Conv2d(c, 4, 1) for c in channels)
        self.obj_preds = nn.ModuleList(nn.Conv2d(c, 1, 1) for c in channels)
        self.stems = nn.ModuleList(ConvBlock(c, c, 1) for c in channels)
        self.set_prior()

    @torch.no_grad()
    def set_prior(self) -> None:
        """Let every objectness and class start near the prior probability."""
        for conv in (*self.cls_preds, *self.obj_preds):
            assert isinstance(conv, nn.Conv2d)
            assert conv.bias is not None
            conv.bias.fill_(prior_logit())

    def forward(self, maps: list[Tensor]) -> DetectorOutput:
        """Decode the maps of every level to rows, ordered by level, row and column."""
        boxes, objectness, classes = [], [], []
        for level, stride in enumerate(STRIDES):
            x = self.stems[level](maps[level])
            height, width = x.shape[-2:]
            box_features = self.reg_convs[level](x)
            box = at_least_float32(self.reg_preds[level](box_features)).flatten(2).transpose(1, 2)  # [B, hw, 4]
            centre = (box[..., :2] + grid(height, width, box)) * stride
            boxes.append(corners(centre, box[..., 2:].exp() * stride))
            objectness.append(self.obj_preds[level](box_features).flatten(1))
            classes.append(self.cls_preds[level](self.cls_convs[level](x)).flatten(2).transpose(1, 2))  # [B, hw, K]
        return DetectorOutput(
            boxes=torch.cat(boxes, dim=1),
            class_logits=torch.cat(classes, dim=1),
            objectness_logits=torch.cat(objectness, dim=1),
        )


class YOLOv6(nn.Module):
    """YOLOv6 0.1.0 n, t and s, anchor-free detector (Li et al., arXiv 2209.02976, as first released).

    Box in cell (g_x, g_y) of stride s: centre = (t_xy + g) s, size = exp(t_wh) s. Classes are independent sigmoids.

    Args:
        num_classes: number of classes K.
        depth: factor on the repetitions (n, s: 0.33, t: 0.25).
        width: factor on the channels (n: 0.25, t, s: 0.5).
    """

    def __init__(self, *, num_classes: int = 80, depth: float = 0.33, width: float = 0.25) -> None:
        super().__init__()
        channels = tuple(scaled_channels(base, width) for base in CHANNELS)
        repeats = {name: scaled_repeats(base, depth) for name, base in REPEATS.items()}
        self.backbone = EfficientRep(channels, repeats)
        self.neck = RepPANNeck(channels, repeats)
        self.detect = Detect(num_classes, (channels[6], channels[8], channels[10]))

    def forward(self, x: Tensor) -> DetectorOutput:
        """Every box of every cell, unselected.

        Args:
            x: [B, 3, H, W] RGB in [0, 1], sides multiples of 32.

        Returns:
            M = HW/64 + HW/256 + HW/1024 rows, ordered by level, row and column.
        """
        output: DetectorOutput = self.detect(self.neck(self.backbone(x)))
        return output

    def cell_centres(self, height: int, width: int) -> torch.Tensor:
        """Centre (x, y) of the cell of every output row, [M, 2] in pixels of an input of this size."""
        like = next(self.parameters()).detach()
        return torch.cat([(grid(height // stride, width // stride, like) + 0.5) * stride for stride in STRIDES])

    def initialise(self, generator: torch.Generator) -> None:
        """Fresh weights for training from scratch."""
        initialise_convolutions(self, generator)
        self.detect.set_prior()

    def prepare(self) -> None:
        """Fuse the stem, so that the first layer is one convolution on the picture."""
        self.backbone.stem.fuse()

    def obey(self, module: Inert) -> tuple[str, ...]:
        """Do what a file's modules say, beside their tensors; gives what of it is not as published, in words.

        Raises:
            CheckpointError: it is of another layout.
        """
        return obey(self, innermost(described(module), "backbone.stem"))

    @staticmethod
    def arguments_of(state: Mapping[str, Tensor]) -> dict[str, int | float]:
        """Constructor arguments of the network whose state this is.

        Raises:
            CheckpointError: if these are weights of another architecture or release.
        """
        check_family(state, "YOLOv6 0.1.0")
        depth = depth_of([(base, 1 + num_blocks(state, f"{name}.block.")) for name, base in REPEATS.items()])
        if depth is None:
            raise CheckpointError("these weights belong to a YOLOv6 with another layout than n, t and s")
        width = state["backbone.ERBlock_5.0.rbr_dense.conv.weight"].shape[0] / CHANNELS[4]
        return {"num_classes": state["detect.cls_preds.0.weight"].shape[0], "depth": depth, "width": width}


def _folded(weight: Tensor, norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Kernel and bias (float64) of a convolution without bias followed by BatchNorm."""
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    return weight.double() * scale[:, None, None, None], norm.bias.double() - norm.running_mean.double() * scale
