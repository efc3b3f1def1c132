"""Folders of pictures and of masks that hold the class of every pixel: as numbers, as colours, or as 0 and 255.

Axes: H W picture.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from lcrp.data.folder import natural_order
from lcrp.data.labelled.files import by_stem, pictures_below
from lcrp.data.labelled.frames import told_frame
from lcrp.data.labelled.join import BACKGROUND, folded
from lcrp.data.labelled.reading import Reading
from lcrp.data.masked import MaskedPicture, MaskedPictures
from lcrp.data.pictures import picture_size, read_class_mask, read_picture
from lcrp.data.transforms import InputTransform
from lcrp.errors import DataError
from lcrp.values.sample import VOID

_ENDINGS = ("", "_mask", "_masks", "_gt", "_label", "_labels", "_seg", "_segmentation")
_LOOKED_AT = 200  # masks, evenly many, by which values are told
_SHOWN = 5

Colour = tuple[int, int, int]


def read_masks(
    pairs: Sequence[MaskedPicture],
    transform: InputTransform,
    names: Sequence[str],
    palette: Sequence[Colour] = (),
    *,
    name: str,
    source: str,
    segmentation: bool,
    notes: Sequence[str] = (),
    title: str = "",
) -> MaskedPictures:
    """A dataset of pictures with class masks.

    Args:
        pairs: the files.
        transform: how a picture becomes the model's input.
        names: of the classes; the number of a pixel is the place in them, with or without the background in front.
        palette: red, green and blue of every name, for masks of colours.
        name: of the dataset.
        source: of what was read, for the report.
        segmentation: give the class of every pixel; else a box for every connected part.
        notes: what else a person should know.
        title: what it is called in messages and figures, if not by its name.

    Raises:
        DataError: no masks, or none of them holds what the names say.
    """
    names, read, told, odd = _reader(pairs, tuple(names), tuple(palette))
    cut = "every connected part of a class has a box" if not segmentation else ""
    reading = Reading(
        layout="class masks",
        source=source,
        class_names=names,
        num_pictures=len(pairs),
        num_objects=None,
        frame=told_frame(len(pairs), lambda number: pairs[number].picture, lambda number: _size(pairs[number].mask)),
        odd=odd,
        notes=tuple(one for one in (told, cut, *notes) if one),
    )
    return MaskedPictures(
        name,
        transform,
        pairs,
        class_names=names if segmentation else _without_background(names),
        read_mask=read,
        options={"values": told, "names": list(names), "boxes": not segmentation},
        reading=reading,
        gives_objects=not segmentation,
        is_oriented=True,
        has_background=folded(names[0]) == BACKGROUND,
        title=title,
        is_hashed=True,
    )


def _size(mask: Path) -> tuple[int, int] | None:
    """Height and width of a mask; None if it cannot be read."""
    try:
        return picture_size(mask, oriented=False)
    except DataError:
        return None


def pairs_in(images: Path, masks: Path) -> tuple[list[MaskedPicture], list[str]]:
    """Pictures and masks of the same name, perhaps with '_mask' or the like behind it, and what is alone.

    Raises:
        DataError: a folder is not there, or no two files belong together.
    """
    for folder, setting in ((images, "images"), (masks, "masks")):
        if not folder.is_dir():
            raise DataError(f"folder {folder} is not there.", mend=f"Set dataset.{setting}.")
    (files, _), (pictures, doubled) = by_stem(pictures_below(masks), masks), by_stem(pictures_below(images), images)
    if images == masks:  # side by side: masks have an ending
        pictures = {key: path for key, path in pictures.items() if not key.endswith(_ENDINGS[1:])}
    found = []
    for key in sorted(pictures, key=natural_order):
        mask = next(
            (files[key + end] for end in _ENDINGS if key + end in files and files[key + end] != pictures[key]), None
        )
        if mask is not None:
            found.append(
                MaskedPicture(key=pictures[key].relative_to(images).as_posix(), picture=pictures[key], mask=mask)
            )
    if not found:
        raise DataError(
            f"no mask in {masks} is called like a picture in {images} ({len(files)} and {len(pictures)} files)"
        )
    alone = len(pictures) - len(found), len(files) - len({one.mask for one in found})
    notes = [*doubled, *([f"{alone[0]} pictures without a mask are left out"] if alone[0] else [])]
    return found, notes + ([f"{alone[1]} masks without a picture are left out"] if alone[1] else [])


def read_palette(path: Path) -> tuple[tuple[str, ...], tuple[Colour, ...]]:
    """Names and colours of a labelmap.txt as CVAT writes it, lines 'name:red,green,blue::'.

    Raises:
        DataError: it is none.
    """
    names, colours = [], []
    for line in path.read_bytes().decode("utf-8-sig", "replace").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        name, _, rest = line.partition(":")
        numbers = rest.partition(":")[0].split(",")
        if len(numbers) != 3 or not all(one.strip().isdecimal() and int(one) < 256 for one in numbers):
            raise DataError(f"{path} has the line '{line.strip()[:80]}', not 'name:red,green,blue::'")
        names.append(name.strip())
        colours.append((int(numbers[0]), int(numbers[1]), int(numbers[2])))
    if not names:
        raise DataError(f"{path} names no class")
    return tuple(names), tuple(colours)


def _reader(
    pairs: Sequence[MaskedPicture], names: tuple[str, ...], palette: tuple[Colour, ...]
) -> tuple[tuple[str, ...], Callable[[Path], torch.Tensor], str, tuple[str, ...]]:
    """Names with the background, what reads a mask, what its values mean, and what may not be meant so."""
    if not names:
        raise DataError(
            "nothing says what the classes of the masks are called.", mend="Set dataset.class_names=[background,...]."
        )
    if palette:
        if len(palette) != len(names):
            raise DataError(f"the palette has {len(palette)} colours, and there are {len(names)} class names")
        return names, partial(read_colours, palette=palette), "masks hold colours", ()
    has_background = folded(names[0]) == BACKGROUND
    objects = names[1:] if has_background else names
    by_mask = _values(pairs[:: max(1, len(pairs) // _LOOKED_AT)])
    if len(objects) == 1 and all(found <= {0} for found in by_mask.values()):  # rare: is 255 the object, or void?
        by_mask = _values(pairs)
    values = set().union(*by_mask.values())
    if values and values <= {0, VOID} and VOID in values:
        if len(objects) != 1:
            raise DataError(f"the masks hold 0 and 255 alone, which is one class, and {len(objects)} are named")
        names = (BACKGROUND, *objects)
        return names, read_binary, f"masks hold 0 and 255: 255 is '{objects[0]}'", ()
    largest = max(values - {VOID}, default=0)
    if not has_background and largest == len(names):
        names = (BACKGROUND, *names)
    if largest >= len(names):
        raise DataError(f"the masks hold values up to {largest}, and there are {len(names)} class names")
    told = f"masks hold numbers: 0 is '{names[0]}', {len(names) - 1} is '{names[-1]}'"
    told += ", 255 is of no class" if VOID in values else ""
    binary = [mask.name for mask, found in by_mask.items() if found == {0, VOID}] if len(objects) == 1 else []
    odd = f"{len(binary)} of {len(by_mask)} masks hold 0 and 255, others {largest}: {', '.join(binary[:_SHOWN])}"
    return names, read_class_mask, told, (f"{odd}; their 255 is taken for no class",) if binary else ()


def _values(pairs: Sequence[MaskedPicture]) -> dict[Path, set[int]]:
    """Values of masks."""
    values: dict[Path, set[int]] = {}
    for one in pairs:
        try:
            values[one.mask] = set(np.unique(read_class_mask(one.mask).numpy()).tolist())
        except DataError as error:
            if "JPEG" in str(error):
                raise
            if "holds colours" in str(error):
                mend = "Set dataset.palette=[[red,green,blue],...], a colour for every class name."
                raise DataError(str(error), path=one.mask, mend=mend) from error
    return values


def read_binary(path: Path) -> torch.Tensor:
    """Classes [H, W] int64 of a mask of 0 and 255.

    Raises:
        DataError: it is missing, or holds something else.
    """
    mask = read_class_mask(path)
    if not bool(((mask == 0) | (mask == VOID)).all()):
        raise DataError(f"mask {path} holds other values than 0 and 255, as the others do", path=path)
    return (mask == VOID).long()


def read_colours(path: Path, *, palette: Sequence[Colour]) -> torch.Tensor:
    """Classes [H, W] int64 of a mask of colours.

    Raises:
        DataError: it is missing, or holds a colour of no class.
    """
    red, green, blue = read_picture(path, oriented=False).numpy().astype(np.int64)
    packed = (red << 16) | (green << 8) | blue
    mask = np.full(packed.shape, VOID, dtype=np.int64)
    for number, (one, two, three) in enumerate(palette):
        mask[packed == (one << 16 | two << 8 | three)] = number
    unknown = np.unique(packed[mask == VOID])
    if len(unknown):
        named = [(int(one) >> 16, int(one) >> 8 & 255, int(one) & 255) for one in unknown[:_SHOWN]]
        raise DataError(f"mask {path} has the colours {named}, which no class has", path=path)
    return torch.from_numpy(mask)


def _without_background(names: tuple[str, ...]) -> tuple[str, ...]:
    return names[1:] if folded(names[0]) == BACKGROUND else names


def colours_of(palette: Sequence[Sequence[int]]) -> tuple[Colour, ...]:
    """Colours as a person sets them.

    Raises:
        DataError: one is not three numbers from 0 to 255, or there twice.
    """
    for one in palette:
        if len(one) != 3 or not all(0 <= value <= 255 for value in one):
            raise DataError(f"dataset.palette has {list(one)}, not red, green and blue from 0 to 255")
    colours = tuple((one[0], one[1], one[2]) for one in palette)
    twice = next((one for one in colours if colours.count(one) > 1), None)
    if twice is not None:
        raise DataError(f"dataset.palette has {list(twice)} twice: of which class it is cannot be told")
    return colours
