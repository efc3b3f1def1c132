"""What a path holds: the layout of labelled pictures, told by the files that lie there."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from glob import has_magic
from pathlib import Path

from lcrp.data.labelled.files import is_picture
from lcrp.data.labelled.yolo_yaml import yaml_in
from lcrp.errors import DataError

_SPLITS = {"val": ("val", "valid", "validation"), "train": ("train",), "test": ("test",)}
_BEGIN = 1_000_000  # characters of a JSON file that are looked at
_FILE_NAME = re.compile(r'"file_name"\s*:\s*("(?:[^"\\]|\\.)*")')


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What a path was taken for.

    Attributes:
        name: of the dataset in the configuration.
        what: in words.
        sign: by which it is told.
        settings: of the dataset.
        is_of_split: whether it has the pictures of one split alone.
    """

    name: str
    what: str
    sign: str
    settings: Mapping[str, str] = field(default_factory=dict)
    is_of_split: bool = False


def recognised(path: Path, split: str | None = None) -> Layout:
    """What a path holds.

    Args:
        path: a file, a folder or a pattern.
        split: which pictures are asked for; None for those that are held out.

    Raises:
        DataError: it is not there, or holds labels that need to be told more of.
    """
    if path.is_dir():
        return _folder(path, split)
    suffix = path.suffix.lower()
    if path.is_file() and suffix in (".yaml", ".yml"):
        return Layout(name="yolo", what="a YOLO data set", sign="a YAML file", settings={"path": str(path)})
    if path.is_file() and suffix == ".json":
        return _json(path, "a JSON file")
    if path.is_file() and suffix == ".xml":
        return recognised(path.parent, split)
    if not path.exists() and not has_magic(str(path)):
        from lcrp.data.folder import no_picture  # takes seconds: torch

        raise no_picture(path)
    if path.is_file() and not is_picture(path.name):
        raise DataError(
            f"{path} is neither YOLO's YAML, COCO's JSON, VOC's XML nor a picture: give one, or the folder of the set"
        )
    return Layout(name="folder", what="pictures without labels", sign="the path", settings={"path": str(path)})


def _folder(path: Path, split: str | None) -> Layout:
    yaml = yaml_in(path)
    if yaml is not None:
        return Layout(name="yolo", what="a YOLO data set", sign=yaml.name, settings={"path": str(yaml)})
    for file in _coco_files(path, split):
        return _json(file, file.relative_to(path).as_posix())
    for part in ("Annotations", "SegmentationClass", "VOCdevkit"):
        if (path / part).is_dir():
            return Layout(name="voc", what="VOC's layout", sign=f"the folder {part}", settings={"root": str(path)})
    if (path / "images").is_dir() and (path / "masks").is_dir():
        settings = {"images": str(path / "images"), "masks": str(path / "masks")}
        return Layout(name="masks", what="class masks", sign="the folders images and masks", settings=settings)
    folders = [path, *(path / name for name in _names(split))]  # a split's own, as Roboflow has them
    for folder in folders:
        beside = next(folder.glob("*.xml"), None)
        if beside is not None:
            sign = beside.relative_to(path).as_posix()
            settings = {"root": str(folder)}
            return Layout(name="voc", what="VOC's layout", sign=sign, settings=settings, is_of_split=folder != path)
    if any((folder / "labels").is_dir() or _has_yolo_lines(folder) for folder in folders):
        raise DataError(
            f"{path} holds labels like YOLO's, and no data.yaml that names their classes: write one, with lines "
            "'train: images', 'val: images' and 'names: [NAME, NAME]'"
        )
    return Layout(name="folder", what="pictures without labels", sign="its files", settings={"path": str(path)})


def _coco_files(path: Path, split: str | None) -> Iterator[Path]:
    """JSON files of annotations in a folder, those of the split first."""
    for name in _names(split):
        yield from sorted((path / name).glob("*.json"))
        yield from sorted((path / "annotations").glob(f"*{name}*.json"))
    for folder in (path, path / "annotations"):
        found = sorted(folder.glob("*.json"))
        if len(found) == 1 or (found and split is None):
            yield found[0]


def _names(split: str | None) -> tuple[str, ...]:
    """What folders and files of a split may be called; without one all, those that are held out first."""
    wanted = _SPLITS.get(split or "val", (split or "val",))
    return wanted if split else tuple(dict.fromkeys((*wanted, *(one for names in _SPLITS.values() for one in names))))


def _json(path: Path, sign: str) -> Layout:
    """COCO's format, with the folder that holds the first picture."""
    try:
        content = path.read_bytes()[: 4 * _BEGIN]
        text = content.decode(json.detect_encoding(content), "ignore")
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error})", path=path) from error
    found = _FILE_NAME.search(text)
    if not found and all(f'"{key}"' in text for key in ("shapes", "imagePath")):
        raise DataError(f"{path} is LabelMe's JSON, which is not read: export COCO's format, or VOC's", path=path)
    name = json.loads(found.group(1)).replace("\\", "/") if found else ""
    stem = path.stem.removeprefix("instances_")
    base = path.parent
    tried = [
        base,
        base / "images",
        base / stem,
        base.parent / "images",
        base.parent / stem,
        base.parent / "images" / stem,
    ]
    tried += [base.parent, base.parent / "images" / "default"]
    images = next((one for one in tried if name and (one / name).is_file()), None)
    if images is None:
        where = f"'{name}' of it is neither beside it nor in images/" if name else "it names no pictures"
        raise DataError(
            f"{path} is taken for COCO's format, and {where}: write dataset=coco dataset.annotations={path} "
            "dataset.images=FOLDER"
        )
    settings = {"annotations": str(path), "images": str(images)}
    return Layout(name="coco", what="COCO's format", sign=sign, settings=settings)


def _has_yolo_lines(path: Path) -> bool:
    """Whether text files called like the pictures lie beside them."""
    try:
        pictures = {one.stem for one in path.iterdir() if is_picture(one.name)} if path.is_dir() else set()
    except OSError:
        return False
    return any(one.stem in pictures for one in path.glob("*.txt"))
