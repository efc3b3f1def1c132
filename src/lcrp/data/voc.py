"""PASCAL VOC 2012, segmentation: 20 classes and background."""

from pathlib import Path
from typing import Literal, get_args

from torchvision.datasets import VOCSegmentation

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
    try:
        source = VOCSegmentation(str(root), year="2012", image_set=split)
    except (OSError, ValueError) as error:
        raise DataError(f"{root / _DEVKIT}/ImageSets/Segmentation/{split}.txt cannot be read ({error})") from error
    if not len(source):
        raise DataError(f"{root / _DEVKIT}/ImageSets/Segmentation/{split}.txt names no picture")
    pairs = zip(map(Path, source.images), map(Path, source.masks), strict=True)
    return MaskedPictures(
        f"{NAME} {split}",
        transform,
        [MaskedPicture(key=picture.stem, picture=picture, mask=mask) for picture, mask in pairs],
        class_names=CLASS_NAMES,
        read_mask=read_class_mask,
        options={},
    )
