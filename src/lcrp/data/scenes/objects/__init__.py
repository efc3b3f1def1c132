"""Objects as layers of coloured polygons.

`layers` places an object in a picture: the object itself and, as a layer of its own, its companion. Proportions and
colours come from the object's seed alone, never from the context.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from lcrp.data.scenes.objects import bird, boat, car, horse, kite, rider
from lcrp.data.scenes.scene import SceneObject
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
        shapes: without the removed parts.
        depth: lower end in pixels; larger is nearer.
        is_object: False for a companion, which has neither instance mask nor box.
    """

    shapes: tuple[Shape, ...]
    depth: float
    is_object: bool


def layers(item: SceneObject, size: int) -> tuple[Layer, ...]:
    """The object and its companions in pixels of a picture of side `size`, far ones first.

    The longer side of the object's box measures exactly `item.size * size` pixels.
    """
    generator = np.random.default_rng(item.seed)
    local = turned(BUILDERS[item.class_name](generator), item.flip, item.angle)
    low, high = extent(local)
    scale = item.size * size / float((high - low).max())
    x = item.x * size - scale * float(low[0] + high[0]) / 2
    y = item.foot * size - scale * float(high[1])
    found = [Layer(shapes=_kept(moved(local, scale, x, y), item), depth=item.foot * size, is_object=True)]
    companion = _companion(item, generator, size, (scale, x, y))
    if companion.shapes:
        found.append(companion)
    return tuple(sorted(found, key=lambda layer: layer.depth))


def _companion(
    item: SceneObject, generator: np.random.Generator, size: int, placed: tuple[float, float, float]
) -> Layer:
    scale, x, y = placed
    shapes: list[Shape] = []
    depth = item.foot * size - 0.5
    if item.class_name == "horse":
        shapes = moved(turned(horse.bar(generator), item.flip, item.angle), scale, x, y)
    if item.companion is not None:
        where, depth = item.companion, item.companion.foot * size
        height, mirror = where.height * size, where.x > item.x
        foot = (where.x * size, where.foot * size)
        hand = (foot[0] + (-1 if mirror else 1) * kite.HAND[0] * height, foot[1] + kite.HAND[1] * height)
        person = moved(turned(kite.person(generator), mirror, 0.0), height, *foot)
        shapes = [kite.string((x, y), hand, 1.3 * size / 256), *person]
    return Layer(shapes=_kept(shapes, item), depth=depth, is_object=False)


def _kept(shapes: list[Shape], item: SceneObject) -> tuple[Shape, ...]:
    return tuple(shape for shape in shapes if shape.part not in item.removed)
