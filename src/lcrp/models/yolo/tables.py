"""Layers of the published networks, for fresh ones and for state dicts, which do not tell of them.

Every row is one layer: its kind, channels and repetitions at width and depth 1, and the layers that it reads.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from lcrp.errors import ConfigError, nearest
from lcrp.models.layers import scaled_repeats
from lcrp.models.yolo.part import Part, Setting

Inner = Literal["bottleneck", "c3k", "attention"]
BEFORE = (-1,)
STRIDES = (8, 16, 32)
NUM_BINS = 16
NUM_PROTOTYPES = 32
LARGE = 512  # most channels of scales that use C3k everywhere, and YOLOv8's that do so from l on


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One layer.

    Attributes:
        kind: name of its block.
        channels: of its output at width 1.
        repeats: of the block in it at depth 1.
        sources: layers that it reads, by number; -1 is the one before.
        stride: of a convolution.
        add: whether its bottlenecks have residual sums.
        expansion: hidden channels of a C3k2 by those of its output.
        inner: what a C3k2 repeats at the scales n and s.
        area: areas of attention in an A2C2f; 0 for C3k in its place.
    """

    kind: str
    channels: int = 0
    repeats: int = 1
    sources: tuple[int, ...] = BEFORE
    stride: int = 1
    add: bool = False
    expansion: float = 0.5
    inner: Inner = "bottleneck"
    area: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """The networks of one version.

    Attributes:
        rows: the layers before the head.
        outputs: layers that the head reads.
        scales: name to depth, width and most channels at width 1.
        has_dfl: whether sides of boxes are expectations over bins.
        has_one_to_one: whether the head has one-to-one branches too.
        is_light: whether the branch of classes has depthwise convolutions.
        plain_pyramid: whether the spatial pyramid's first convolution has no activation and its input is added.
    """

    rows: tuple[Row, ...]
    outputs: tuple[int, int, int]
    scales: Mapping[str, tuple[float, float, int]]
    has_dfl: bool = True
    has_one_to_one: bool = False
    is_light: bool = True
    plain_pyramid: bool = False


def _conv(channels: int, stride: int = 2) -> Row:
    return Row(kind="Conv", channels=channels, stride=stride)


def _concat(*sources: int) -> Row:
    return Row(kind="Concat", sources=sources)


def _c2f(channels: int, repeats: int = 3, *, add: bool = False) -> Row:
    return Row(kind="C2f", channels=channels, repeats=repeats, add=add)


def _c3k2(channels: int, inner: Inner = "bottleneck", expansion: float = 0.5, repeats: int = 2) -> Row:
    return Row(kind="C3k2", channels=channels, repeats=repeats, add=True, inner=inner, expansion=expansion)


def _area(channels: int, repeats: int, area: int) -> Row:
    return Row(kind="A2C2f", channels=channels, repeats=repeats, area=area)


_UP = Row(kind="Upsample")
_SPPF = Row(kind="SPPF", channels=1024)
_ATTENTION = Row(kind="C2PSA", channels=1024, repeats=2)
_V8_BODY = (
    _conv(64),
    _conv(128),
    _c2f(128, add=True),
    _conv(256),
    _c2f(256, 6, add=True),
    _conv(512),
    _c2f(512, 6, add=True),
)
_V8 = (
    *_V8_BODY,
    _conv(1024),
    _c2f(1024, add=True),
    _SPPF,
    _UP,
    _concat(-1, 6),
    _c2f(512),
    _UP,
    _concat(-1, 4),
    _c2f(256),
    _conv(256),
    _concat(-1, 12),
    _c2f(512),
    _conv(512),
    _concat(-1, 9),
    _c2f(1024),
)
_V10 = (
    *_V8_BODY[:5],
    Row(kind="SCDown", channels=512),
    _c2f(512, 6, add=True),
    Row(kind="SCDown", channels=1024),
    _c2f(1024, add=True),
    _SPPF,
    Row(kind="PSA", channels=1024),
    _UP,
    _concat(-1, 6),
    _c2f(512),
    _UP,
    _concat(-1, 4),
    _c2f(256),
    _conv(256),
    _concat(-1, 13),
    _c2f(512),
    Row(kind="SCDown", channels=512),
    _concat(-1, 10),
    Row(kind="C2fCIB", channels=1024, repeats=3, add=True),
)


def _v11(neck: Inner, last: Row) -> tuple[Row, ...]:
    return (
        _conv(64),
        _conv(128),
        _c3k2(256, expansion=0.25),
        _conv(256),
        _c3k2(512, expansion=0.25),
        _conv(512),
        _c3k2(512, "c3k"),
        _conv(1024),
        _c3k2(1024, "c3k"),
        _SPPF,
        _ATTENTION,
        _UP,
        _concat(-1, 6),
        _c3k2(512, neck),
        _UP,
        _concat(-1, 4),
        _c3k2(256, neck),
        _conv(256),
        _concat(-1, 13),
        _c3k2(512, neck),
        _conv(512),
        _concat(-1, 10),
        last,
    )


_V12 = (
    *_v11("bottleneck", _UP)[:6],
    _area(512, 4, 4),
    _conv(1024),
    _area(1024, 4, 1),
    _UP,
    _concat(-1, 6),
    _area(512, 2, 0),
    _UP,
    _concat(-1, 4),
    _area(256, 2, 0),
    _conv(256),
    _concat(-1, 11),
    _area(512, 2, 0),
    _conv(512),
    _concat(-1, 8),
    _c3k2(1024, "c3k"),
)
_V8_SCALES = {
    "n": (0.33, 0.25, 1024),
    "s": (0.33, 0.5, 1024),
    "m": (0.67, 0.75, 768),
    "l": (1.0, 1.0, 512),
    "x": (1.0, 1.25, 512),
}
_V11_SCALES = {
    "p": (0.5, 0.125, 1024),  # of the embedded networks
    "n": (0.5, 0.25, 1024),
    "s": (0.5, 0.5, 1024),
    "m": (0.5, 1.0, 512),
    "l": (1.0, 1.0, 512),
    "x": (1.0, 1.5, 512),
}
VERSIONS: Mapping[str, Version] = {
    "8": Version(rows=_V8, outputs=(15, 18, 21), scales=_V8_SCALES, is_light=False),
    "10": Version(rows=_V10, outputs=(16, 19, 22), scales={"n": _V8_SCALES["n"]}, has_one_to_one=True),
    "11": Version(rows=_v11("bottleneck", _c3k2(1024, "c3k")), outputs=(16, 19, 22), scales=_V11_SCALES),
    "12": Version(rows=_V12, outputs=(14, 17, 20), scales={"n": _V11_SCALES["n"]}),
    "26": Version(
        rows=_v11("c3k", _c3k2(1024, "attention", repeats=1)),
        outputs=(16, 19, 22),
        scales=_V11_SCALES,
        has_dfl=False,
        has_one_to_one=True,
        plain_pyramid=True,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Depth, width, and the most channels at width 1."""

    depth: float
    width: float
    most: int

    def channels(self, base: int) -> int:
        """Of a layer of so many at width 1, rounded up to a multiple of 8."""
        return math.ceil(min(base, self.most) * self.width / 8) * 8

    @property
    def is_large(self) -> bool:
        """Whether every C3k2 repeats C3k."""
        return self.most <= LARGE


def size_of(version: str, scale: str) -> Size:
    """The size of a published scale.

    Raises:
        ConfigError: there is no such version or scale.
    """
    if version not in VERSIONS:
        raise ConfigError(f"model.network.version={version} is not known; nearest: {nearest(version, VERSIONS)}")
    scales = VERSIONS[version].scales
    if scale not in scales:
        raise ConfigError(
            f"model.network.scale={scale} is not known of YOLO {version}; nearest: {nearest(scale, scales)}"
        )
    depth, width, most = scales[scale]
    return Size(depth=depth, width=width, most=most)


def network_part(version: str, size: Size, num_classes: int, task: Literal["detect", "segment", "semantic"]) -> Part:
    """The description of a published network, as its file would hold it."""
    known = VERSIONS[version]
    rows = known.rows[: known.outputs[0] + 1] if task == "semantic" else known.rows
    layers: list[Part] = []
    channels: list[int] = []
    for number, row in enumerate(rows):
        inputs = [3] if number == 0 else [channels[source] for source in row.sources]
        outputs = size.channels(row.channels) if row.channels else sum(inputs)
        layers.append(_placed(_layer(known, row, size, inputs[0], outputs), row.sources))
        channels.append(outputs)
    read = (16, 13) if task == "semantic" else known.outputs
    head = _head(known, [channels[one] for one in read], num_classes, size, task)
    layers.append(_placed(head, read))
    return Part(kind="Sequential", parts={str(number): layer for number, layer in enumerate(layers)})


def _placed(part: Part, sources: Sequence[int]) -> Part:
    where: Setting = sources[0] if len(sources) == 1 else tuple(sources)
    return replace(part, settings={**part.settings, "f": where})


def _layer(known: Version, row: Row, size: Size, inputs: int, outputs: int) -> Part:
    repeats = scaled_repeats(row.repeats, size.depth)
    match row.kind:
        case "Conv":
            return conv(inputs, outputs, 3, stride=row.stride)
        case "Upsample":
            return Part(kind="Upsample", settings={"scale_factor": 2.0, "mode": "nearest"})
        case "Concat":
            return Part(kind="Concat", settings={"d": 1})
        case "SPPF":
            hidden = inputs // 2
            pool = Part(kind="MaxPool2d", settings={"kernel_size": 5, "stride": 1, "padding": 2, "dilation": 1})
            parts = {
                "cv1": conv(inputs, hidden, act=not known.plain_pyramid),
                "cv2": conv(4 * hidden, outputs),
                "m": pool,
            }
            return Part(kind="SPPF", settings={"n": 3, "add": known.plain_pyramid}, parts=parts)
        case "SCDown":
            parts = {
                "cv1": conv(inputs, outputs),
                "cv2": conv(outputs, outputs, 3, stride=2, groups=outputs, act=False),
            }
            return Part(kind="SCDown", parts=parts)
        case "C2PSA" | "PSA":
            half = outputs // 2
            parts = {"cv1": conv(inputs, 2 * half), "cv2": conv(2 * half, outputs)}
            if row.kind == "PSA":
                return Part(kind="PSA", parts={**parts, **_attention_block(half).parts})
            return Part(kind="C2PSA", parts={**parts, "m": _list([_attention_block(half)] * repeats, "Sequential")})
        case "A2C2f":
            return _area_block(row, inputs, outputs, repeats)
        case _:
            return _chain(row, size, inputs, outputs, repeats)


def _chain(row: Row, size: Size, inputs: int, outputs: int, repeats: int) -> Part:
    """C2f, C2fCIB and C3k2."""
    hidden = int(outputs * row.expansion)
    inner = "c3k" if size.is_large and row.inner == "bottleneck" else row.inner
    if row.kind == "C2f":
        block = bottleneck(hidden, hidden, add=row.add)
    elif row.kind == "C2fCIB":
        block = _cib(hidden, add=row.add)
    elif inner == "c3k":
        block = _c3k(hidden, hidden)
    elif inner == "attention":
        block = _list([bottleneck(hidden, hidden // 2, add=True), _attention_block(hidden)], "Sequential")
    else:
        block = bottleneck(hidden, hidden // 2, add=True)
    parts = {
        "cv1": conv(inputs, 2 * hidden),
        "cv2": conv((2 + repeats) * hidden, outputs),
        "m": _list([block] * repeats),
    }
    return Part(kind=row.kind, settings={"c": hidden}, parts=parts)


def _area_block(row: Row, inputs: int, outputs: int, repeats: int) -> Part:
    hidden = outputs // 2
    if row.area:
        attention = {
            "qkv": conv(hidden, 3 * hidden, act=False),
            "proj": conv(hidden, hidden, act=False),
            "pe": conv(hidden, hidden, 7, groups=hidden, act=False),
        }
        heads = hidden // 32
        settings = {"area": row.area, "num_heads": heads, "head_dim": hidden // heads}
        mlp = [conv(hidden, 2 * hidden), conv(2 * hidden, hidden, act=False)]
        one = Part(
            kind="ABlock",
            parts={"attn": Part(kind="AAttn", settings=settings, parts=attention), "mlp": _list(mlp, "Sequential")},
        )
        block = _list([one, one], "Sequential")
    else:
        block = _c3k(hidden, hidden)
    parts = {
        "cv1": conv(inputs, hidden),
        "cv2": conv((1 + repeats) * hidden, outputs),
        "m": _list([block] * repeats),
    }
    return Part(kind="A2C2f", parts=parts)


def conv(inputs: int, outputs: int, kernel: int = 1, *, stride: int = 1, groups: int = 1, act: bool = True) -> Part:
    """Convolution without bias, batch normalisation, activation."""
    parts = {
        "conv": convolution(inputs, outputs, kernel, stride=stride, groups=groups, bias=False),
        "bn": Part(kind="BatchNorm2d", settings={"num_features": outputs, "eps": 1e-3}, parameters=("weight", "bias")),
        "act": Part(kind="SiLU" if act else "Identity"),
    }
    return Part(kind="Conv", parts=parts)


def convolution(
    inputs: int, outputs: int, kernel: int = 1, *, stride: int = 1, groups: int = 1, bias: bool = True
) -> Part:
    """A convolution alone, which keeps the size at stride 1."""
    settings: dict[str, Setting] = {
        "in_channels": inputs,
        "out_channels": outputs,
        "kernel_size": kernel,
        "stride": stride,
        "padding": kernel // 2,
        "dilation": 1,
        "groups": groups,
    }
    return Part(kind="Conv2d", settings=settings, parameters=("weight", "bias") if bias else ("weight",))


def bottleneck(channels: int, hidden: int, *, add: bool) -> Part:
    """Two 3x3 convolutions."""
    parts = {"cv1": conv(channels, hidden, 3), "cv2": conv(hidden, channels, 3)}
    return Part(kind="Bottleneck", settings={"add": add}, parts=parts)


def _c3k(inputs: int, outputs: int) -> Part:
    hidden = outputs // 2
    parts = {
        "cv1": conv(inputs, hidden),
        "cv2": conv(inputs, hidden),
        "cv3": conv(2 * hidden, outputs),
        "m": _list([bottleneck(hidden, hidden, add=True)] * 2, "Sequential"),
    }
    return Part(kind="C3k", parts=parts)


def _cib(channels: int, *, add: bool) -> Part:
    wide = 2 * channels
    parts = {
        "conv": conv(wide, wide, 7, groups=wide, act=False),
        "conv1": conv(wide, wide, 3, groups=wide, act=False),
        "act": Part(kind="SiLU"),
    }
    chain = [
        conv(channels, channels, 3, groups=channels),
        conv(channels, wide),
        Part(kind="RepVGGDW", parts=parts),
        conv(wide, channels),
        conv(channels, channels, 3, groups=channels),
    ]
    return Part(kind="CIB", settings={"add": add}, parts={"cv1": _list(chain, "Sequential")})


def _attention_block(channels: int) -> Part:
    heads = max(channels // 64, 1)
    of_head = channels // heads
    keys = int(of_head * 0.5)
    attention = {
        "qkv": conv(channels, channels + 2 * keys * heads, act=False),
        "proj": conv(channels, channels, act=False),
        "pe": conv(channels, channels, 3, groups=channels, act=False),
    }
    settings = {"num_heads": heads, "key_dim": keys, "head_dim": of_head, "scale": keys**-0.5}
    feed = [conv(channels, 2 * channels), conv(2 * channels, channels, act=False)]
    parts = {
        "attn": Part(kind="Attention", settings=settings, parts=attention),
        "ffn": _list(feed, "Sequential"),
    }
    return Part(kind="PSABlock", settings={"add": True}, parts=parts)


def _list(parts: Sequence[Part], kind: str = "ModuleList") -> Part:
    return Part(kind=kind, parts={str(number): part for number, part in enumerate(parts)})


def _head(known: Version, channels: Sequence[int], num_classes: int, size: Size, task: str) -> Part:
    finest = channels[0]
    if task == "semantic":
        branch = [conv(finest, finest, 3), convolution(finest, num_classes)]
        return Part(
            kind="SemanticSegment", settings={"nc": num_classes}, parts={"classifier": _list(branch, "Sequential")}
        )
    bins = NUM_BINS if known.has_dfl else 1
    hidden, wide = max(16, finest // 4, 4 * bins), max(finest, min(num_classes, 100))
    boxes = [[conv(one, hidden, 3), conv(hidden, hidden, 3), convolution(hidden, 4 * bins)] for one in channels]
    branches = {
        "cv2": [_list(one, "Sequential") for one in boxes],
        "cv3": [_classes(one, wide, num_classes, is_light=known.is_light) for one in channels],
    }
    if task == "segment":
        narrow = max(finest // 4, NUM_PROTOTYPES)
        masks = [
            [conv(one, narrow, 3), conv(narrow, narrow, 3), convolution(narrow, NUM_PROTOTYPES)] for one in channels
        ]
        branches["cv4"] = [_list(one, "Sequential") for one in masks]
    parts = {name: _list(one) for name, one in branches.items()}
    if known.has_one_to_one:
        parts |= {f"one2one_{name}": one for name, one in list(parts.items())}
    if known.has_dfl:
        values = convolution(bins, 1, bias=False)
        parts["dfl"] = Part(kind="DFL", parts={"conv": values})
    if task == "segment":
        parts["proto"] = _prototypes(channels, size.channels(256), sums_levels=known.plain_pyramid)
    settings: dict[str, Setting] = {"nc": num_classes, "reg_max": bins, "stride": STRIDES}
    return Part(kind="Segment" if task == "segment" else "Detect", settings=settings, parts=parts)


def _classes(inputs: int, hidden: int, num_classes: int, *, is_light: bool) -> Part:
    last = convolution(hidden, num_classes)
    if not is_light:
        return _list([conv(inputs, hidden, 3), conv(hidden, hidden, 3), last], "Sequential")
    pairs = [_list([conv(one, one, 3, groups=one), conv(one, hidden)], "Sequential") for one in (inputs, hidden)]
    return _list([*pairs, last], "Sequential")


def _prototypes(channels: Sequence[int], hidden: int, *, sums_levels: bool) -> Part:
    finest, *coarser = channels
    settings: dict[str, Setting] = {
        "in_channels": hidden,
        "out_channels": hidden,
        "kernel_size": 2,
        "stride": 2,
        "padding": 0,
        "output_padding": 0,
        "dilation": 1,
    }
    parts = {
        "cv1": conv(hidden if sums_levels else finest, hidden, 3),
        "upsample": Part(kind="ConvTranspose2d", settings=settings, parameters=("weight", "bias")),
        "cv2": conv(hidden, hidden, 3),
        "cv3": conv(hidden, NUM_PROTOTYPES),
    }
    if sums_levels:
        parts["feat_refine"] = _list([conv(one, finest) for one in coarser])
        parts["feat_fuse"] = conv(finest, hidden, 3)
    return Part(kind="Proto26" if sums_levels else "Proto", parts=parts)
