"""YOLO's text files: a line an object, in fractions of the picture, beside a YAML that names classes and splits."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lcrp.data.folder import natural_order
from lcrp.data.labelled.files import pictures_below, relative_keys
from lcrp.data.labelled.objects import Columns, ObjectsInReading
from lcrp.data.labelled.oddities import odd_outlines, reaching_out, told_reaching
from lcrp.data.labelled.reading import LeftOut, Reading, told_twice
from lcrp.data.labelled.source import Labelled
from lcrp.data.labelled.yolo_yaml import YoloYaml, read_yaml
from lcrp.errors import DataError

_BEYOND = 0.01  # of the picture, by which rounding may lead out of it


@dataclass(slots=True)
class _Found:
    """What is met while files are read."""

    objects: ObjectsInReading
    left_out: LeftOut
    no_outline: LeftOut
    num_without_file: int = 0
    num_empty: int = 0


def read_yolo(path: Path, split: str = "val", names: Sequence[str] = (), origin: Path | None = None) -> Labelled:
    """Pictures and objects of one split of a YOLO data set.

    The label file of a picture is called like it, '.txt', and lies where the last 'images' of the picture's path is
    'labels', or beside the picture. Lines are 'class x y width height' or 'class x y x y x y ...' (an outline).
    Pictures without a file have no objects.

    Args:
        path: the YAML file, or the folder that holds data.yaml.
        split: which of its pictures: 'train', 'val', 'test' or whatever else it names.
        names: of the classes, instead of the file's.
        origin: folder in which the command was given.

    Raises:
        DataError: it is no such file, or its pictures are not there, or no line of the labels can be read.
    """
    settings = read_yaml(path, origin or Path())
    classes = tuple(names) or settings.names
    pictures, notes = _pictures(settings, split)
    keys, base = relative_keys(pictures)
    order = sorted(range(len(keys)), key=lambda number: natural_order(keys[number]))
    pictures, keys = [pictures[number] for number in order], [keys[number] for number in order]
    found, digest = _Found(ObjectsInReading(), LeftOut(), LeftOut()), hashlib.sha256()
    digest.update(repr(classes).encode("utf-8", "surrogateescape"))
    labels = [_label_file(picture) for picture in pictures]
    for number, file in enumerate(labels):
        _read_file(file, number, len(classes), settings.has_keypoints, found, digest.update)
    if found.left_out.count and not len(found.objects):
        raise DataError(f"no line of the labels of {settings.path} can be read: {found.left_out.first()}")
    columns = found.objects.columns()
    for reason, is_odd in odd_outlines(columns.outlines, columns.boxes).items():
        for row in np.flatnonzero(is_odd):
            found.no_outline.add(reason, labels[columns.pictures[row]].rpartition(os.sep)[2])
        columns = replace(columns, outlines=columns.outlines.only(~is_odd))
    objects = columns.by_picture(np.full((len(keys), 2), -1, dtype=np.int32), is_fraction=True)
    if not len(objects) and found.num_without_file == len(keys):
        raise DataError(
            f"none of the {len(keys)} pictures of {settings.path} has a label file: '{labels[0]}' and the others are "
            "not there"
        )
    without = f"{found.num_without_file} pictures have no label file, {found.num_empty} an empty one"
    reading = Reading(
        layout=f"YOLO, split '{split}'",
        source=settings.path.name,
        class_names=classes,
        num_pictures=len(keys),
        num_objects=len(objects),
        num_outlined=int(objects.outlines.has().sum()),
        num_unlabelled=int((np.diff(objects.starts) == 0).sum()),
        left_out=found.left_out.told(),
        no_outline=found.no_outline.told(),
        odd=_odd(columns, labels),
        no_picture=_labels_alone(labels),
        twice=told_twice(keys, objects),
        notes=(*notes, *settings.notes, *([without] if found.num_without_file or found.num_empty else [])),
    )
    return Labelled(
        keys=keys,
        folder=base,
        class_names=classes,
        objects=objects,
        reading=reading,
        content=digest.hexdigest(),
        frame="shown",
    )


def _pictures(settings: YoloYaml, split: str) -> tuple[list[str], list[str]]:
    """Files of a split, each once, and what is to be said of them."""
    found = [picture for place in settings.places(split) for picture in _at(settings, place)]
    unique = list(dict.fromkeys(found))
    if not unique:
        raise DataError(f"split '{split}' of {settings.path} holds no pictures: {settings.places(split)[0]}")
    twice = len(found) - len(unique)
    return unique, [f"{twice} pictures are listed twice, and are read once"] if twice else []


def _at(settings: YoloYaml, place: Path) -> Iterator[str]:
    """Pictures in a folder and its sub-folders, of a list file, or the picture itself."""
    if place.is_dir():
        yield from pictures_below(place)
    elif place.suffix.lower() == ".txt":
        for line in _lines(place):
            written = line.strip().replace("\\", "/")
            if written:
                bases = (place.parent, settings.base, settings.origin)
                yield str(next((one / written for one in bases if (one / written).exists()), place.parent / written))
    else:
        yield str(place)


def _label_file(picture: str) -> str:
    """Where the labels of a picture lie."""
    folder, name = os.path.split(picture)
    before, images, after = f"{folder}{os.sep}".rpartition(f"{os.sep}images{os.sep}")
    labels = f"{before}{os.sep}labels{os.sep}{after}" if images else f"{folder}{os.sep}"
    return f"{labels}{os.path.splitext(name)[0]}.txt"  # noqa: PTH122 - texts


def _lines(path: Path) -> list[str]:
    """Lines of a text file, without a byte order mark.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return path.read_bytes().decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as text ({error})", path=path) from error


def _read_file(path: str, picture: int, num_classes: int, has_keypoints: bool, found: _Found, hashed: object) -> None:
    """Objects of one picture."""
    assert callable(hashed)
    name = os.path.basename(path)  # noqa: PTH119 - texts
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - texts
            content = file.read()
    except FileNotFoundError:
        found.num_without_file += 1
        hashed(b"-")
        return
    except OSError as error:
        found.left_out.add(f"whose file cannot be read ({type(error).__name__})", name)
        return
    hashed(len(content).to_bytes(8, "little") + content)
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        found.left_out.add("whose file is no text", name)
        return
    before = len(found.objects)
    for number, line in enumerate(lines, start=1):
        columns = line.split()
        if columns:
            flaw = _take(columns, picture, num_classes, has_keypoints, found.objects)
            if flaw:
                found.left_out.add(flaw, f"{name} line {number}")
    found.num_empty += len(found.objects) == before and not any(map(str.strip, lines))


def _take(columns: list[str], picture: int, num_classes: int, has_keypoints: bool, objects: ObjectsInReading) -> str:
    """Take the object of a line; returns what is wrong with it instead."""
    try:
        label, *values = map(float, columns)
    except ValueError:
        return "whose line is not numbers"
    if not label.is_integer() or label < 0:
        return "whose class is no whole number from 0 on"
    if label >= num_classes:
        return f"whose class is not among the {num_classes} names"
    if has_keypoints:
        values = values[:4]
    is_box = len(values) == 4
    if not is_box and (len(values) < 6 or len(values) % 2):
        return "whose line has neither 5 numbers nor a class and three or more points"
    if not all(-_BEYOND <= value <= 1 + _BEYOND for value in values):  # NaN is not
        return "whose coordinates are no fractions of the picture"
    if is_box:
        x, y, width, height = values
        if not (width > 0 and height > 0):
            return "whose box has no area"
        left, top, right, bottom = x - width / 2, y - height / 2, x + width / 2, y + height / 2
        objects.add(picture, int(label), (left, top, right, bottom))
        return ""
    xs, ys = values[::2], values[1::2]
    box = (min(xs), min(ys), max(xs), max(ys))
    if not (box[2] > box[0] and box[3] > box[1]):
        return "whose outline has no area"
    objects.add(picture, int(label), box, [values])
    return ""


def _odd(columns: Columns, labels: Sequence[str]) -> tuple[str, ...]:
    """What may not be meant as it is read."""

    def named(row: int) -> str:
        return Path(labels[int(columns.pictures[row])]).name

    is_out = reaching_out(columns.boxes, np.ones((len(columns.boxes), 2), dtype=np.int32))
    told = told_reaching(is_out, named, "class, x and y of the centre, width, height")
    shared = [name for name, count in Counter(labels).items() if count > 1]
    if not shared:
        return told
    examples = ", ".join(one.rpartition(os.sep)[2] for one in shared[:5])
    return (*told, f"{len(shared)} label files belong to several pictures each, which get the same objects: {examples}")


def _labels_alone(labels: Sequence[str]) -> tuple[str, ...]:
    """Label files in the same folders that belong to no picture."""
    known = set(labels)
    alone: list[str] = []
    folders = dict.fromkeys(map(os.path.dirname, labels))
    for folder in filter(os.path.isdir, folders):
        names = sorted(one.name for one in os.scandir(folder) if one.name.endswith(".txt"))
        alone += [name for name in names if name != "classes.txt" and f"{folder}{os.sep}{name}" not in known]
    if not alone or not any("labels" in Path(folder).parts for folder in folders):
        return ()
    return (f"{len(alone)} label files have no picture in this split: {', '.join(alone[:5])}",)
