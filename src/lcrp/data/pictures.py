"""Reading picture files of any common kind as RGB, and masks as class ids."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps

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
ON_ITS_SIDE = range(5, 9)  # of EXIF's orientations: height and width change places
_NUMBER_MODES = ("1", "L", "P", "I", "I;16", "I;16B")  # of PIL: one number per pixel


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

    def pixels(opened: Image.Image) -> np.ndarray:
        return np.array(_as_rgb(ImageOps.exif_transpose(_ranged(opened)) if oriented else _ranged(opened)))

    return torch.from_numpy(_decoded(path, "picture", pixels)).permute(2, 0, 1).contiguous()


def picture_size(path: Path, *, oriented: bool = True) -> tuple[int, int]:
    """(height, width) of the picture in a file, turned as its EXIF orientation says, or not; its pixels are not read.

    Raises:
        DataError: if the file is missing or no picture.
    """
    try:
        with Image.open(path) as opened:
            is_turned = oriented and opened.getexif().get(ExifTags.Base.Orientation, 1) in ON_ITS_SIDE
            return opened.size if is_turned else (opened.height, opened.width)
    except _DECODING_ERRORS as error:
        raise DataError(f"picture {path} cannot be read ({str(error) or type(error).__name__})", path=path) from error


def opened_picture(opened: Image.Image) -> torch.Tensor:
    """A picture of PIL as RGB, as the same picture in a file would be read, turned as its EXIF orientation says.

    Returns:
        [3, H, W] uint8.

    Raises:
        DataError: its file, which PIL reads only now, is truncated or gone.
    """
    try:
        rgb = np.array(_as_rgb(ImageOps.exif_transpose(_ranged(opened))))
    except _DECODING_ERRORS as error:
        raise DataError(f"the picture of PIL cannot be read ({str(error) or type(error).__name__})") from error
    return torch.from_numpy(rgb).permute(2, 0, 1).contiguous()


def read_class_mask(path: Path) -> torch.Tensor:
    """The numbers in a mask file: palette indices or grey values, not colours.

    Returns:
        [H, W] int64.

    Raises:
        DataError: if the file is missing, truncated, a JPEG, or holds colours instead of numbers.
    """

    def numbers(opened: Image.Image) -> np.ndarray:
        if opened.format == "JPEG":
            raise DataError(
                f"mask {path} is a JPEG, which keeps numbers only roughly: save it as PNG, from where it was drawn",
                path=path,
            )
        if opened.mode not in _NUMBER_MODES:
            raise DataError(f"mask {path} holds colours ({opened.mode}), not the class of every pixel", path=path)
        return np.array(opened).astype(np.int64)

    return torch.from_numpy(_decoded(path, "mask", numbers))


def _decoded(path: Path, kind: str, pixels: Callable[[Image.Image], np.ndarray]) -> np.ndarray:
    """What `pixels` makes of the picture in a file."""
    try:
        with Image.open(path) as opened:
            opened.load()
            return pixels(opened)
    except FileNotFoundError:
        raise DataError(f"{kind} {path} is missing", path=path) from None
    except _DECODING_ERRORS as error:
        raise DataError(f"{kind} {path} cannot be read ({str(error) or type(error).__name__})", path=path) from error


def _ranged(picture: Image.Image) -> Image.Image:
    """A picture as opened, if it is known what its largest number means; PNG has no more than 16 bits."""
    if picture.mode == "I" and picture.format != "PNG":
        raise ValueError("it holds numbers of 32 bits; save it with 8 or 16 bits")
    return picture


def _as_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I"):  # 16 bit: PIL itself would clip everything above 255
        return Image.fromarray((np.asarray(picture).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if picture.mode == "F":  # nobody knows its range: PIL would cut it off at 0 and 255, and call all of 0 to 1 black
        raise ValueError("it holds floating point numbers; save it with 8 or 16 bits")
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
    return picture.convert("RGB")
