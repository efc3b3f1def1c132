"""Descriptions of the published networks, as their files would hold them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from lcrp.models.layers import scaled_repeats
from lcrp.models.yolo.part import Part, Setting
from lcrp.models.yolo.tables import VERSIONS, Row, Size, Version

STRIDES = (8, 16, 32)
NUM_BINS = 16
NUM_PROTOTYPES = 32


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
            return conv(inputs, outputs, row.kernel, stride=row.stride)
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
    """C3, C2f, C2fCIB and C3k2."""
    hidden = int(outputs * row.expansion)
    inner = "c3k" if size.is_large and row.inner == "bottleneck" else row.inner
    if row.kind == "C3":
        return _cross_stage("C3", inputs, outputs, [bottleneck(hidden, hidden, add=row.add, kernel=1)] * repeats)
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
        "padding": (kernel - 1) // 2,
        "dilation": 1,
        "groups": groups,
    }
    return Part(kind="Conv2d", settings=settings, parameters=("weight", "bias") if bias else ("weight",))


def bottleneck(channels: int, hidden: int, *, add: bool, kernel: int = 3) -> Part:
    """Two convolutions, the second of which is 3x3."""
    parts = {"cv1": conv(channels, hidden, kernel), "cv2": conv(hidden, channels, 3)}
    return Part(kind="Bottleneck", settings={"add": add}, parts=parts)


def _c3k(inputs: int, outputs: int) -> Part:
    hidden = outputs // 2
    return _cross_stage("C3k", inputs, outputs, [bottleneck(hidden, hidden, add=True)] * 2)


def _cross_stage(kind: str, inputs: int, outputs: int, blocks: Sequence[Part]) -> Part:
    hidden = outputs // 2
    parts = {
        "cv1": conv(inputs, hidden),
        "cv2": conv(inputs, hidden),
        "cv3": conv(2 * hidden, outputs),
        "m": _list(blocks, "Sequential"),
    }
    return Part(kind=kind, parts=parts)


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
