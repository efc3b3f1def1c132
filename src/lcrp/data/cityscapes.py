"""Cityscapes: street scenes of 1024x2048 pixels, 19 classes and all the rest."""

from pathlib import Path
from typing import Literal, get_args

import torch
from torchvision.datasets import Cityscapes

from lcrp.data.masked import MaskedPicture, MaskedPictures
from lcrp.data.pictures import read_class_mask
from lcrp.data.published import missing
from lcrp.data.transforms import InputTransform
from lcrp.errors import DataError, one_of, refuse

NAME = "cityscapes"
Split = Literal["train", "val"]
PICTURE, LABEL_IDS = "_leftImg8bit.png", "_gtFine_labelIds.png"
_EVALUATED = [one for one in Cityscapes.classes if not one.ignore_in_eval]  # by ascending train_id
_NUM_LABEL_IDS = 256
REST = len(_EVALUATED)  # class of whatever is none of the 19: 'ground', as the forerunner calls it
CLASS_NAMES = (*(one.name for one in _EVALUATED), "ground")


def cityscapes(
    root: Path,
    transform: InputTransform,
    *,
    split: Split = "val",
    labels: str | None = None,
) -> MaskedPictures:
    """Pictures of Cityscapes with their class masks, sorted by city and name.

    The forerunner takes the files as the folder lists them, so that its indices differ from machine to machine.

    Args:
        root: folder that holds leftImg8bit and gtFine as published.
        transform: how a picture becomes the model's input.
        split: 'val' (500 pictures) or 'train' (2,975); masks of 'test' are not public.
        labels: folder below `root` with masks of class ids 0 to 19 called CITY_SEQUENCE_FRAME.png, as the
            forerunner makes them (meta/label_imgs); None takes gtFine's label ids.

    Raises:
        DataError: pictures or masks are missing.
        ConfigError: there is no such split.
    """
    refuse(one_of("split", split, get_args(Split)))
    folder, masks = root / f"leftImg8bit/{split}", root / (labels or f"gtFine/{split}")
    if labels and not masks.is_dir():
        mend = "Set dataset.labels to a folder of masks, or to null for gtFine's."
        raise DataError(f"{masks} is not there", mend=mend)
    for path in (folder, masks):
        if not path.is_dir():
            raise missing(NAME, root, path.relative_to(root).as_posix())
    pictures = sorted(folder.glob(f"*/*{PICTURE}"))
    if not pictures:
        raise DataError(f"{folder} holds no pictures called CITY/*{PICTURE}; unpack leftImg8bit_trainvaltest.zip anew")

    def masked(picture: Path) -> MaskedPicture:
        key = picture.name.removesuffix(PICTURE)
        mask = masks / f"{key}.png" if labels else masks / picture.parent.name / f"{key}{LABEL_IDS}"
        return MaskedPicture(key=key, picture=picture, mask=mask)

    return MaskedPictures(
        f"{NAME} {split}",
        transform,
        [masked(picture) for picture in pictures],
        class_names=CLASS_NAMES,
        read_mask=read_class_mask if labels else read_label_ids,
        options={"labels": labels},
    )


def read_label_ids(path: Path) -> torch.Tensor:
    """Class ids 0 to 19 of a file with Cityscapes' label ids, [H, W] int64.

    Raises:
        DataError: if the file is missing, damaged or holds colours.
    """
    classes = torch.full((_NUM_LABEL_IDS,), REST)
    for one in _EVALUATED:
        classes[one.id] = one.train_id
    label_ids = read_class_mask(path)
    if label_ids.numel() and not 0 <= int(label_ids.min()) <= int(label_ids.max()) < _NUM_LABEL_IDS:
        raise DataError(
            f"mask {path} has values up to {int(label_ids.max())}; label ids are 0 to {_NUM_LABEL_IDS - 1}", path=path
        )
    return classes[label_ids]
