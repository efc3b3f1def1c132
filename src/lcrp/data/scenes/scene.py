"""The full description of a picture, and the interventions on it.

Lengths are fractions of the picture's side; y points down.
"""

from dataclasses import dataclass, replace

from lcrp.data.scenes.names import COMPANIONS, CONTEXT_NAMES, PARTS
from lcrp.errors import DataError, nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """Light of a picture: side it comes from (-1 left, 1 right), brightness, warmth (-1 to 1)."""

    side: float
    gain: float
    warmth: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """One context texture, from its upper edge down to the next band.

    Attributes:
        context: one of CONTEXT_NAMES.
        top: height of the upper edge at the picture's middle; 0 for the first band.
        slope: rise of the edge over the picture's width.
        roughness: how far the edge wanders.
        horizon: height at which the ground vanishes; far above the picture for a steep view.
        seed: of colours, texture and small things that lie about.
    """

    context: str
    top: float
    slope: float
    roughness: float
    horizon: float
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Companion:
    """Where a kite's person stands: middle, foot and height."""

    x: float
    foot: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneObject:
    """One object and how it stands in the picture.

    Attributes:
        class_name: one of CLASS_NAMES.
        band: number of the band on which it stands (or in which it flies).
        x: middle of its box.
        foot: lower end of its box, also its depth: lower is nearer.
        size: longer side of its box when nothing hides it.
        flip: looks to the left.
        angle: rotation in degrees, anticlockwise.
        seed: of its colours, proportions and pose.
        companion: the person of a kite; None for other classes.
        removed: parts that are not drawn.
    """

    class_name: str
    band: int
    x: float
    foot: float
    size: float
    flip: bool
    angle: float
    seed: int
    companion: Companion | None = None
    removed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One picture: its bands from top to bottom, its objects, its light.

    Attributes:
        split: 'train' or 'val'.
        index: number in the split.
        size: side of the picture in pixels.
        light: of the whole picture.
        bands: at least one.
        objects: one to four, none after their removal.
    """

    split: str
    index: int
    size: int
    light: Light
    bands: tuple[Band, ...]
    objects: tuple[SceneObject, ...]

    def context_of(self, number: int) -> str:
        """Context on which object `number` stands."""
        return self.bands[self.objects[number].band].context


def with_context_swapped(scene: Scene, context: str, *, number: int | None = None) -> Scene:
    """The same objects at the same pixels over another context.

    Pixels of instance masks and of companions stay the same bit for bit; the context changes, and with it shadows and
    reflections.

    Args:
        scene: the picture.
        context: the new one.
        number: swap the band on which this object stands; None swaps every band.

    Raises:
        DataError: if there is no such context or object.
    """
    if context not in CONTEXT_NAMES:
        raise DataError(f"context '{context}' is unknown; choose from {nearest(context, CONTEXT_NAMES)}.")
    swapped = range(len(scene.bands)) if number is None else (object_of(scene, number).band,)
    bands = tuple(replace(band, context=context) if i in swapped else band for i, band in enumerate(scene.bands))
    return replace(scene, bands=bands)


def without_part(scene: Scene, number: int, part: str) -> Scene:
    """The same picture without one part or companion of object `number`.

    What is left of the object keeps its place, colour and light; what lay behind the part comes into view.

    Raises:
        DataError: if there is no such object, or its class has no such part.
    """
    changed = object_of(scene, number)
    parts = (*PARTS[changed.class_name], *COMPANIONS.get(changed.class_name, ()))
    if part not in parts:
        raise DataError(f"part '{part}' does not belong to a {changed.class_name}; choose from {nearest(part, parts)}.")
    changed = replace(changed, removed=changed.removed | {part})
    return replace(scene, objects=(*scene.objects[:number], changed, *scene.objects[number + 1 :]))


def without_object(scene: Scene, number: int) -> Scene:
    """The same picture without object `number` and its companions.

    Raises:
        DataError: if there is no such object.
    """
    object_of(scene, number)
    return replace(scene, objects=(*scene.objects[:number], *scene.objects[number + 1 :]))


def object_of(scene: Scene, number: int) -> SceneObject:
    """Object `number`; DataError if there is none."""
    if not 0 <= number < len(scene.objects):
        raise DataError(
            f"object {number} is not in picture '{scene.split}/{scene.index:05d}': it has {len(scene.objects)}, "
            "counted from 0."
        )
    return scene.objects[number]
