"""Colours of heatmaps: a transparent scale laid over a faded picture.

Axes: H W picture. Pictures are [H, W, 3] in [0, 1].
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from lcrp.values.explanation import Mask, Picture

Array = npt.NDArray[np.floating]
Scale = Literal["diverging", "sequential"]

OBJECT = "#ffc400"  # the explained object, in every panel
OUTSIDE = "#8a94a3"  # what is not the object
INK = "#1a1d21"
FAINT = "#6d747e"
EMPTY = "#eef0f2"
HIT = "#1a7f37"
ALARM = "#b42318"

_LUMINANCE = np.array([0.299, 0.587, 0.114])
_RAMPS = {  # weak to strong
    "positive": np.array([[0.99, 0.62, 0.52], [0.93, 0.16, 0.14], [0.60, 0.00, 0.09]]),
    "negative": np.array([[0.58, 0.77, 0.97], [0.14, 0.42, 0.86], [0.05, 0.14, 0.50]]),
    "activation": np.array([[0.62, 0.88, 0.72], [0.05, 0.60, 0.50], [0.00, 0.26, 0.31]]),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shading:
    """How a heatmap is turned into colour.

    Attributes:
        scale: 'diverging' (red for, blue against) or 'sequential' (positive values only).
        limit: value that gets the full colour; 0 for a map without any.
    """

    scale: Scale
    limit: float


def shading(heatmap: Array, scale: Scale) -> Shading:
    """Shading whose limit is the 99th percentile of the map's visible values.

    The very largest pixels of a heatmap are often single ones; scaling by them would hide the rest. Pixels below
    a hundredth of the maximum do not count, so that a small spot in an empty map keeps its shades.
    """
    size = np.maximum(heatmap, 0.0) if scale == "sequential" else np.abs(heatmap)
    top = float(size.max(initial=0.0))
    if not top > 0.0:
        return Shading(scale=scale, limit=0.0)
    return Shading(scale=scale, limit=float(np.percentile(size[size >= 0.01 * top], 99.0)))


def normalised(heatmap: Array, shade: Shading) -> Array:
    """Heatmap in units of the limit, clipped to [-1, 1] (or [0, 1] if sequential)."""
    if shade.limit == 0.0:
        return np.zeros_like(heatmap, dtype=np.float64)
    low = 0.0 if shade.scale == "sequential" else -1.0
    return np.clip(np.asarray(heatmap, dtype=np.float64) / shade.limit, low, 1.0)


def faded(picture: Picture) -> Array:
    """Picture in light grey, a quiet ground for colour."""
    grey = np.asarray(picture, dtype=np.float64) @ _LUMINANCE
    return np.repeat((0.50 + 0.46 * np.clip(grey, 0.0, 1.0))[..., None], 3, axis=-1)


def overlay(picture: Picture, heatmap: Array, shade: Shading) -> Array:
    """Heatmap laid over the faded picture, [H, W, 3]."""
    return blended(faded(picture), normalised(heatmap, shade), shade.scale)


def blended(ground: Array, value: Array, scale: Scale) -> Array:
    """Colour of values in [-1, 1] over a ground [..., 3]: the stronger, the more opaque."""
    strength = np.abs(value)
    ramp = _RAMPS["activation" if scale == "sequential" else "positive"]
    colour = np.where((value < 0.0)[..., None], _along(_RAMPS["negative"], strength), _along(ramp, strength))
    opacity = (0.95 * strength**0.55)[..., None]
    return np.asarray((1.0 - opacity) * ground + opacity * colour)


def tinted(picture: Picture, mask: Mask, strength: float = 0.38) -> Array:
    """Picture with the object's mask washed in the object's colour."""
    tint = np.array([int(OBJECT[place : place + 2], 16) / 255.0 for place in (1, 3, 5)])
    opacity = strength * np.asarray(mask, dtype=np.float64)[..., None]
    return np.asarray((1.0 - opacity) * picture + opacity * tint)


def colour_bar(scale: Scale, width: int = 256) -> Array:
    """One row of the scale over mid-grey, [1, width, 3]."""
    low = 0.0 if scale == "sequential" else -1.0
    value = np.linspace(low, 1.0, width)[None, :]
    return blended(np.full((1, width, 3), 0.80), value, scale)


def _along(ramp: Array, strength: Array) -> Array:
    place = np.linspace(0.0, 1.0, len(ramp))
    return np.stack([np.interp(strength, place, ramp[:, channel]) for channel in range(3)], axis=-1)
