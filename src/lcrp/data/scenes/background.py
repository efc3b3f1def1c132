"""The picture behind the objects: bands of context, their edges, small things that lie about.

Axes: H W picture. Colours are [H, W, 3] float32 in [0, 255].
"""

import numpy as np
import numpy.typing as npt

from lcrp.data.scenes.names import CONTEXT_NAMES
from lcrp.data.scenes.noise import Field, tile
from lcrp.data.scenes.palette import between, shaded
from lcrp.data.scenes.scene import Band, Scene
from lcrp.data.scenes.shapes import Colour, Shape, ellipse, moved, polygon, rasterise, smooth, stroke
from lcrp.data.scenes.textures import TEXTURES, view

Context = npt.NDArray[np.int64]
MOST_THINGS = 3


def edge(band: Band, size: int) -> npt.NDArray[np.float64]:
    """Row at which a band begins, for every column: [W], in pixels."""
    columns = (np.arange(size) + 0.5) / size - 0.5
    profile = tile("cloud")[band.seed % 512, :size] + 0.35 * tile("grain")[band.seed % 512, :size]
    return (band.top + band.slope * columns + band.roughness * profile) * size


def background(scene: Scene) -> tuple[Field, Context]:
    """Paint the contexts of a scene.

    Returns:
        The picture without objects [H, W, 3], and the index into CONTEXT_NAMES at every pixel [H, W].
    """
    size = scene.size
    picture = np.zeros((size, size, 3), dtype=np.float32)
    context = np.zeros((size, size), dtype=np.int64)
    rows = np.arange(size, dtype=np.float32)[:, None] + 0.5
    for number, band in enumerate(scene.bands):
        below = rows - edge(band, size).astype(np.float32) if number else np.full((size, size), 9e3, np.float32)
        first = int(np.argmax((below > -4).any(1)))
        following = scene.bands[number + 1] if number + 1 < len(scene.bands) else None
        last = size if following is None else min(size, int(edge(following, size).max()) + 6)
        window = slice(first, max(last, first + 1))
        colour = _textured(band, size, window)
        if number:
            colour = _seamed(scene.bands[number - 1].context, band.context, below[window], colour)
        cover = np.clip(below[window] + 0.5, 0, 1)[..., None]
        picture[window] += (colour - picture[window]) * cover
        context[below > 0] = CONTEXT_NAMES.index(band.context)
    for number in range(len(scene.bands)):
        _scatter(scene, number, picture, context)
    return picture, context


def _textured(band: Band, size: int, window: slice) -> Field:
    """A band's texture in some rows of the picture."""
    generator = np.random.default_rng(band.seed)
    unit = np.float32(256 / size)
    x = (np.arange(size, dtype=np.float32)[None, :] + 0.5) * unit
    y = (np.arange(window.start, window.stop, dtype=np.float32)[:, None] + 0.5) * unit
    return TEXTURES[band.context](view(x, y, band.horizon * 256, generator), generator)


def _seamed(upper: str, lower: str, below: Field, colour: Field) -> Field:
    """Mark the upper edge of a band: foam at a shore, a kerb at a road, a dark hem in the distance."""
    noise = tile("cloud")[: below.shape[0], : below.shape[1]]
    if upper == "sky" or lower == "sky":
        hem = np.exp(-np.maximum(below, 0) / (9 if lower == "grass" else 4))
        strength = 0.45 if lower == "grass" else 0.12
        return colour * (1 - strength * hem)[..., None]
    if "water" in (upper, lower):
        foam = np.clip(1 - np.abs(below - 3 - 1.5 * noise) / 3, 0, 1)
        wet = np.exp(-np.maximum(below, 0) / 14) * (0.25 if upper == "water" else 0.0)
        colour = colour * (1 - wet)[..., None]
        return colour + (240 - colour) * (0.75 * foam)[..., None]
    if "road" in (upper, lower):
        kerb = np.clip(2.6 - np.abs(below - 2), 0, 1)[..., None]
        return colour + (np.float32(188) - colour) * kerb
    return colour


def _scatter(scene: Scene, number: int, picture: Field, context: Context) -> None:
    """Lay trees, buoys, drain covers or rocks on a band, at random; they belong to the context."""
    band, size = scene.bands[number], scene.size
    if band.context == "sky":
        return
    generator = np.random.default_rng((band.seed, 1))
    top = band.top if number else 0.06
    bottom = scene.bands[number + 1].top if number + 1 < len(scene.bands) else 1.0
    for _ in range(int(generator.random() * (MOST_THINGS + 1) * (0.5 + bottom - top))):
        share = float(generator.random())
        foot = top + 0.02 + share * max(bottom - top - 0.04, 0.0)
        near = np.clip((foot - band.horizon) / (1 - band.horizon), 0.15, 1)
        height = between(generator, 0.05, 0.1) * float(near)
        place = (between(generator, 0, size), foot * size)
        sprite = rasterise(moved(_thing(band.context, generator), height * size, *place), size)
        if sprite is None:
            continue
        here = (context[sprite.window] == CONTEXT_NAMES.index(band.context)) | (band.context == "grass")
        alpha = (sprite.alpha * here)[..., None]
        picture[sprite.window] += (sprite.colour - picture[sprite.window]) * alpha
        context[sprite.window][alpha[..., 0] >= 1] = CONTEXT_NAMES.index(band.context)


def _thing(context: str, generator: np.random.Generator) -> list[Shape]:
    """One small thing that belongs to a context, of height 1 with its foot at the origin."""
    if context == "grass":
        green: Colour = shaded((46, 96, 40), between(generator, 0.8, 1.3))
        shapes = [(stroke(polygon((0, 0), (0, -0.5)), 0.14), (92, 66, 44))] if generator.random() < 0.5 else []
        lift = 0.35 if shapes else 0.0
        leaves = ((-0.3, 0.1, 0.34, 0.75), (0.3, 0.08, 0.36, 0.85), (0, -0.12, 0.42, 1.0), (-0.1, -0.22, 0.2, 1.25))
        shapes += [(ellipse(x, y - 0.4 - lift, radius), shaded(green, tone)) for x, y, radius, tone in leaves]
    elif context == "water":
        shapes = [
            (smooth((-0.3, 0), (-0.2, -0.5), (0.2, -0.5), (0.3, 0)), (226, 70, 40)),
            (stroke(polygon((-0.22, -0.25), (0.22, -0.25)), 0.14), (244, 240, 232)),
            (stroke(polygon((0, -0.5), (0, -0.9)), 0.1), (60, 60, 64)),
        ]
    elif context == "road":
        shapes = [
            (ellipse(0, 0, 0.75, 0.24), (48, 48, 52)),
            (ellipse(0, -0.01, 0.62, 0.18), (76, 76, 80)),
            (stroke(polygon((-0.4, -0.01), (0.4, -0.01)), 0.05), (44, 44, 48)),
        ]
    else:
        grey = shaded((142, 130, 116), between(generator, 0.7, 1.15))
        shapes = [
            (
                smooth((-0.7, 0.02), (-0.55, -0.4), (-0.1, -0.62), (0.4, -0.45), (0.7, 0.0), (0, 0.1)),
                shaded(grey, 0.75),
            ),
            (smooth((-0.5, -0.2), (-0.35, -0.45), (0.0, -0.55), (0.3, -0.4), (0.0, -0.25)), shaded(grey, 1.15)),
        ]
    return [Shape(part="thing", points=points, colour=colour) for points, colour in shapes]
