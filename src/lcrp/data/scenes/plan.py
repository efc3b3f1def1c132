"""What is in a picture: decided from (split, index) alone, before anything is drawn.

The context c of an object and its class k are drawn so that P(c | k) = bias [c is k's own] + (1 - bias) / 5 and all
classes are equally likely. Objects share a layout of bands L: the layout is drawn for one context, P(L | c), and every
object's context from P(c | L) by Bayes' rule, its class from P(k | c); this leaves both marginals exactly as they were.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from lcrp.data.scenes.names import CLASS_NAMES, CONTEXT_NAMES, DRAWING_VERSION, OWN_CONTEXT
from lcrp.data.scenes.objects import layers, proportions
from lcrp.data.scenes.palette import between
from lcrp.data.scenes.scene import Band, Companion, Light, Scene, SceneObject
from lcrp.data.scenes.shapes import silhouette
from lcrp.errors import DataError, one_of, refuse, within

GOLDEN = (5**0.5 - 1) / 2
"""Step of the layouts from picture to picture: every run of pictures holds all of them in fair shares."""
SPLITS = {"train": 5000, "val": 500}
LAYOUTS: tuple[tuple[str, ...], ...] = (
    ("sky", "water"),
    ("sky", "grass"),
    ("sky", "road"),
    ("sky", "sand"),
    ("sky", "water", "sand"),
    ("sky", "grass", "road"),
    ("sky", "sand", "water"),
    ("sky", "grass", "water"),
    ("water",),
    ("grass",),
    ("road",),
    ("sand",),
    ("grass", "road"),
    ("water", "sand"),
    ("grass", "water"),
    ("sand", "road"),
)
SMALLEST, LARGEST = 0.085, 0.6
COUNTS = (0.16, 0.34, 0.3, 0.2)
WANT_OVERLAP = 0.68
TRIES = 14
LEAST_VISIBLE = 0.35
LEAST_PIXELS = 30
COARSE = 0.5


def plan(split: str, index: int, *, context_bias: float = 0.95, size: int = 256) -> Scene:
    """Decide what is in picture `index` of a split.

    Args:
        split: 'train' or 'val'.
        index: number in the split, from 0.
        context_bias: chance in [0, 1] that an object stands in its own context, else in any of the five.
        size: side of the picture in pixels.

    Returns:
        The full description of the picture; the same for the same arguments, everywhere.

    Raises:
        DataError: there is no such picture.
        ConfigError: there is no such split, or the bias is no probability.
    """
    check_settings(split, context_bias)
    if not 0 <= index < SPLITS[split]:
        raise DataError(f"scenes has no picture {index} in split '{split}': it counts from 0 to {SPLITS[split] - 1}.")
    generator = np.random.default_rng((list(SPLITS).index(split), index, DRAWING_VERSION))
    layout, wanted = _contents(generator, context_bias, turn=(index * GOLDEN + 0.5) % 1)
    bands = _bands(generator, layout, tuple(band for _, band in wanted))
    light = Light(
        side=1.0 if generator.random() < 0.5 else -1.0,
        gain=between(generator, 0.86, 1.08),
        warmth=between(generator, -1, 1),
    )
    objects = _Placement(generator, bands, size).place(wanted, overlap=bool(generator.random() < WANT_OVERLAP))
    return Scene(split=split, index=index, size=size, light=light, bands=bands, objects=objects)


def check_settings(split: str, context_bias: float) -> None:
    """Whether there are such pictures.

    Raises:
        ConfigError: there is no such split, or the bias is no probability.
    """
    refuse([*one_of("split", split, SPLITS), *within("context_bias", context_bias, 0, 1)])


def _contents(
    generator: np.random.Generator, bias: float, turn: float
) -> tuple[tuple[str, ...], list[tuple[str, int]]]:
    """The layout, chosen by `turn` in [0, 1) instead of by chance, and class and band of each object."""
    joint = np.array(
        [[bias * (OWN_CONTEXT[name] == context) + (1 - bias) / 5 for context in CONTEXT_NAMES] for name in CLASS_NAMES]
    ) / len(CLASS_NAMES)  # [K, contexts]
    holds = np.array([[context in layout for context in CONTEXT_NAMES] for layout in LAYOUTS], dtype=np.float64)
    by_context = joint.sum(0) * holds / holds.sum(0)  # [layouts, contexts] P(L, c)
    layout = _drawn(turn, by_context.sum(1))
    wanted = []
    for _ in range(_drawn(generator.random(), COUNTS) + 1):
        context = _drawn(generator.random(), by_context[layout])
        name = CLASS_NAMES[_drawn(generator.random(), joint[:, context])]
        wanted.append((name, LAYOUTS[layout].index(CONTEXT_NAMES[context])))
    return LAYOUTS[layout], wanted


def _drawn(uniform: float, weights: Sequence[float] | npt.NDArray[np.floating]) -> int:
    """Index drawn in proportion to the weights, by a number uniform in [0, 1)."""
    total = np.cumsum(weights)
    return int(min(np.searchsorted(total, uniform * total[-1], side="right"), len(total) - 1))


def _bands(generator: np.random.Generator, layout: tuple[str, ...], used: tuple[int, ...]) -> tuple[Band, ...]:
    """Heights of the bands: high skies for what flies, room for what stands in a middle band."""
    tops = [0.0]
    horizon = between(generator, -2.2, -0.5)
    if layout[0] == "sky":
        tops.append(between(generator, 0.44, 0.68) if 0 in used else between(generator, 0.14, 0.46))
        horizon = tops[1] - 0.02
    elif len(layout) > 1:
        tops.append(between(generator, 0.32, 0.62))
    if len(layout) > 2:
        room = 0.97 - tops[1]
        tops.append(tops[1] + room * between(generator, 0.34, 0.6))
    bands = []
    for number, (context, top) in enumerate(zip(layout, tops, strict=True)):
        far = number == 1 and layout[0] == "sky"
        tilt = 0.0 if far else between(generator, -0.08, 0.08)
        rough = {"water": 0.0, "grass": 0.008, "sand": 0.004}.get(context, 0.0) if far else 0.007
        if "road" in (context, layout[number - 1]) and not far:
            rough = 0.0
        bands.append(
            Band(
                context=context,
                top=top,
                slope=tilt,
                roughness=rough,
                horizon=-1.5 if context == "sky" else horizon,
                seed=int(generator.random() * 2**31),
            )
        )
    return tuple(bands)


class _Placement:
    """Finds room for objects, with silhouettes at a coarse scale."""

    def __init__(self, generator: np.random.Generator, bands: tuple[Band, ...], size: int) -> None:
        self._generator = generator
        self._bands = bands
        self._size = size
        self._objects: list[SceneObject] = []

    def place(self, wanted: list[tuple[str, int]], *, overlap: bool) -> tuple[SceneObject, ...]:
        """Objects that fit; those for which no room is found in many tries are left out."""
        largest = LARGEST - 0.06 * max(0, len(wanted) - 2)
        for name, band in wanted:
            size = SMALLEST + (largest - SMALLEST) * float(self._generator.beta(2.0, 2.2))
            look = self._look(name)
            for attempt in range(TRIES):
                near = overlap and bool(self._objects) and attempt < TRIES - 4
                item = self._stood(look, band, size, near)
                if self._fits(item, overlap=overlap, must=near):
                    self._objects.append(item)
                    break
                # Alone it was too small to see; among others it found no room.
                size = max(SMALLEST, size * 0.93) if self._objects else size * 1.2
        return tuple(self._objects)

    def _look(self, name: str) -> SceneObject:
        """An object with its pose and colours, not yet at its place."""
        generator = self._generator
        tilt = {"kite": 32.0, "boat": 7.0}.get(name, 3.0)
        return SceneObject(
            class_name=name,
            band=0,
            x=0.5,
            foot=0.5,
            size=SMALLEST,
            flip=bool(generator.random() < 0.5),
            angle=between(generator, -tilt, tilt),
            seed=int(generator.random() * 2**31),
        )

    def _stood(self, look: SceneObject, band: int, size: float, near: bool) -> SceneObject:
        """The object at a random place in its band: large ones mostly in front, on demand near another object."""
        generator = self._generator
        width, height = proportions(look)
        flies = self._bands[band].context == "sky"
        if flies:
            size = min(size, max((self._range(band, 0.5)[1] - 0.03) / height, SMALLEST))
        half, tall = 0.5 * size * width + 0.012, size * height + 0.012
        x = between(generator, half, 1 - half)
        if near:
            other = self._objects[int(generator.random() * len(self._objects))]
            x = min(max(other.x + between(generator, -0.5, 0.5) * (size + other.size), half), 1 - half)
        top, bottom = self._range(band, x)
        share = float(np.clip(0.75 * generator.random() + 0.55 * (size - SMALLEST) / LARGEST, 0, 1))
        foot = between(generator, min(tall, bottom), bottom) if flies else top + share * (bottom - top)
        foot = min(max(foot, tall), 0.985)
        companion = self._companion(x, foot, band) if look.class_name == "kite" else None
        return replace(look, band=band, x=x, foot=foot, size=size, companion=companion)

    def _range(self, band: int, x: float) -> tuple[float, float]:
        """Heights between which an object in the band has its foot, at column `x`."""
        edges = [item.top + item.slope * (x - 0.5) for item in self._bands]
        bottom = edges[band + 1] if band + 1 < len(edges) else 1.0
        return edges[band] + 0.02, bottom - 0.015

    def _companion(self, x: float, foot: float, band: int) -> Companion:
        generator = self._generator
        ground = self._bands[min(band + 1, len(self._bands) - 1)].top + 0.06
        stand = min(max(foot + 0.08, between(generator, ground, 0.98)), 0.98)
        side = 1 if (generator.random() < 0.5) == (x < 0.7) or x < 0.3 else -1
        where = min(max(x + side * between(generator, 0.1, 0.34), 0.05), 0.95)
        return Companion(x=where, foot=stand, height=between(generator, 0.13, 0.17) + 0.1 * max(0.0, stand - 0.7))

    def _fits(self, item: SceneObject, *, overlap: bool, must: bool) -> bool:
        """Whether all objects stay visible enough, and overlap as is wished."""
        objects = [*self._objects, item]
        placed = [(*found, n) for n, other in enumerate(objects) for found in _silhouettes(other, self._size)]
        placed.sort(key=lambda found: found[1])
        owner = np.full(placed[0][0].shape, -1)
        for mask, _, is_object, number in placed:
            owner[mask] = number if is_object else -1
        full = {number: mask for mask, _, is_object, number in placed if is_object}
        for number, mask in full.items():
            visible = int((owner == number).sum())
            if visible < LEAST_VISIBLE * int(mask.sum()) or visible < LEAST_PIXELS:
                return False
        touching = any(bool((full[len(objects) - 1] & full[n]).any()) for n in range(len(objects) - 1))
        return touching if must else overlap or not touching


@lru_cache(maxsize=16)
def _silhouettes(item: SceneObject, size: int) -> tuple[tuple[npt.NDArray[np.bool_], float, bool], ...]:
    """Coarse mask, depth and kind of each of an object's layers."""
    side = round(size * COARSE)
    return tuple((silhouette(layer.kept, side, COARSE), layer.depth, layer.is_object) for layer in layers(item, size))
