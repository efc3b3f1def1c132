"""Interventions that make an object harder to find: smaller, behind another one, beside one of its kind.

Lengths are fractions of the picture's side. Other objects keep their numbers and all that is told of them; the new one
comes last.
"""

from dataclasses import replace

from lcrp.data.scenes.names import CLASS_NAMES, COMPANIONS
from lcrp.data.scenes.objects import proportions
from lcrp.data.scenes.scene import Scene, SceneObject, object_of
from lcrp.errors import DataError, nearest, refuse, within

NEARER = 0.01  # how much further down a nearer object stands
LOWEST = 0.99
SEEDS = 1_000_003  # between an object's looks and those of the one beside it


def smaller(scene: Scene, number: int, factor: float) -> Scene:
    """The same picture with object `number` as large as `factor` times, its foot at the same place.

    Args:
        scene: the picture.
        number: of the object.
        factor: above 0, at most 1.

    Raises:
        DataError: there is no such object.
        ConfigError: there is no such factor.
    """
    nothing = ["factor=0 leaves nothing; take without_object"] if not factor else []
    refuse([*within("factor", factor, 0, 1), *nothing])
    changed = object_of(scene, number)
    changed = replace(changed, size=changed.size * factor)
    return replace(scene, objects=(*scene.objects[:number], changed, *scene.objects[number + 1 :]))


def occluded_by(scene: Scene, number: int, class_name: str, *, cover: float = 0.5) -> Scene:
    """The same picture with another object in front of object `number`, as large and without companions.

    Args:
        scene: the picture.
        number: of the object behind.
        class_name: of the one in front.
        cover: share of the width of the object behind that the box of the one in front covers, as far as there is room.

    Raises:
        DataError: there is no such object, or no such class.
        ConfigError: there is no such share.
    """
    refuse(list(within("cover", cover, 0, 1)))
    behind = object_of(scene, number)
    if class_name not in CLASS_NAMES:
        raise DataError(f"class '{class_name}' is unknown; choose from {nearest(class_name, CLASS_NAMES)}.")
    front = replace(
        behind,
        class_name=class_name,
        foot=min(behind.foot + NEARER, LOWEST),
        angle=0.0,
        seed=behind.seed + SEEDS,
        companion=None,
        removed=frozenset(COMPANIONS.get(class_name, ())),
    )
    step = max(0.0, (_width(behind) + _width(front)) / 2 - cover * _width(behind))
    return replace(scene, objects=(*scene.objects, _aside(front, behind.x, step)))


def beside_same_class(scene: Scene, number: int, *, shift: float = 0.4) -> Scene:
    """The same picture with another object of its class beside object `number`, as large and a little nearer.

    Args:
        scene: the picture.
        number: of the object.
        shift: between the two, in widths of the object, as far as there is room; two boxes of one size have an IoU of
            (1 - shift) / (1 + shift), were the one behind seen whole.

    Raises:
        DataError: there is no such object.
        ConfigError: there is no such shift.
    """
    refuse(list(within("shift", shift, 0, 1)))
    behind = object_of(scene, number)
    front = replace(behind, foot=min(behind.foot + NEARER, LOWEST), seed=behind.seed + SEEDS)
    placed = _aside(front, behind.x, shift * _width(behind))
    if placed.companion is not None:
        x = _inside(placed.companion.x + placed.x - behind.x, 0.1)
        placed = replace(placed, companion=replace(placed.companion, x=x))
    return replace(scene, objects=(*scene.objects, placed))


def _width(item: SceneObject) -> float:
    return item.size * proportions(item)[0]


def _aside(item: SceneObject, x: float, step: float) -> SceneObject:
    """The object so far from a column `x`, to the side where there is more room."""
    return replace(item, x=_inside(x + (step if x < 0.5 else -step), _width(item)))


def _inside(x: float, width: float) -> float:
    return min(max(x, width / 2), 1 - width / 2)
