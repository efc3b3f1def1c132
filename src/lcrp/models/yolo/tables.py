"""Layers of the published networks, for fresh ones and for state dicts, which do not tell of them.

Every row is one layer: its kind, channels and repetitions at width and depth 1, and the layers that it reads.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from lcrp.errors import ConfigError, nearest

Inner = Literal["bottleneck", "c3k", "attention"]
BEFORE = (-1,)
LARGE = 512  # most channels of scales that use C3k everywhere, and YOLOv8's that do so from l on


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One layer.

    Attributes:
        kind: name of its block.
        channels: of its output at width 1.
        repeats: of the block in it at depth 1.
        sources: layers that it reads, by number; -1 is the one before.
        kernel: of a convolution.
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
    kernel: int = 3
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


def _conv(channels: int, stride: int = 2, kernel: int = 3) -> Row:
    return Row(kind="Conv", channels=channels, stride=stride, kernel=kernel)


def _concat(*sources: int) -> Row:
    return Row(kind="Concat", sources=sources)


def _c3(channels: int, repeats: int = 3, *, add: bool = False) -> Row:
    return Row(kind="C3", channels=channels, repeats=repeats, add=add)


def _c2f(channels: int, repeats: int = 3, *, add: bool = False) -> Row:
    return Row(kind="C2f", channels=channels, repeats=repeats, add=add)


def _c3k2(channels: int, inner: Inner = "bottleneck", expansion: float = 0.5, repeats: int = 2) -> Row:
    return Row(kind="C3k2", channels=channels, repeats=repeats, add=True, inner=inner, expansion=expansion)


def _area(channels: int, repeats: int, area: int) -> Row:
    return Row(kind="A2C2f", channels=channels, repeats=repeats, area=area)


_UP = Row(kind="Upsample")
_SPPF = Row(kind="SPPF", channels=1024)
_ATTENTION = Row(kind="C2PSA", channels=1024, repeats=2)
_V5 = (
    _conv(64, kernel=6),
    _conv(128),
    _c3(128, add=True),
    _conv(256),
    _c3(256, 6, add=True),
    _conv(512),
    _c3(512, 9, add=True),
    _conv(1024),
    _c3(1024, add=True),
    _SPPF,
    _conv(512, 1, 1),
    _UP,
    _concat(-1, 6),
    _c3(512),
    _conv(256, 1, 1),
    _UP,
    _concat(-1, 4),
    _c3(256),
    _conv(256),
    _concat(-1, 14),
    _c3(512),
    _conv(512),
    _concat(-1, 10),
    _c3(1024),
)
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
_V5_SCALES = {
    "n": (0.33, 0.25, 1024),
    "s": (0.33, 0.5, 1024),
    "m": (0.67, 0.75, 1024),
    "l": (1.0, 1.0, 1024),
    "x": (1.33, 1.25, 1024),
}
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
    "5u": Version(rows=_V5, outputs=(17, 20, 23), scales=_V5_SCALES, is_light=False),  # YOLOv5 with YOLOv8's head
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
