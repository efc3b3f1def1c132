"""VOC's XML files: boxes of objects, called as the files call them."""

import hashlib
import re
from collections.abc import Container, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from lcrp.data.folder import natural_order
from lcrp.data.labelled.files import by_stem, is_picture, pictures_below
from lcrp.data.labelled.objects import Columns, IntArray, ObjectsInReading
from lcrp.data.labelled.oddities import reaching_out, told_fractions, told_reaching
from lcrp.data.labelled.reading import LeftOut, Reading, told_twice
from lcrp.data.labelled.source import Labelled
from lcrp.errors import DataError, nearest

_FARTHEST = 1e6
_ENTITY = re.compile(rb"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class VocFolders:
    """Where the parts of a set lie.

    Attributes:
        root: of the set.
        annotations: folder of the XML files; None where there are none.
        pictures: folder of the pictures.
        masks: folder of class masks; None where there are none.
    """

    root: Path
    annotations: Path | None
    pictures: Path
    masks: Path | None

    def listed(self, split: str, known: Container[str], kinds: Sequence[str] = ("Main", "Segmentation")) -> list[str]:
        """Names of a split's pictures, each once.

        Args:
            split: name of the list.
            known: names that there are; a line means one of them though it goes on with a number, as those of VOC's
                lists of a class, or with a picture's ending.
            kinds: folders of lists.

        Raises:
            DataError: there is no such list, or it names nothing that is there.
        """
        folder = self.root / "ImageSets"
        for kind in (*kinds, "."):
            path = folder / kind / f"{split}.txt"
            if path.is_file():
                lines = path.read_bytes().decode("utf-8-sig", "replace").splitlines()
                found = list(dict.fromkeys(_meant(line, known) for line in lines if line.strip()))
                if not any(name in known for name in found):
                    told = f"'{found[0]}' and what else it names is not there" if found else "it is empty"
                    raise DataError(f"{path} names no picture in {self.root}: {told}")
                return found
        known = sorted({one.stem for one in folder.glob("**/*.txt") if "_" not in one.stem}) if folder.is_dir() else []
        raise DataError(
            f"{self.root} has no list ImageSets/{kinds[0]}/{split}.txt; there are {nearest(split, known)}.",
            mend="Set dataset.split to one of them, or to null for all pictures.",
        )


def _meant(line: str, known: Container[str]) -> str:
    """The name that a line of a list means."""
    whole = line.strip().replace("\\", "/")
    tried = [whole, whole.rsplit(maxsplit=1)[0], whole.split()[0]]
    tried += [one.rpartition(".")[0] for one in tried if is_picture(one.rpartition("/")[2])]
    return next((one for one in tried if one in known), tried[2])


def voc_folders(root: Path) -> VocFolders:
    """Where the parts of a set lie: in VOC's folders, or XML files beside pictures.

    Raises:
        DataError: it has neither XML files nor class masks.
    """
    tried = [root, *sorted(root.glob("VOCdevkit/VOC*")), *sorted(root.glob("VOC*"))] if root.is_dir() else []
    for folder in tried:
        annotations, masks = folder / "Annotations", folder / "SegmentationClass"
        if annotations.is_dir() or masks.is_dir():
            names = ("JPEGImages", "images", "Images")
            pictures = next((folder / name for name in names if (folder / name).is_dir()), folder)
            return VocFolders(
                root=folder,
                annotations=annotations if annotations.is_dir() else None,
                pictures=pictures,
                masks=masks if masks.is_dir() else None,
            )
    if not root.is_dir():
        raise DataError(f"{root} is not there; dataset.root is the folder of a set in VOC's layout")
    if next(root.rglob("*.xml"), None) is None:
        raise DataError(f"{root} holds neither Annotations nor SegmentationClass, nor XML files beside pictures")
    return VocFolders(root=root, annotations=root, pictures=root, masks=None)


@dataclass(slots=True)
class _Found:
    objects: ObjectsInReading = field(default_factory=ObjectsInReading)
    left_out: LeftOut = field(default_factory=LeftOut)
    names: dict[str, int] = field(default_factory=dict)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    from_zero: bool = False
    num_otherwise: int = 0
    odd: tuple[str, ...] = ()


def read_voc(folders: VocFolders, split: str | None = None, names: Sequence[str] = ()) -> Labelled:
    """Pictures and boxes of XML files.

    Coordinates of VOC are numbers of pixels from 1 on, the last one included: the box from 1 to 10 spans 10 pixels.
    Where a file of the set has a 0 or a fraction they are edges, from 0 on.

    Args:
        folders: where they lie.
        split: name of a list in ImageSets/Main; None for all files.
        names: of the classes; objects of others are left out. Empty takes the files' own, sorted.

    Raises:
        DataError: files are missing, or no object can be read.
    """
    assert folders.annotations is not None
    pictures, doubled = by_stem(pictures_below(folders.pictures), folders.pictures)
    files, _ = by_stem([str(one) for one in sorted(folders.annotations.rglob("*.xml"))], folders.annotations)
    both = sorted(files.keys() & pictures.keys(), key=natural_order)
    keys = both if split is None else folders.listed(split, pictures.keys() | files.keys())
    if not keys:
        raise DataError(f"no XML file in {folders.annotations} has a picture of its name in {folders.pictures}")
    found, digest = _Found(names={name: number for number, name in enumerate(names)}), hashlib.sha256()
    for number, key in enumerate(keys):
        content = _content(files.get(key), found)
        digest.update(len(content).to_bytes(8, "little") + content)
        found.sizes.append(_read(content, key, number, found, fixed=bool(names)))
    if not len(found.objects):
        reason = found.left_out.first() if found.left_out.count else "they hold none"
        raise DataError(f"the XML files in {folders.annotations} give no object: {reason}")
    notes = [f"{sum(key not in files for key in keys)} pictures of the list have no XML file"]
    if split is None:
        notes = [f"{len(pictures.keys() - files.keys())} pictures without an XML file are left out"]
        notes += [f"{len(files.keys() - pictures.keys())} XML files have no picture"]
    digest.update(repr(tuple(names)).encode())
    notes += [f"{found.num_otherwise} XML files name another picture (filename): that of their own name is taken"]
    found.odd += doubled
    told = [note for note in notes if not note.startswith("0 ")]
    try:
        return _labelled(folders, (keys, pictures, found, digest.hexdigest()), told, fixed=bool(names))
    except ValueError as error:
        raise DataError(f"{folders.annotations}: {error}") from error


def _content(path: Path | None, found: _Found) -> bytes:
    """Bytes of a file; none where it is missing, cannot be read or would be more than it seems."""
    if path is None:
        return b""
    try:
        content = path.read_bytes()
    except OSError as error:
        found.left_out.add(f"whose file cannot be read ({type(error).__name__})", path.name)
        return b""
    if _ENTITY.search(content):
        found.left_out.add("whose file declares entities", path.name)
        return b""
    return content


def _read(content: bytes, key: str, picture: int, found: _Found, *, fixed: bool) -> tuple[int, int]:
    """Objects of one file; returns the picture's size (height, width), -1 where it is not said."""
    if not content:
        return (-1, -1)
    try:
        tree = ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        found.left_out.add("whose file is no XML", f"{key}.xml ({error})")
        return (-1, -1)
    for element in tree.iter():
        element.tag = element.tag.rpartition("}")[2]  # of a namespace
    if tree.tag != "annotation":
        found.left_out.add("whose file is not VOC's", f"{key}.xml <{tree.tag[:20]}>")
        return (-1, -1)
    named = (tree.findtext("filename") or "").strip().replace("\\", "/").rpartition("/")[2]
    found.num_otherwise += bool(named) and Path(key).name not in (named, Path(named).stem)
    for number, one in enumerate(tree.iter("object"), start=1):
        name = (one.findtext("name") or "").strip()
        if fixed and name not in found.names:
            found.left_out.add("whose class is not among dataset.class_names", f"{key}.xml '{name}'")
            continue
        box = _box(one)
        flaw = "that have no name" if not name else "whose bndbox is not four numbers" if box is None else ""
        if box is not None and not flaw and not (box[2] >= box[0] and box[3] >= box[1]):
            flaw = "whose bndbox ends before it begins"
        if flaw or box is None:
            found.left_out.add(flaw, f"{key}.xml object {number}")
            continue
        found.from_zero |= any(side != int(side) for side in box) or 0 in box[:2]
        found.objects.add(picture, found.names.setdefault(name, len(found.names)), box)
    size = tree.find("size")
    sides = [_number(size.findtext(side)) if size is not None else None for side in ("height", "width")]
    height, width = (int(side) if side and side >= 1 else -1 for side in sides)
    return (height, width) if min(height, width) > 0 else (-1, -1)


def _box(one: ElementTree.Element) -> tuple[float, float, float, float] | None:
    box = one.find("bndbox")
    if box is None:
        return None
    left, top, right, bottom = (_number(box.findtext(side)) for side in ("xmin", "ymin", "xmax", "ymax"))
    if left is None or top is None or right is None or bottom is None:
        return None
    return left, top, right, bottom


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if abs(value) <= _FARTHEST else None


def _sorted_labels(found: _Found, *, fixed: bool) -> tuple[tuple[str, ...], list[int]]:
    """Names of the classes, and the place of every one that was met."""
    names = tuple(found.names) if fixed else tuple(sorted(found.names))
    return names, [names.index(name) for name in found.names]


def _labelled(
    folders: VocFolders, parts: "tuple[list[str], dict[str, Path], _Found, str]", notes: Sequence[str], *, fixed: bool
) -> Labelled:
    """What was read, in arrays."""
    keys, pictures, found, content = parts
    names, places = _sorted_labels(found, fixed=fixed)
    columns = found.objects.columns()
    boxes = columns.boxes.copy()
    if not found.from_zero:
        boxes[:, :2] -= 1
    sizes = np.array(found.sizes, dtype=np.int32).reshape(-1, 2)
    labels = np.array(places or [0], dtype=np.int32)[columns.labels]
    columns = replace(columns, boxes=boxes, labels=labels)
    columns = _with_area(columns, sizes, found.left_out, keys)
    taken = np.where((columns.pictures >= 0)[:, None], columns.boxes, np.nan)
    is_out = reaching_out(taken, sizes[columns.pictures])

    def named(row: int) -> str:
        return f"{keys[columns.pictures[row]]}.xml"

    odd = (*found.odd, *told_fractions(taken, named), *told_reaching(is_out, named))
    objects = columns.by_picture(sizes)
    frame = "edges, from 0 on" if found.from_zero else "numbers of pixels, from 1 on, as VOC writes them"
    reading = Reading(
        layout="VOC",
        source=folders.root.name,
        class_names=names,
        num_pictures=len(keys),
        num_objects=len(objects),
        num_unlabelled=int((np.diff(objects.starts) == 0).sum()),
        left_out=found.left_out.told(),
        odd=odd,
        twice=told_twice(keys, objects),
        notes=(f"coordinates are {frame}", *notes),
    )
    there = {number: pictures[key] for number, key in enumerate(keys) if key in pictures}
    return Labelled(
        keys=keys,
        folder=folders.pictures,
        class_names=names,
        objects=objects,
        reading=reading,
        content=content,
        paths=there,
    )


def _with_area(columns: Columns, sizes: IntArray, left_out: LeftOut, keys: Sequence[str]) -> Columns:
    """Without boxes that have no area within their picture."""
    left, top, right, bottom = columns.boxes.T
    is_flawed = ~((right > left) & (bottom > top) & (right > 0) & (bottom > 0))
    height, width = sizes[columns.pictures].T
    is_flawed |= (height > 0) & ((left >= width) | (top >= height))
    for row in np.flatnonzero(is_flawed):
        left_out.add("whose bndbox has no area within the picture", f"{keys[columns.pictures[row]]}.xml")
    return replace(columns, pictures=np.where(is_flawed, -1, columns.pictures))
