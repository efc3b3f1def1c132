"""What a person may give as a picture, and how each kind becomes what a network is shown.

Axes: C channel, H W picture.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from lcrp.data.dataset import Dataset, checked_index, find_key, fingerprint_of
from lcrp.data.folder import FolderDataset
from lcrp.data.pictures import opened_picture, read_picture
from lcrp.data.tiles import TiledDataset, tiled
from lcrp.data.transforms import InputTransform
from lcrp.errors import DataError
from lcrp.values.sample import Sample

Shown = Sample | list[Sample]  # a picture, or the tiles of one
GivenPicture = str | os.PathLike[str] | Image.Image | npt.NDArray[Any] | torch.Tensor

GREY_LEVELS = 255
SLACK = 1e-6  # by which float pictures may leave the range from 0 to 1
UNNAMED = "picture"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture in memory.

    Attributes:
        name: of its file, or what stands for it.
        pixels: [3, H, W] uint8 RGB.
    """

    name: str
    pixels: torch.Tensor


class PictureList:
    """Pictures in memory as a dataset, without annotations."""

    name = "pictures"

    def __init__(self, pictures: Sequence[Picture], transform: InputTransform, class_names: tuple[str, ...]) -> None:
        """Take the pictures; names that occur twice are numbered.

        Args:
            pictures: in their order.
            transform: how a picture becomes the model's input.
            class_names: of the model.
        """
        self.transform = transform
        self.class_names = class_names
        names = [picture.name for picture in pictures]
        self._keys = [
            name if names.count(name) == 1 else f"{name} {number}" for number, name in enumerate(names, start=1)
        ]
        self._pixels = [picture.pixels for picture in pictures]

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, index: int) -> Sample:
        """Sample `index`."""
        image, _, geometry = self.transform(self._pixels[checked_index(index, len(self), self.name)], None)
        return Sample(index=index, key=self._keys[index], image=image, annotation=None, geometry=geometry)

    def key(self, index: int) -> str:
        """Name of picture `index`."""
        return self._keys[checked_index(index, len(self), self.name)]

    def index_of(self, key: str) -> int:
        """Index of the picture called `key`; DataError if there is none."""
        return find_key(self._keys, key, self.name)

    def fingerprint(self) -> str:
        """Hash of names, pixels and transform."""
        digest = hashlib.sha256()
        for pixels in self._pixels:
            digest.update(repr(tuple(pixels.shape)).encode())
            digest.update(pixels.numpy().tobytes())
        options = {"transform": self.transform.description(), "pixels": digest.hexdigest()}
        return fingerprint_of(self.name, ((key, 0) for key in self._keys), options)


def pictures_of(
    image: GivenPicture, transform: InputTransform, class_names: tuple[str, ...], *, bgr: bool = False
) -> Dataset:
    """One picture, or those of a folder or pattern, as a dataset.

    Args:
        image: a path, a folder, a pattern, or a picture as `given_picture` takes it.
        transform: how a picture becomes the model's input.
        class_names: of the model.
        bgr: whether arrays hold blue, green, red.

    Raises:
        DataError: it is nothing of the kind.
    """
    if not isinstance(image, str | os.PathLike):
        picture = given_picture(image, bgr=bgr)
        return tiled(lambda placing: PictureList([picture], placing, class_names), transform)
    _refuse_bgr(image, bgr=bgr)
    path = Path(image)
    return tiled(lambda placing: FolderDataset(path, placing, class_names), transform)


def shown_pictures(pictures: Dataset) -> list[Callable[[], Shown]]:
    """What reads every picture: a sample, or the tiles of one."""
    if isinstance(pictures, TiledDataset):
        return [partial(_read, pictures, tiles) for tiles in pictures.by_picture]
    return [partial(pictures.__getitem__, index) for index in range(len(pictures))]


def samples_of(pictures: Iterable[Shown]) -> Iterator[Sample]:
    """The samples of pictures, and of those that are cut their tiles."""
    for picture in pictures:
        yield from picture if isinstance(picture, list) else [picture]


def _read(pictures: Dataset, indices: range) -> list[Sample]:
    return [pictures[index] for index in indices]


def given_picture(image: object, *, bgr: bool = False, name: str = UNNAMED) -> Picture:
    """One picture, taken into memory.

    Args:
        image: path of a file; a picture of PIL, turned as its EXIF orientation says; an array of uint8 (or uint16, of
            which the high byte counts), H x W x 3 as RGB, H x W or H x W x 1 as grey, H x W x 4 as RGB with alpha,
            shown on white; or a float tensor 3 x H x W (1 x H x W: grey) with values from 0 to 1, rounded to 8 bits.
        bgr: whether arrays hold blue, green, red, as those of OpenCV.
        name: of a picture that has none.

    Raises:
        DataError: kind, shape, type or values are of none of these.
    """
    if isinstance(image, np.ndarray):
        return Picture(name=name, pixels=_of_array(image, bgr=bgr))
    _refuse_bgr(image, bgr=bgr)
    if isinstance(image, str | os.PathLike):
        return Picture(name=Path(image).name, pixels=read_picture(Path(image).expanduser(), oriented=True))
    if isinstance(image, torch.Tensor):
        return Picture(name=name, pixels=_of_tensor(image))
    if isinstance(image, Image.Image):
        if 0 in image.size:
            raise DataError(f"the picture of {image.width} x {image.height} pixels is empty")
        return Picture(name=Path(getattr(image, "filename", "") or name).name, pixels=opened_picture(image))
    raise DataError(
        f"a {type(image).__name__} is no picture: give a path, a PIL picture, a uint8 array H x W x 3 (RGB), or a "
        "float tensor 3 x H x W from 0 to 1; or a list of these"
    )


def _refuse_bgr(image: object, *, bgr: bool) -> None:
    if bgr:
        raise DataError(f"bgr=True says how the colours of an array lie; a {type(image).__name__} needs it not")


def _of_array(array: npt.NDArray[Any], *, bgr: bool) -> torch.Tensor:
    """[3, H, W] uint8."""
    shape = " x ".join(map(str, array.shape)) or "no axes"
    if array.dtype not in (np.uint8, np.uint16):
        raise DataError(
            f"an array of {array.dtype} is no picture: give uint8, or a float tensor 3 x H x W with values from 0 to 1 "
            "(torch.from_numpy(array).permute(2, 0, 1))"
        )
    if array.ndim == 3 and array.shape[0] in (1, 3, 4) and array.shape[2] not in (1, 3, 4):
        raise DataError(
            f"an array of {shape} has its colours first: uint8 arrays are H x W x 3; use array.transpose(1, 2, 0)"
        )
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise DataError(f"an array of {shape} is no picture: give H x W x 3 (RGB), H x W x 4 or H x W; or a list")
    if array.size == 0:
        raise DataError(f"the picture of {shape} is empty")
    values = (array >> 8).astype(np.uint8) if array.dtype == np.uint16 else array
    if values.ndim == 3 and bgr and values.shape[2] >= 3:
        values = values[..., [2, 1, 0, *range(3, values.shape[2])]]
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    return opened_picture(Image.fromarray(np.ascontiguousarray(values)))


def _of_tensor(tensor: torch.Tensor) -> torch.Tensor:
    """[3, H, W] uint8: a picture that came from 8 bits is that picture again, others are rounded to it."""
    shape = " x ".join(map(str, tensor.shape)) or "no axes"
    if not tensor.is_floating_point():
        raise DataError(
            f"a tensor of {str(tensor.dtype).removeprefix('torch.')} is no picture: give floats from 0 to 1 "
            "(tensor / 255), or a uint8 array H x W x 3"
        )
    if tensor.ndim != 3 or tensor.shape[0] not in (1, 3):
        mend = "; use tensor.permute(2, 0, 1)" if tensor.ndim == 3 and tensor.shape[2] in (1, 3) else ""
        raise DataError(f"a tensor of {shape} is no picture: give 3 x H x W, or a list of these{mend}")
    if tensor.numel() == 0:
        raise DataError(f"the picture of {shape} is empty")
    if tensor.is_meta or tensor.layout != torch.strided:
        raise DataError(f"a tensor of {shape} without values in memory (meta or sparse) is no picture; use to_dense()")
    values = tensor.detach().to("cpu", torch.float64).expand(3, -1, -1)
    low, high = (float(bound) for bound in values.aminmax())
    if not (low >= -SLACK and high <= 1 + SLACK):  # also NaN
        raise DataError(f"a float picture has values from 0 to 1, this one from {low:g} to {high:g}{_of_range(high)}")
    return (values.clamp(0, 1) * GREY_LEVELS).round().to(torch.uint8).contiguous()


def _of_range(high: float) -> str:
    return "; divide it by 255" if 1 < high <= GREY_LEVELS else ""
