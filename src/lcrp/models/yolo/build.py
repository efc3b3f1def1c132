"""From a description to a network."""

from collections.abc import Callable, Mapping

from torch import nn

from lcrp.errors import CheckpointError
from lcrp.models.yolo import blocks, heads
from lcrp.models.yolo.part import Part

ACTIVATIONS: Mapping[str, Callable[[Part], nn.Module]] = {
    "Identity": lambda part: nn.Identity(),  # noqa: ARG005
    "SiLU": lambda part: nn.SiLU(),  # noqa: ARG005
    "ReLU": lambda part: nn.ReLU(),  # noqa: ARG005
    "ReLU6": lambda part: nn.ReLU6(),  # noqa: ARG005
    "Sigmoid": lambda part: nn.Sigmoid(),  # noqa: ARG005
    "Hardswish": lambda part: nn.Hardswish(),  # noqa: ARG005
    "Mish": lambda part: nn.Mish(),  # noqa: ARG005
    "GELU": lambda part: nn.GELU(str(part.settings.get("approximate", "none"))),
    "LeakyReLU": lambda part: nn.LeakyReLU(part.number("negative_slope")),
}
_BLOCKS: Mapping[str, Callable[[Part, blocks.Build], nn.Module]] = {
    "Conv": blocks.Conv,
    "DWConv": blocks.Conv,
    "Bottleneck": blocks.Bottleneck,
    "C2f": blocks.C2f,
    "C2fCIB": blocks.C2f,
    "C3k2": blocks.C2f,
    "C3": blocks.C3,
    "C3k": blocks.C3,
    "SPPF": blocks.SPPF,
    "Attention": blocks.Attention,
    "PSABlock": blocks.PSABlock,
    "C2PSA": blocks.C2PSA,
    "PSA": blocks.PSA,
    "SCDown": blocks.SCDown,
    "CIB": blocks.CIB,
    "RepVGGDW": blocks.RepVGGDW,
    "AAttn": blocks.AAttn,
    "ABlock": blocks.ABlock,
    "A2C2f": blocks.A2C2f,
    "Concat": blocks.Concat,
    "DFL": heads.DFL,
    "Detect": heads.Detect,
    "v10Detect": heads.Detect,
    "Segment": heads.Segment,
    "Segment26": heads.Segment,
    "Proto": heads.Proto,
    "Proto26": heads.Proto26,
    "SemanticSegment": heads.SemanticSegment,
}
UNUSED = ("aux_head", "semseg")  # parts of heads for training alone
MAX_POOLS = 16  # of a spatial pyramid
_MODES = ("nearest", "nearest-exact", "bilinear", "bicubic")  # of resizing
PIXEL_HEADS = ("SemanticSegment",)
HEADS = ("Detect", "v10Detect", "Segment", "Segment26", "SemanticSegment")


def build(part: Part) -> nn.Module:
    """The module that a description is of, with weights as torch makes them.

    Raises:
        CheckpointError: nothing here computes what it does; the message names the block.
    """
    if part.kind in ACTIVATIONS:
        return ACTIVATIONS[part.kind](part)
    if part.kind in _BLOCKS:
        _check(part)
        return _BLOCKS[part.kind](_without_unused(part), build)
    if part.kind in ("Sequential", "ModuleList"):
        made = [build(one) for one in part.parts.values()]
        return nn.Sequential(*made) if part.kind == "Sequential" else nn.ModuleList(made)
    make = _OF_TORCH.get(part.kind)
    if make is None:
        raise CheckpointError(f"the block {part.kind} is not known here")
    return make(part)


def _without_unused(part: Part) -> Part:
    if part.kind not in (*HEADS, "Proto26"):
        return part
    parts = {name: one for name, one in part.parts.items() if name not in UNUSED}
    return Part(kind=part.kind, settings=part.settings, parts=parts, parameters=part.parameters)


def _check(part: Part) -> None:
    """Whether a block has the parts that its kind has, so far as they decide what it computes."""
    if part.kind in ("C2f", "C3k2", "C2fCIB", "A2C2f") and part.parts.get("m", part).kind != "ModuleList":
        raise CheckpointError(f"the block {part.kind} has no list of blocks 'm'")
    if part.kind == "SPPF" and not 1 <= part.count("n", 3) <= MAX_POOLS:
        raise CheckpointError(f"SPPF pools {part.count('n', 3)} times; at most {MAX_POOLS} times is known here")
    if part.kind == "Concat" and part.count("d", 1) != 1:
        raise CheckpointError(f"Concat joins along axis {part.count('d', 1)}; only channels, axis 1, are joined here")


def _convolution(part: Part) -> nn.Module:
    if part.settings.get("padding_mode", "zeros") != "zeros":
        raise CheckpointError(f"a convolution pads by '{part.settings['padding_mode']}'; only zeros are known here")
    given = {name: part.pair(name) for name in ("kernel_size", "stride", "padding", "dilation")}
    return nn.Conv2d(
        part.count("in_channels"),
        part.count("out_channels"),
        groups=part.count("groups", 1),
        bias="bias" in part.parameters,
        **given,  # type: ignore[arg-type]
    )


def _transposed(part: Part) -> nn.Module:
    given = {name: part.pair(name) for name in ("kernel_size", "stride", "padding", "output_padding", "dilation")}
    return nn.ConvTranspose2d(
        part.count("in_channels"),
        part.count("out_channels"),
        groups=part.count("groups", 1),
        bias="bias" in part.parameters,
        **given,  # type: ignore[arg-type]
    )


def eps_of(part: Part) -> float:
    """What a BatchNorm adds to variances.

    Raises:
        CheckpointError: it is no small number.
    """
    eps = part.number("eps")
    if not 0 <= eps < 1:
        raise CheckpointError(f"{part.kind} says 'eps' is {eps}, and no small number")
    return eps


def _norm(part: Part) -> nn.Module:
    return nn.BatchNorm2d(part.count("num_features"), eps=eps_of(part), momentum=0.03)


def _max_pool(part: Part) -> nn.Module:
    given = {name: part.pair(name) for name in ("kernel_size", "stride", "padding", "dilation")}
    return nn.MaxPool2d(**given, ceil_mode=part.switch("ceil_mode"))  # type: ignore[arg-type]


def _upsample(part: Part) -> nn.Module:
    mode = str(part.settings.get("mode", "nearest"))
    if part.settings.get("size") is not None:
        raise CheckpointError(f"Upsample goes to the size {part.settings['size']}; only factors are known here")
    if mode not in _MODES:
        raise CheckpointError(f"Upsample says 'mode' is '{mode}'; known are {', '.join(_MODES)}")
    align = part.settings.get("align_corners") if mode in ("bilinear", "bicubic") else None
    return nn.Upsample(
        scale_factor=part.number("scale_factor"), mode=mode, align_corners=None if align is None else bool(align)
    )


_OF_TORCH: Mapping[str, Callable[[Part], nn.Module]] = {
    "Conv2d": _convolution,
    "ConvTranspose2d": _transposed,
    "BatchNorm2d": _norm,
    "MaxPool2d": _max_pool,
    "Upsample": _upsample,
    "UpsamplingNearest2d": _upsample,
    "UpsamplingBilinear2d": _upsample,
}
