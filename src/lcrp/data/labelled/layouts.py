"""Datasets of every layout, as the configuration names them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lcrp.data.dataset import Dataset
from lcrp.data.labelled.coco import read_coco
from lcrp.data.labelled.dataset import LabelledDataset
from lcrp.data.labelled.frames import with_frame
from lcrp.data.labelled.masks import colours_of, pairs_in, read_masks, read_palette
from lcrp.data.labelled.voc import VocFolders, read_voc, voc_folders
from lcrp.data.labelled.yolo import read_yolo
from lcrp.data.masked import MaskedPicture
from lcrp.data.transforms import InputTransform
from lcrp.errors import DataError
from lcrp.values.paths import folder_named

LABEL_MAP = "labelmap.txt"


def yolo(
    path: Path,
    transform: InputTransform,
    *,
    split: str = "val",
    class_names: Sequence[str] = (),
    name: str = "yolo",
    segmentation: bool = False,
    origin: Path | None = None,
) -> LabelledDataset:
    """A YOLO data set.

    Args:
        path: its YAML file, or the folder that holds it.
        transform: how a picture becomes the model's input.
        split: which of its pictures.
        class_names: instead of the file's.
        name: of the dataset.
        segmentation: draw class masks from boxes and outlines.
        origin: folder in which the command was given.

    Raises:
        DataError: files are missing or are no such set.
    """
    read = with_frame(read_yolo(path, split, class_names, origin))
    return LabelledDataset(name, transform, read, segmentation=segmentation, title=_title(name, "yolo", path))


def coco(
    annotations: Path,
    images: Path,
    transform: InputTransform,
    *,
    class_names: Sequence[str] = (),
    name: str = "coco",
    segmentation: bool = False,
) -> LabelledDataset:
    """A set in COCO's format, with categories of its own.

    Args:
        annotations: the JSON file.
        images: folder of the pictures.
        transform: how a picture becomes the model's input.
        class_names: instead of the file's, in the order of its categories.
        name: of the dataset.
        segmentation: draw class masks from boxes and outlines.

    Raises:
        DataError: files are missing or are no such set.
    """
    if not annotations.is_file():
        raise DataError(f"{annotations} is not there", mend="Set dataset.annotations to a JSON file in COCO's format.")
    if not images.is_dir():
        raise DataError(f"folder {images} is not there", mend="Set dataset.images to the folder of the pictures.")
    read = read_coco(annotations, images)
    if class_names:
        if len(class_names) != len(read.class_names):
            raise DataError(
                f"{annotations} has {len(read.class_names)} categories ({', '.join(read.class_names[:5])}), and "
                f"{len(class_names)} class names are set",
                mend="Set dataset.class_names to one for each, or to [].",
            )
        names = tuple(class_names)
        read = replace(read, class_names=names, reading=replace(read.reading, class_names=names))
    title = _title(name, "coco", annotations)
    return LabelledDataset(name, transform, with_frame(read), segmentation=segmentation, title=title)


def voc(
    root: Path,
    transform: InputTransform,
    *,
    split: str | None = None,
    class_names: Sequence[str] = (),
    palette: Sequence[Sequence[int]] = (),
    name: str = "voc",
    segmentation: bool = False,
) -> Dataset:
    """A set in VOC's layout: class masks for segmentation where there are some, else boxes of the XML files.

    Args:
        root: folder with Annotations, JPEGImages, SegmentationClass, or with XML files beside pictures.
        transform: how a picture becomes the model's input.
        split: name of a list in ImageSets; None for all.
        class_names: of the classes; of masks in the order of their numbers. Empty takes the files' own, or those of
            labelmap.txt.
        palette: colours of the classes, where masks hold colours.
        name: of the dataset.
        segmentation: give the class of every pixel.

    Raises:
        DataError: files are missing or are no such set.
    """
    folders = voc_folders(root)
    if folders.annotations is None or (segmentation and folders.masks is not None):
        return _voc_masks(folders, transform, split, class_names, palette, name=name, segmentation=segmentation)
    read = with_frame(read_voc(folders, split, class_names))
    return LabelledDataset(name, transform, read, segmentation=segmentation, title=_title(name, "voc", root))


def masks(
    images: Path,
    masks: Path,
    transform: InputTransform,
    *,
    class_names: Sequence[str] = (),
    palette: Sequence[Sequence[int]] = (),
    name: str = "masks",
    segmentation: bool = False,
) -> Dataset:
    """Folders of pictures and of class masks.

    Args:
        images: folder of the pictures.
        masks: folder of the masks, called like the pictures.
        transform: how a picture becomes the model's input.
        class_names: in the order of the numbers in the masks.
        palette: colours of the classes, where masks hold colours.
        name: of the dataset.
        segmentation: give the class of every pixel; else a box for every connected part.

    Raises:
        DataError: files are missing, or are not what the names say.
    """
    pairs, notes = pairs_in(images, masks)
    colours = colours_of(palette)
    return read_masks(
        pairs,
        transform,
        class_names,
        colours,
        name=name,
        source=masks.name,
        segmentation=segmentation,
        notes=notes,
        title=_title(name, "masks", images),
    )


def _voc_masks(
    folders: VocFolders,
    transform: InputTransform,
    split: str | None,
    class_names: Sequence[str],
    palette: Sequence[Sequence[int]],
    *,
    name: str,
    segmentation: bool,
) -> Dataset:
    assert folders.masks is not None
    pairs, notes = pairs_in(folders.pictures, folders.masks)
    if split is not None:
        by_name = {Path(one.key).with_suffix("").as_posix(): one for one in pairs}
        listed = folders.listed(split, by_name.keys(), ("Segmentation", "Main"))
        pairs = [by_name[one] for one in listed if one in by_name]
        notes = [f"{len(listed) - len(pairs)} pictures of the list have no mask"] if len(pairs) < len(listed) else []
    colours, names = colours_of(palette), tuple(class_names)
    if not names and (folders.root / LABEL_MAP).is_file():
        names, colours = read_palette(folders.root / LABEL_MAP)
    source = folders.root.name
    return read_masks(
        _keyed(pairs),
        transform,
        names,
        colours,
        name=name,
        source=source,
        segmentation=segmentation,
        notes=notes,
        title=_title(name, "voc", folders.root),
    )


def _title(name: str, layout: str, path: Path) -> str:
    """What a set is called: by its name if a person gave it one, else as the folder where it lies."""
    return name if name != layout else folder_named(path) or name


def _keyed(pairs: Sequence[MaskedPicture]) -> list[MaskedPicture]:
    """Keys as in VOC's lists, without an ending."""
    return [replace(one, key=Path(one.key).with_suffix("").as_posix()) for one in pairs]
