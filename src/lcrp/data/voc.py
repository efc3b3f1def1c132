"""PASCAL VOC 2012, segmentation: 20 classes and background."""

from pathlib import Path
from typing import Literal, get_args

from lcrp.data.masked import MaskedPicture, MaskedPictures
from lcrp.data.pictures import read_class_mask
from lcrp.data.published import missing
from lcrp.data.transforms import InputTransform
from lcrp.errors import DataError, one_of, refuse

NAME = "voc2012"
Split = Literal["train", "trainval", "val"]
CLASS_NAMES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
_DEVKIT = "VOCdevkit/VOC2012"


def voc2012(root: Path, transform: InputTransform, *, split: Split = "val") -> MaskedPictures:
    """Pictures of PASCAL VOC 2012 with their class masks, in the order of the split's list.

    Class 0 is the background, 255 (void) the rim of objects and what is hard to tell. The official measure is taken on
    'val' (1,449 pictures); the forerunner explains 'trainval' (2,913).

    Args:
        root: folder that holds VOCdevkit/VOC2012.
        transform: how a picture becomes the model's input.
        split: which list of ImageSets/Segmentation.

    Raises:
        DataError: the list or a folder is missing or empty.
        ConfigError: there is no such split.
    """
    refuse(one_of("split", split, get_args(Split)))
    for part in (f"ImageSets/Segmentation/{split}.txt", "JPEGImages", "SegmentationClass"):
        if not (root / _DEVKIT / part).exists():
            raise missing(NAME, root, f"{_DEVKIT}/{part}")
    devkit = root / _DEVKIT
    names = _listed(devkit / f"ImageSets/Segmentation/{split}.txt")
    pictures, masks = devkit / "JPEGImages", devkit / "SegmentationClass"
    return MaskedPictures(
        f"{NAME} {split}",
        transform,
        [MaskedPicture(key=one, picture=pictures / f"{one}.jpg", mask=masks / f"{one}.png") for one in names],
        class_names=CLASS_NAMES,
        read_mask=read_class_mask,
        options={},
    )


def _listed(path: Path) -> list[str]:
    """Names of a list, a line each; blank lines and a byte order mark are none.

    Raises:
        DataError: it cannot be read, or names none.
    """
    try:
        lines = path.read_bytes().decode("utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error})") from error
    names = [line.strip() for line in lines if line.strip()]
    if not names:
        raise DataError(f"{path} names no picture")
    return names
