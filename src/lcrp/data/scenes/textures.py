"""The five contexts as textures: water, road, grass, sky, sand.

Axes: H W rows and columns of a part of the picture. Colours are [H, W, 3] float32 in [0, 255]. Lengths are in pixels of
a picture of side 256. Ground lies in perspective: world coordinates (u, v) are the picture's, stretched by the depth z,
with z = 1 at the lower edge of the picture and u towards the right.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from lcrp.data.scenes.noise import Field, sampled
from lcrp.data.scenes.palette import between

Tones = tuple[tuple[float, float, float], tuple[float, float, float]]

WATER: tuple[Tones, ...] = (
    ((18, 62, 112), (92, 150, 190)),
    ((16, 88, 104), (110, 186, 190)),
    ((30, 60, 84), (120, 150, 168)),
    ((10, 70, 140), (80, 160, 214)),
    ((24, 84, 84), (110, 160, 146)),
)
GRASS: tuple[Tones, ...] = (
    ((38, 84, 28), (118, 164, 58)),
    ((52, 96, 34), (150, 176, 76)),
    ((30, 72, 34), (96, 146, 66)),
    ((84, 100, 40), (172, 176, 88)),
)
SAND: tuple[Tones, ...] = (
    ((184, 150, 102), (240, 216, 170)),
    ((200, 172, 128), (248, 232, 200)),
    ((170, 132, 88), (226, 190, 138)),
)
ROAD: tuple[Tones, ...] = (
    ((62, 62, 68), (116, 116, 120)),
    ((82, 80, 80), (138, 136, 132)),
    ((48, 50, 56), (98, 100, 106)),
)
SKY: tuple[Tones, ...] = (
    ((58, 118, 200), (184, 214, 238)),
    ((96, 150, 210), (220, 232, 240)),
    ((76, 104, 160), (244, 206, 170)),
    ((120, 146, 180), (214, 222, 228)),
    ((30, 90, 180), (150, 196, 232)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Coordinates of the pixels that are painted.

    Attributes:
        x: [1, W] column in units of a picture of side 256.
        y: [H, 1] row in the same units.
        horizon: row at which the ground vanishes.
        detail: [H, 1] how much fine detail is left at this distance, 1 = all.
        u: [H, W] world coordinate to the right, in texels.
        v: [H, 1] world coordinate away from the viewer, in texels.
    """

    x: Field
    y: Field
    horizon: float
    detail: Field
    u: Field
    v: Field


def view(x: Field, y: Field, horizon: float, generator: np.random.Generator) -> View:
    """Perspective of a ground plane with its horizon at the given row, at a random place in the world."""
    reach = 256.0 - horizon
    depth = reach / np.maximum(y - horizon, 1.5)  # [H, 1]
    place = generator.random(2) * 4096 + 8192
    return View(
        x=x,
        y=y,
        horizon=horizon,
        detail=np.minimum(depth**-0.6, 1.0),
        u=(x - 128) * depth + np.float32(place[0]),
        v=1.15 * reach * depth + np.float32(place[1]),
    )


def water(seen: View, generator: np.random.Generator) -> Field:
    """Waves with crests and glints, paler towards the horizon."""
    deep, light = _tones(generator, WATER)
    near = sampled("wave", seen.u, seen.v * 1.1)
    swell = sampled("wave", seen.u * 0.37 + 77, seen.v * 0.45 + 31)
    wave = (0.8 * near + 0.4 * swell) * (0.35 + 0.65 * seen.detail)
    haze = 1 - seen.detail
    tone = np.clip(0.36 + 0.17 * wave + 0.35 * haze, 0, 1.1)
    glint = np.maximum(near + 0.35 * swell - 1.7 + 0.5 * haze, 0) * between(generator, 30, 90)
    return _mix(deep, light, tone) + glint[..., None]


def road(seen: View, generator: np.random.Generator) -> Field:
    """Asphalt with patches, cracks and white or yellow lane marks."""
    dark, light = _tones(generator, ROAD)
    grain = sampled("grain", seen.u, seen.v) * seen.detail
    blot = sampled("cloud", seen.u * 0.5, seen.v * 0.5)
    colour = _mix(dark, light, np.clip(0.4 + 0.1 * grain + 0.13 * blot, 0, 1))
    crack = (np.abs(sampled("cloud", seen.u * 0.7 + 200, seen.v * 0.7 + 90)) < 0.03) & (seen.detail > 0.5)
    colour -= 22 * crack[..., None]
    period, width = between(generator, 95, 130), between(generator, 7, 10)
    yellow = generator.random() < 0.25
    across, along = np.mod(seen.v, period), np.mod(seen.u, 64.0)
    solid = np.mod(np.floor(seen.v / period), 3) == 0
    mark = (across < width) & (solid | (along < 38)) & (blot > -1.9)
    worn = 0.86 + 0.05 * grain[mark]
    colour[mark] = np.array((236, 196, 70) if yellow else (228, 228, 222), np.float32) * worn[:, None]
    return colour


def grass(seen: View, generator: np.random.Generator) -> Field:
    """Blades and clumps, now and then with flowers."""
    dark, light = _tones(generator, GRASS)
    blade = sampled("blade", seen.u, seen.v * 0.9) * (0.25 + 0.75 * seen.detail)
    clump = sampled("cloud", seen.u, seen.v)
    patch = sampled("patch", seen.u * 0.6, seen.v * 0.6)
    colour = _mix(dark, light, np.clip(0.4 + 0.17 * blade + 0.1 * clump + 0.09 * patch, 0, 1.1))
    if generator.random() < 0.4:
        flower = (sampled("grain", seen.u * 0.7, seen.v * 0.7) > 3.0) & (patch > 0) & (seen.detail > 0.35)
        petals = ((250, 250, 240), (246, 214, 60), (230, 110, 130), (150, 110, 210))
        colour[flower] = petals[int(generator.random() * len(petals))]
    return colour


def sand(seen: View, generator: np.random.Generator) -> Field:
    """Ripples, grains and pebbles."""
    dark, light = _tones(generator, SAND)
    grain = sampled("grain", seen.u, seen.v)
    dune = sampled("patch", seen.u * 0.8, seen.v * 0.8)
    cloud = sampled("cloud", seen.u, seen.v)
    bent = seen.v + 9 * dune + 5 * cloud + seen.u * between(generator, -0.15, 0.15)
    ripple = np.sin(bent * np.float32(2 * np.pi / between(generator, 13, 22)))
    strength = np.clip(0.5 + 0.5 * dune, 0.1, 1.2) * seen.detail**1.5
    tone = 0.56 + 0.1 * ripple * strength + 0.07 * grain * seen.detail + 0.07 * cloud
    colour = _mix(dark, light, np.clip(tone, 0, 1))
    pebble = (sampled("grain", seen.u * 0.5 + 99, seen.v * 0.5) > 3.1) & (seen.detail > 0.4)
    colour[pebble] *= between(generator, 0.5, 0.7)
    return colour


def sky(seen: View, generator: np.random.Generator) -> Field:
    """Blue to pale from top to bottom, with clouds that are lit from above."""
    high, low = _tones(generator, SKY)
    colour = _mix(high, low, np.clip(seen.y / 190, 0, 1) ** 0.8 + 0 * seen.x)
    squeeze = 1.5 + seen.y / 110  # [H, 1]
    place = generator.random(2) * 512
    x, y = seen.x * 0.8 + place[0], seen.y * squeeze * 0.8 + place[1]
    thick = sampled("cloud", x, y)
    lit = thick - sampled("cloud", x, y - 7)
    cover = np.clip((thick - between(generator, -0.2, 1.0)) * 0.8, 0, 1) * between(generator, 0.55, 0.95)
    white = np.clip(244 + 16 * lit, 190, 255)[..., None]
    colour += (white - colour) * cover[..., None]
    return colour


TEXTURES: Mapping[str, Callable[[View, np.random.Generator], Field]] = MappingProxyType(
    {"water": water, "road": road, "grass": grass, "sky": sky, "sand": sand}
)


def _tones(generator: np.random.Generator, tones: tuple[Tones, ...]) -> tuple[Field, Field]:
    """Dark and light tone of a random palette, slightly altered."""
    dark, light = np.asarray(tones[int(generator.random() * len(tones))], dtype=np.float32)
    shift = (generator.random(3) * 16 - 8).astype(np.float32)
    return dark + shift, light + shift


def _mix(first: Field, second: Field, share: npt.NDArray[np.floating]) -> Field:
    """Blend of two colours by a share [H, W]: [H, W, 3]."""
    return first + (second - first) * share.astype(np.float32)[..., None]
