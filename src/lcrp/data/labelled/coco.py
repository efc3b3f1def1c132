"""COCO's JSON, whatever its categories and ids: objects are joined to pictures by the pictures' ids alone."""

import hashlib
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lcrp.data.labelled.categories import Categories
from lcrp.data.labelled.ids import Id, as_id
from lcrp.data.labelled.json_members import read_members
from lcrp.data.labelled.objects import Columns, FloatArray, IntArray, Objects, ObjectsInReading
from lcrp.data.labelled.oddities import BESIDE, odd_outlines, reaching_out, told_fractions, told_reaching
from lcrp.data.labelled.reading import LeftOut, Reading, told_twice
from lcrp.data.labelled.run_lengths import bounds, packed
from lcrp.data.labelled.source import Labelled
from lcrp.errors import DataError

_FARTHEST = 1e6  # coordinate of a box or an outline, in pixels
_NO_BOX = (float("nan"),) * 4
_BESIDE_BOX = (-2, -2)  # in place of the size of run lengths
_NO = ("0", "0.0", "false")
_NO_OUTLINE = "for the segmentation is neither polygons nor run lengths of the picture"


def read_coco(annotations: Path, images: Path, published: Mapping[int, str] | None = None) -> Labelled:
    """Pictures and objects of a file in COCO's format.

    Args:
        annotations: the file.
        images: folder to which its file names are relative.
        published: id and name of every category of the set that the file is taken for; categories of the file's own
            count all the same.

    Raises:
        DataError: it is no such file, two pictures have one id, or no object is of a listed picture and category.
    """
    taking = _Taking()
    try:
        members = read_members(annotations, {"images": taking.take_picture, "annotations": taking.take_object})
        taking.check(members)
        categories = Categories.of(members.get("categories"), taking.category_ids(), published)
        return taking.labelled(annotations, images, categories)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError, OSError) as error:
        raise DataError(
            f"{annotations} is not a COCO instances file: {_reason(error)}", mend="Set dataset.annotations to one."
        ) from error


class _Taking:
    """Takes the records of a file; ids of pictures may be used before the pictures are listed."""

    def __init__(self) -> None:
        self.left_out, self.no_outline, self.num_crowds, self.num_objects = LeftOut(), LeftOut(), 0, 0
        self.odd: tuple[str, ...] = ()
        self._objects = ObjectsInReading()
        self._numbers: dict[Id, int] = {}  # of pictures, in the order in which their ids are met
        self._records: dict[int, tuple[str, int, int]] = {}  # file name, height and width
        self._categories: dict[Id, int] = {}
        self._ids, self._sizes = array("q"), array("i")  # of annotations, for messages; of their run lengths

    def take_picture(self, record: object) -> None:
        """A picture."""
        if not isinstance(record, dict):
            raise ValueError(f"a picture is {record!r}, not an object")
        number = self._number(as_id(record["id"], "image"))
        if number in self._records:
            both = f"'{self._records[number][0]}' and '{record.get('file_name')}'"
            raise ValueError(f"{both} have one id ({record['id']!r}), so that nobody knows whose objects are whose")
        name, written = record["file_name"], (record.get("height"), record.get("width"))
        sides = (_side(written[0]), _side(written[1]))
        if not isinstance(name, str) or not name:
            raise ValueError(f"image {record['id']} has the file_name {name!r}")
        if None in written:
            raise ValueError(f"image {record['id']} has no width and height, in pixels, which COCO's have")
        if not all(sides):
            raise ValueError(f"image {record['id']} has {written[0]!r}x{written[1]!r} pixels")
        self._records[number] = (name.replace("\\", "/"), *sides)

    def take_object(self, record: object) -> None:
        """An object."""
        if not isinstance(record, dict):
            raise ValueError(f"an annotation is {record!r}, not an object")
        if str(record.get("iscrowd") or 0).strip().lower() not in _NO:
            self.num_crowds += 1
            return
        self.num_objects += 1
        try:
            picture = self._number(as_id(record.get("image_id"), "image"))
            category = self._categories.setdefault(as_id(record.get("category_id"), "category"), len(self._categories))
        except ValueError as error:
            self.left_out.add(f"whose {error}", f"annotation {record.get('id')!r}")
            return
        polygons, runs, size = _outline(record.get("segmentation"))
        number = record.get("id")
        self._ids.append(number if type(number) is int and abs(number) < 2**62 else -self.num_objects)
        box = _box(record.get("bbox"), polygons, runs, size)
        self._sizes.extend(_BESIDE_BOX if runs and _is_beside(bounds(runs, size), box) else size)
        self._objects.add(picture, category, box, polygons, runs)

    def check(self, members: Mapping[str, object]) -> None:
        """Whether there are pictures, and objects as instances have them."""
        if not self._records:
            raise ValueError("it lists no images" if "images" not in members else "its images are no list")
        if "annotations" in members:
            raise ValueError("its annotations are no list")
        if self.num_objects and not len(self._objects):
            raise ValueError(f"all of its {self.num_objects} objects are flawed: {self.left_out.first()}")

    def category_ids(self) -> list[Id]:
        """Ids of categories that objects have."""
        return list(self._categories)

    def labelled(self, annotations: Path, images: Path, categories: Categories) -> Labelled:
        """All of it in arrays, pictures by file name."""
        order = sorted(self._records, key=lambda number: self._records[number][0])
        place = np.full(len(self._numbers), -1)
        place[order] = np.arange(len(order))
        sizes = np.array([self._records[number][1:] for number in order], dtype=np.int32).reshape(-1, 2)
        keys = [self._records[number][0] for number in order]
        objects = self._placed(place, sizes, categories)
        reading = Reading(
            layout="COCO",
            source=annotations.name,
            class_names=categories.names,
            num_pictures=len(keys),
            num_objects=len(objects),
            num_outlined=int(objects.outlines.has().sum()),
            num_unlabelled=int((np.diff(objects.starts) == 0).sum()),
            left_out=self.left_out.told(),
            no_outline=self.no_outline.told(),
            num_crowds=self.num_crowds,
            odd=self.odd,
            twice=told_twice(keys, objects),
            notes=categories.notes,
        )
        return Labelled(
            keys=keys,
            folder=images,
            class_names=categories.names,
            objects=objects,
            reading=reading,
            content=hashlib.sha256(annotations.read_bytes()).hexdigest(),
        )

    def _number(self, identity: Id) -> int:
        return self._numbers.setdefault(identity, len(self._numbers))

    def _placed(self, place: IntArray, sizes: IntArray, categories: Categories) -> Objects:
        """Objects by picture, those without a picture, category or box left out.

        Args:
            place: [*] place of a picture, by the order in which ids were met; -1 of those that are not listed.
            sizes: [P, 2] of the pictures.
            categories: of the file.
        """
        found = self._objects.columns()
        classes = np.array([categories.class_of(one) for one in self._categories] or [-1], dtype=np.int32)
        pictures, labels = place[found.pictures], classes[found.labels]
        boxes = found.boxes.copy()
        boxes[:, 2:] += boxes[:, :2]  # xywh to xyxy
        flaws = {
            "whose image_id is not among the images": pictures < 0,
            "whose category_id is not among the categories": labels < 0,
            **_flaws(found.boxes, np.where((pictures < 0)[:, None], 2**30, sizes[pictures])),
        }
        is_kept = np.ones(len(labels), dtype=np.bool_)
        for reason, is_flawed in flaws.items():
            for row in np.flatnonzero(is_flawed & is_kept):
                self.left_out.add(reason, self._named(int(row)))
            is_kept &= ~is_flawed
        if len(is_kept) and not ((pictures >= 0) & (labels >= 0)).any():
            raise ValueError(f"all of its objects are flawed: {self.left_out.first()}")
        drawn = np.array(self._sizes, dtype=np.int32).reshape(-1, 2)
        is_beside = drawn[:, 0] == _BESIDE_BOX[0]
        misfits = odd_outlines(found.outlines, boxes)
        misfits[BESIDE] |= is_beside
        misfits[_NO_OUTLINE] = ((drawn[:, 0] > 0) & (drawn != sizes[pictures]).any(axis=1)) | (drawn[:, 0] == -1)
        for reason, is_odd in misfits.items():
            for row in np.flatnonzero(is_odd & is_kept):
                self.no_outline.add(reason, self._named(int(row)))
        is_misfit = np.logical_or.reduce(list(misfits.values()))
        taken = np.where(is_kept[:, None], boxes, np.nan)
        is_out = reaching_out(taken, sizes[pictures])
        self.odd = told_fractions(taken, self._named) + told_reaching(is_out, self._named, "x, y, width, height")
        return Columns(
            pictures=np.where(is_kept, pictures, -1),
            labels=labels,
            boxes=boxes,
            outlines=found.outlines.only(~is_misfit),
        ).by_picture(sizes)

    def _named(self, row: int) -> str:
        number = self._ids[row]
        return f"annotation {number}" if number >= 0 else f"object {-number} of the list"


def _flaws(boxes: FloatArray, sizes: IntArray) -> dict[str, npt.NDArray[np.bool_]]:
    """What is wrong with boxes [M, 4] xywh in pictures of these sizes [M, 2], reason by reason."""
    left, top, width, height = boxes.T.astype(np.float64)
    with np.errstate(invalid="ignore"):
        is_inside = (left < sizes[:, 1]) & (top < sizes[:, 0]) & (left + width > 0) & (top + height > 0)
        return {
            "whose bbox is not four numbers of pixels": np.isnan(boxes).any(axis=1),
            "whose bbox has a negative side": (width < 0) | (height < 0),
            "whose bbox has no area within the picture": ~((width > 0) & (height > 0) & is_inside),
        }


def _box(box: object, polygons: list[Sequence[float]], runs: bytes, size: tuple[int, int]) -> tuple[float, ...]:
    """Four numbers xywh; those of the outline where there is no box; NaN where it is none."""
    if box is None or box == []:
        if polygons:
            points = np.concatenate([np.asarray(one) for one in polygons]).reshape(-1, 2)
            least = points.min(axis=0)
            return (*least.tolist(), *(points.max(axis=0) - least).tolist())
        return bounds(runs, size) if runs else _NO_BOX
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_coordinate, box)):
        return _NO_BOX
    return tuple(box)


def _is_beside(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether boxes xywh have no point in common; a box that is none is beside nothing."""
    return any(
        one[axis] > other[axis] + other[axis + 2] or other[axis] > one[axis] + one[axis + 2] for axis in range(2)
    )


def _is_coordinate(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) <= _FARTHEST  # NaN is not


def _outline(outline: object) -> tuple[list[Sequence[float]], bytes, tuple[int, int]]:
    """Polygons, or run lengths and their size (height, width): 0 of polygons, negative of what is flawed."""
    if not outline or outline == [[]]:
        return [], b"", (0, 0)
    if isinstance(outline, dict):
        try:
            runs, size = packed(outline)
        except (ValueError, KeyError, TypeError, OverflowError, UnicodeError):
            return [], b"", (-1, -1)
        return [], runs, size
    parts = outline if isinstance(outline, list) else [None]
    parts = [parts] if isinstance(parts[0], int | float) else parts  # one polygon that was not put into a list
    polygons = [one for one in map(_polygon, parts) if one is not None]
    return polygons, b"", (0, 0) if len(polygons) == len(parts) else (-1, -1)


def _polygon(part: object) -> Sequence[float] | None:
    """Three or more pairs of coordinates."""
    if not isinstance(part, list) or len(part) < 6 or len(part) % 2:
        return None
    try:
        polygon = array("d", part)
    except (TypeError, OverflowError):
        return None
    return polygon if bool((np.abs(np.frombuffer(polygon)) <= _FARTHEST).all()) else None


def _side(value: object) -> int:
    """A number of pixels; 0 if it is none."""
    is_whole = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 2**30
    return int(value) if is_whole and value == int(value) else 0  # type: ignore[call-overload]


def _reason(error: Exception) -> str:
    """Plain words where there are some."""
    return str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
