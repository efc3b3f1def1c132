"""Pictures as WebP: photographs, and strips of a concept's crops side by side.

Axes: H W picture, h w crop.
"""

import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from lcrp.values.explanation import Picture

Bytes = npt.NDArray[np.uint8]

SIDE = 96  # of a crop, in pixels
LONGEST = 480  # side of a photograph
QUALITY = 78


def in_bytes(picture: Picture | Bytes) -> Bytes:
    """A picture [H, W, 3] in [0, 1] in an eighth of the memory; one in bytes as it is."""
    if picture.dtype == np.uint8:
        return np.asarray(picture, dtype=np.uint8)
    return np.round(255.0 * np.clip(picture, 0.0, 1.0)).astype(np.uint8)


def photograph(picture: Picture) -> bytes:
    """A picture [H, W, 3] in [0, 1], made smaller where it is larger than is shown."""
    image = _image(picture)
    factor = min(1.0, LONGEST / max(image.size))
    if factor < 1.0:
        size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
        image = image.resize(size, Image.Resampling.LANCZOS)
    return _webp(image)


def strip(crops: Sequence[Picture | Bytes], side: int = SIDE) -> bytes:
    """Crops [h, w, 3], in [0, 1] or in bytes, side by side, each in the middle of a square of `side` pixels."""
    sheet = Image.new("RGBA", (side * len(crops), side), (0, 0, 0, 0))
    for number, crop in enumerate(crops):
        image = _image(crop)
        factor = side / max(image.size)
        size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
        image = image.resize(size, Image.Resampling.BICUBIC if factor > 1.0 else Image.Resampling.LANCZOS)
        sheet.paste(image, (number * side + (side - size[0]) // 2, (side - size[1]) // 2))
    return _webp(sheet)


def _image(picture: Picture | Bytes) -> Image.Image:
    return Image.fromarray(in_bytes(picture))


def _webp(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=QUALITY, method=4)
    return buffer.getvalue()
