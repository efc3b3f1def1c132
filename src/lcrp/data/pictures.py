"""Reading picture files of any common kind as RGB."""

import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from lcrp.errors import DataError

_DECODING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def read_picture(path: Path, *, oriented: bool) -> torch.Tensor:
    """The picture in a file as RGB.

    Greyscale, palette, CMYK and 16 bit pictures are converted; transparent pixels show white; of an animation the
    first frame is taken.

    Args:
        path: of the file.
        oriented: turn the picture as its EXIF orientation says. Datasets with annotations pass False, since theirs
            refer to the pixels as stored.

    Returns:
        [3, H, W] uint8.

    Raises:
        DataError: if the file is missing, truncated or no picture.
    """
    try:
        with Image.open(path) as opened:
            opened.load()
            upright = ImageOps.exif_transpose(opened) if oriented else opened
            pixels = np.array(_as_rgb(upright))
    except FileNotFoundError:
        raise DataError(f"picture {path} is missing") from None
    except _DECODING_ERRORS as error:
        raise DataError(f"picture {path} cannot be read ({str(error) or type(error).__name__})") from error
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def _as_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I"):  # 16 bit: PIL itself would clip everything above 255
        return Image.fromarray((np.asarray(picture).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
    return picture.convert("RGB")
