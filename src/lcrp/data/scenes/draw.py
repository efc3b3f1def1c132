"""A scene as pixels, with its ground truth.

Axes: N object, H W picture. Every pixel of a mask is opaque and depends on its object, its place and the picture's
light alone; shadows and reflections fall on the context only. So objects keep their pixels when the context is swapped.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from lcrp.data.scenes.background import Context, background
from lcrp.data.scenes.names import CLASS_NAMES, CONTEXT_NAMES, PART_NAMES
from lcrp.data.scenes.noise import Field, tile
from lcrp.data.scenes.objects import layers
from lcrp.data.scenes.scene import Light, Scene
from lcrp.data.scenes.shapes import Sprite, rasterise

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A picture and all that is known of it.

    Attributes:
        image: [H, W, 3] uint8 RGB.
        numbers: [N] the scene's object behind each row; objects of which nothing is visible are left out.
        boxes: [N, 4] float32 xyxy in pixels, tight around the mask.
        labels: [N] int64, index into CLASS_NAMES.
        masks: [N, H, W] bool, visible pixels of each object.
        class_mask: [H, W] int64, 0 background, 1 + label elsewhere.
        parts: visible pixels of parts and companions by name, over all objects; absent ones are left out.
        context: [H, W] int64, index into CONTEXT_NAMES of the texture behind the objects.
    """

    image: npt.NDArray[np.uint8]
    numbers: tuple[int, ...]
    boxes: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    masks: Mask
    class_mask: npt.NDArray[np.int64]
    parts: Mapping[str, Mask]
    context: Context


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placed:
    """A layer as pixels: what is drawn of it, its light [h, w], whose it is (-1 for a companion), its depth."""

    sprite: Sprite
    shade: Field
    number: int
    depth: float


def draw(scene: Scene) -> Drawing:
    """Draw a scene.

    Args:
        scene: from `plan`, or an intervention on one.

    Returns:
        The picture with boxes, masks, parts and context; the same bytes for the same scene.
    """
    picture, context = background(scene)
    placed = _placed(scene)
    for item in placed:
        _ground(item, picture, context, scene.light)
    owner = np.full(context.shape, -1, dtype=np.int64)
    part = np.full(context.shape, -1, dtype=np.int64)
    for item in placed:
        window, sprite = item.sprite.window, item.sprite
        colour = np.clip(sprite.colour * item.shade[..., None], 0, 255)
        alpha = sprite.alpha[..., None]
        picture[window] = picture[window] * (1 - alpha) + colour * alpha
        owner[window][sprite.mask] = item.number
        numbers = np.array([PART_NAMES.index(name) for name in sprite.part_names])
        part[window][sprite.mask] = numbers[sprite.parts[sprite.mask]]
    return _drawing(scene, _finished(picture, scene), owner, part, context)


def _placed(scene: Scene) -> list[_Placed]:
    """All layers of a scene, far ones first."""
    found = []
    for number, item in enumerate(scene.objects):
        for layer in layers(item, scene.size):
            sprite = whole = rasterise(layer.shapes, scene.size)
            if layer.removed:
                sprite = rasterise(layer.shapes, scene.size, layer.removed)
            if sprite is not None and whole is not None:
                owner = number if layer.is_object else -1
                shade = _relief(whole, scene.light)
                found.append(_Placed(sprite=sprite, shade=shade, number=owner, depth=layer.depth))
    return sorted(found, key=lambda item: item.depth)


def _ground(item: _Placed, picture: Field, context: Context, light: Light) -> None:
    """Join a layer to what it stands on: a reflection in water, a shadow on the ground, nothing in the sky."""
    size = context.shape[0]
    sprite = item.sprite
    column = min(size - 1, sprite.left + sprite.mask.shape[1] // 2)
    surface = CONTEXT_NAMES[context[min(size - 1, max(0, int(item.depth) - 1)), column]]
    if surface == "water":
        _reflect(sprite, round(item.depth), picture, context)
    elif surface != "sky":
        _shade(sprite, item.depth, picture, light)


def _reflect(sprite: Sprite, foot: int, picture: Field, context: Context) -> None:
    """Mirror a sprite in the water below its foot, dim and wavering."""
    size = context.shape[0]
    height = min(int(sprite.mask.shape[0] * 0.8), size - foot)
    if height <= 0:
        return
    rows = np.arange(height)
    source = np.clip(foot - sprite.top - 1 - (rows * 1.25).astype(np.int64), 0, sprite.mask.shape[0] - 1)
    shift = np.round(1.6 * np.sin(rows * 0.9) + 0.8 * np.sin(rows * 0.37 + 1)).astype(np.int64)
    width = sprite.mask.shape[1]
    columns = np.clip(np.arange(width)[None, :] + shift[:, None], 0, width - 1)
    window = (slice(foot, foot + height), slice(sprite.left, sprite.left + width))
    alpha = sprite.alpha[source[:, None], columns] * (context[window] == CONTEXT_NAMES.index("water"))
    alpha = alpha * (0.5 * (1 - rows / height)[:, None])
    colour = sprite.colour[source[:, None], columns] * np.array((0.6, 0.75, 0.85), dtype=np.float32)
    picture[window] += (colour - picture[window]) * alpha[..., None].astype(np.float32)


def _shade(sprite: Sprite, foot: float, picture: Field, light: Light) -> None:
    """Darken the ground around the foot, longer on the side away from the light."""
    size = picture.shape[0]
    covered = np.flatnonzero(sprite.mask[-max(4, sprite.mask.shape[0] // 5) :].any(0))
    if not covered.size:
        return
    reach = max(0.6 * (covered[-1] - covered[0] + 1), 2.0)
    middle = sprite.left + (covered[0] + covered[-1]) / 2 - 0.3 * light.side * reach
    depth = max(0.16 * reach, 1.5)
    top, bottom = max(0, int(foot - depth - 2)), min(size, int(foot + depth + 2))
    y = (np.arange(top, bottom)[:, None] + 0.5 - foot + 0.3 * depth) / depth
    x = (np.arange(size)[None, :] + 0.5 - middle) / reach
    dark = np.clip(1.15 - x**2 - y**2, 0, 1) ** 0.7
    picture[top:bottom] *= (1 - 0.5 * dark).astype(np.float32)[..., None]


def _relief(sprite: Sprite, light: Light) -> Field:
    """Light that gives flat colours volume [h, w]: bright on the side of the light, dark below; 1 on average."""
    height, width = sprite.mask.shape
    radius = max(1.0, 0.035 * max(height, width))
    flat = Image.fromarray((sprite.alpha * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(radius))
    slope_y, slope_x = np.gradient(np.asarray(flat, dtype=np.float32) / 255)
    bevel = (light.side * -slope_x + slope_y * 1.0) * radius * 0.55
    fall = np.linspace(0.07, -0.1, height, dtype=np.float32)[:, None]
    grain = 0.025 * tile("grain")[:height, :width]
    shade: Field = 1 + np.clip(bevel, -0.3, 0.3) + fall + grain
    return shade.astype(np.float32)


def _finished(picture: Field, scene: Scene) -> npt.NDArray[np.uint8]:
    """Apply the light, a faint vignette and the grain of a camera: pixel by pixel, the same whatever was drawn."""
    size, light = scene.size, scene.light
    place = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    vignette = 1 - 0.28 * (place[:, None] ** 2 + place[None, :] ** 2)
    tint = np.array((1 + 0.06 * light.warmth, 1, 1 - 0.08 * light.warmth), dtype=np.float32) * light.gain
    row, column = (scene.index * 37) % 256, (scene.index * 91) % 256
    grain = tile("grain")[row : row + size, column : column + size]
    image = picture * (vignette[..., None] * tint) + (2.2 * grain + 0.5)[..., None]
    return np.clip(image, 0, 255, out=image).astype(np.uint8)


def _drawing(scene: Scene, image: npt.NDArray[np.uint8], owner: Context, part: Context, context: Context) -> Drawing:
    """Derive boxes, masks and labels from who owns each pixel."""
    numbers = tuple(number for number in range(len(scene.objects)) if (owner == number).any())
    masks = np.stack([owner == number for number in numbers]) if numbers else np.zeros((0, *owner.shape), np.bool_)
    labels = np.array([CLASS_NAMES.index(scene.objects[number].class_name) for number in numbers], dtype=np.int64)
    class_mask = np.zeros(owner.shape, dtype=np.int64)
    for mask, label in zip(masks, labels, strict=True):
        class_mask[mask] = label + 1
    present = np.flatnonzero(np.bincount(part.ravel() + 1, minlength=len(PART_NAMES) + 1)[1:])
    return Drawing(
        image=image,
        numbers=numbers,
        boxes=np.array([_box(mask) for mask in masks], dtype=np.float32).reshape(-1, 4),
        labels=labels,
        masks=masks,
        class_mask=class_mask,
        parts={PART_NAMES[i]: part == i for i in present.tolist()},
        context=context,
    )


def _box(mask: Mask) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
