"""Objects as layers of coloured polygons.

`layers` places an object in a picture: the object itself and, as a layer of its own, its companion. Proportions and
colours come from the object's seed alone, never from the context.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import numpy as np

from lcrp.data.scenes.objects import bird, boat, car, horse, kite, rider
from lcrp.data.scenes.scene import Companion, SceneObject
from lcrp.data.scenes.shapes import Shape, extent, moved, turned

BUILDERS: Mapping[str, Callable[[np.random.Generator], list[Shape]]] = MappingProxyType(
    {
        "boat": boat.shapes,
        "car": car.shapes,
        "kite": kite.shapes,
        "horse": horse.shapes,
        "rider": rider.shapes,
        "bird": bird.shapes,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """Shapes in pixels at one depth.

    Attributes:
        shapes: all of them, removed parts too: these shape the light on what is left.
        removed: names of the parts that are not drawn.
        depth: lower end in pixels; larger is nearer.
        is_object: False for a companion, which has neither instance mask nor box.
    """

    shapes: tuple[Shape, ...]
    removed: frozenset[str]
    depth: float
    is_object: bool

    @property
    def kept(self) -> tuple[Shape, ...]:
        """The shapes that are drawn."""
        return tuple(shape for shape in self.shapes if shape.part not in self.removed)


@lru_cache(maxsize=32)
def layers(item: SceneObject, size: int) -> tuple[Layer, ...]:
    """The object and its companions in pixels of a picture of side `size`, far ones first.

    The longer side of the object's box measures exactly `item.size * size` pixels.
    """
    shapes, around = _local(item.class_name, item.seed, item.flip, item.angle)
    low, high = extent(shapes)
    scale = item.size * size / float((high - low).max())
    x = item.x * size - scale * float(low[0] + high[0]) / 2
    y = item.foot * size - scale * float(high[1])
    depth = item.foot * size
    found = [_layer(item, moved(shapes, scale, x, y), depth, is_object=True)]
    if item.companion is not None:
        flyer = _flyer(item.companion, around, (x, y), size)
        found.append(_layer(item, flyer, item.companion.foot * size, is_object=False))
    elif around:
        found.append(_layer(item, moved(around, scale, x, y), depth - 0.5, is_object=False))
    return tuple(sorted(found, key=lambda layer: layer.depth))


def proportions(item: SceneObject) -> tuple[float, float]:
    """Width and height of the object's box, the longer one being 1."""
    low, high = extent(_local(item.class_name, item.seed, item.flip, item.angle)[0])
    width, height = (high - low) / (high - low).max()
    return float(width), float(height)


@lru_cache(maxsize=64)
def _local(class_name: str, seed: int, flip: bool, angle: float) -> tuple[tuple[Shape, ...], tuple[Shape, ...]]:
    """An object and its companion in the object's own coordinates; a kite's person stands upright."""
    generator = np.random.default_rng(seed)
    shapes = turned(BUILDERS[class_name](generator), flip, angle)
    around: list[Shape] = []
    if class_name == "horse":
        around = turned(horse.bar(generator), flip, angle)
    elif class_name == "kite":
        around = kite.person(generator)
    return tuple(shapes), tuple(around)


def _flyer(where: Companion, person: Iterable[Shape], kite_at: tuple[float, float], size: int) -> list[Shape]:
    """The person who flies a kite, turned to it, and the string."""
    height, foot = where.height * size, (where.x * size, where.foot * size)
    mirror = foot[0] > kite_at[0]
    hand = (foot[0] + (-1 if mirror else 1) * kite.HAND[0] * height, foot[1] + kite.HAND[1] * height)
    return [kite.string(kite_at, hand, 0.8 * size / 256), *moved(turned(person, mirror, 0.0), height, *foot)]


def _layer(item: SceneObject, shapes: Iterable[Shape], depth: float, *, is_object: bool) -> Layer:
    return Layer(shapes=tuple(shapes), removed=item.removed, depth=depth, is_object=is_object)
