"""Reference crops: the part of a sample that one neuron looked at.

The recipe is the forerunner's (gaussian blur with kernel 13 and sigma 2.3, mask above 5 %, crop to what is above
1 % of the largest value), with two differences: the last row and column belong to the crop, and the crop keeps
the picture's aspect: it is as square as the picture permits and never smaller than `MIN_SIDE` pixels.

Axes: H W picture, h w crop.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from lcrp.values.explanation import Mask, Picture

Array = npt.NDArray[np.floating]
Window = tuple[int, int, int, int]

KERNEL = 13
SIGMA = 0.3 * ((KERNEL - 1) / 2 - 1) + 0.8
VISIBLE = 0.05
CROPPED = 0.01
MIN_SIDE = 24
CONTEXT = 1.08
DIMMED = 0.5  # brightness outside the mask


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceCrop:
    """What is shown of a reference sample.

    Attributes:
        picture: [h, w, 3] the cropped picture.
        visibility: [h, w] blurred positive relevance in [0, 1]; visible above `VISIBLE`. All ones if the heatmap
            has no positive relevance, so that the whole picture is visible.
        window: (top, left, bottom, right) of the crop in the picture, in pixels.
    """

    picture: Picture
    visibility: Array
    window: Window

    @property
    def mask(self) -> Mask:
        """[h, w] what stays bright."""
        return np.asarray(self.visibility > VISIBLE)


def reference_crop(picture: Picture, heatmap: Array) -> ReferenceCrop:
    """Crop of a picture [H, W, 3] around the positive part of its heatmap [H, W]."""
    visibility = relative_visibility(heatmap)
    if visibility is None:
        return ReferenceCrop(picture=picture, visibility=np.ones(heatmap.shape), window=(0, 0, *picture.shape[:2]))
    window = square_window(bounding_window(visibility > CROPPED), heatmap.shape)
    top, left, bottom, right = window
    return ReferenceCrop(
        picture=picture[top:bottom, left:right], visibility=visibility[top:bottom, left:right], window=window
    )


def marked_crop(crop: ReferenceCrop, side: int) -> Picture:
    """A crop whose longer side has so many pixels: dark outside its mask, a white line along the mask's edge."""
    height, width = crop.visibility.shape
    factor = side / max(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    channels = [_resized(np.clip(crop.picture[..., channel], 0.0, 1.0), size) for channel in range(3)]
    picture = np.clip(np.stack(channels, axis=-1), 0.0, 1.0)
    if crop.visibility.min() >= VISIBLE:
        return picture
    is_seen = _resized(crop.visibility, size) > VISIBLE
    inner = is_seen.copy()
    for axis in (0, 1):
        for step in (1, -1):
            moved = np.roll(is_seen, step, axis=axis)
            edge = (slice(None),) * axis + (0 if step == 1 else -1,)
            moved[edge] = True  # the picture's own border is no edge of the mask
            inner &= moved
    picture[~is_seen] *= DIMMED
    picture[is_seen & ~inner] = 0.25 * picture[is_seen & ~inner] + 0.75
    return picture


def _resized(values: Array, size: tuple[int, int]) -> Array:
    """[h, w] at another size (width, height), bicubic."""
    image = Image.fromarray(np.asarray(values, dtype=np.float32))
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC), dtype=np.float64)


def relative_visibility(heatmap: Array) -> Array | None:
    """Blurred heatmap divided by its largest value; None where nothing is positive."""
    blurred = np.zeros(heatmap.shape)
    part = _blurred_part(heatmap)
    blurred[part] = gaussian_blur(heatmap[part])
    top = float(blurred.max(initial=0.0))
    return np.clip(blurred / top, 0.0, 1.0) if top > 0.0 else None


def _blurred_part(heatmap: Array) -> tuple[slice, slice]:
    """What can be other than zero once [H, W] is blurred: most neurons see little of the picture."""
    top, left, bottom, right = bounding_window(heatmap != 0)
    return slice(max(0, top - KERNEL), bottom + KERNEL), slice(max(0, left - KERNEL), right + KERNEL)


def gaussian_blur(values: Array, kernel: int = KERNEL, sigma: float = SIGMA) -> Array:
    """Separable gaussian blur of [H, W] with mirrored borders."""
    offsets = np.arange(kernel) - (kernel - 1) / 2
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    weights /= weights.sum()
    result: Array = np.asarray(values, dtype=np.float64)
    for axis in (0, 1):
        result = _along_axis(result, weights, axis)
    return result


def bounding_window(mask: Mask) -> Window:
    """(top, left, bottom, right) around the true pixels; bottom and right are exclusive ends of a slice.

    The last true row and column lie inside. An empty mask gives the whole picture.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return 0, 0, mask.shape[0], mask.shape[1]
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def square_window(window: Window, size: tuple[int, ...], min_side: int = MIN_SIDE, context: float = CONTEXT) -> Window:
    """Smallest square around a window, with context, shifted (then cut) into a picture of the given size."""
    top, left, bottom, right = window
    side = max(min_side, round(context * max(bottom - top, right - left)))
    first, last = _shifted(top, bottom, side, size[0])
    start, stop = _shifted(left, right, side, size[1])
    return first, start, last, stop


def _shifted(start: int, stop: int, side: int, extent: int) -> tuple[int, int]:
    side = min(side, extent)
    first = min(max(0, round((start + stop - side) / 2)), extent - side)
    return first, first + side


def _along_axis(values: Array, weights: Array, axis: int) -> Array:
    reach = len(weights) // 2
    padding = [(reach, reach) if place == axis else (0, 0) for place in (0, 1)]
    padded = np.pad(values, padding, mode="reflect" if values.shape[axis] > reach else "symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, len(weights), axis=axis)
    return np.asarray(windows @ weights)
