"""All annotated objects of a set in a few arrays: a million of them cost bytes, not Python objects.

Axes: P picture, M object, G polygon, Q point, R byte of run lengths.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.integer]
FloatArray = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlines:
    """Outlines of objects: polygons, or compressed run lengths as COCO writes them, or neither.

    Attributes:
        points: [Q, 2] float64, x and y; in double precision, for pycocotools draws by it.
        polygon_starts: [G + 1] int64, where each polygon's points begin.
        polygons_of: [M + 1] int64, where each object's polygons begin.
        runs: [R] uint8.
        runs_of: [M + 1] int64, where each object's run lengths begin.
    """

    points: FloatArray
    polygon_starts: IntArray
    polygons_of: IntArray
    runs: npt.NDArray[np.uint8]
    runs_of: IntArray

    def polygons(self, number: int) -> list[FloatArray]:
        """Polygons [Q, 2] of an object; none if it has no such outline."""
        rows = range(int(self.polygons_of[number]), int(self.polygons_of[number + 1]))
        return [self.points[self.polygon_starts[row] : self.polygon_starts[row + 1]] for row in rows]

    def run_lengths(self, number: int) -> bytes:
        """Compressed run lengths of an object; empty if it has no such outline."""
        return self.runs[self.runs_of[number] : self.runs_of[number + 1]].tobytes()

    def has(self) -> npt.NDArray[np.bool_]:
        """[M] whether an object has an outline."""
        return (np.diff(self.polygons_of) > 0) | (np.diff(self.runs_of) > 0)

    def only(self, wanted: npt.NDArray[np.bool_]) -> "Outlines":
        """The same, without outlines of all other objects."""
        if wanted.all():
            return self
        rows = np.flatnonzero(wanted)
        part = self.taken(rows)
        polygons_of, runs_of = (np.zeros(len(wanted), dtype=np.int64) for _ in range(2))
        polygons_of[rows], runs_of[rows] = np.diff(part.polygons_of), np.diff(part.runs_of)
        return replace(part, polygons_of=_starts(polygons_of), runs_of=_starts(runs_of))

    def taken(self, order: IntArray) -> "Outlines":
        """Those of objects `order`."""
        rows, polygons_of = _taken(self.polygons_of, order)
        places, polygon_starts = _taken(self.polygon_starts, rows)
        bytes_of, runs_of = _taken(self.runs_of, order)
        return Outlines(
            points=self.points[places],
            polygon_starts=polygon_starts,
            polygons_of=polygons_of,
            runs=self.runs[bytes_of],
            runs_of=runs_of,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    """Annotated objects of a set, picture by picture.

    Attributes:
        starts: [P + 1] int64, where each picture's objects begin.
        labels: [M] int32, class of each.
        boxes: [M, 4] float32, xyxy in pixels of the picture, or in fractions of it.
        outlines: of the objects.
        sizes: [P, 2] int32, height and width of each picture as annotated; -1 where that is unknown.
        is_fraction: whether boxes and points are fractions of the picture.
    """

    starts: IntArray
    labels: IntArray
    boxes: FloatArray
    outlines: Outlines
    sizes: IntArray
    is_fraction: bool = False

    def __len__(self) -> int:
        return len(self.labels)

    def of_picture(self, number: int) -> range:
        """Numbers of a picture's objects."""
        return range(int(self.starts[number]), int(self.starts[number + 1]))

    @property
    def pictures(self) -> IntArray:
        """[M] picture of each object."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    def num_twice(self) -> int:
        """Objects that have class and box of another one of the same picture, and its outline or none."""
        if not len(self):
            return 0
        lengths = (np.diff(self.outlines.polygons_of), np.diff(self.outlines.runs_of))
        rows = np.column_stack([self.pictures, self.labels, *lengths, self.boxes.view(np.int32)]).astype(np.int64)
        order = np.lexsort(rows.T)
        return int((rows[order][1:] == rows[order][:-1]).all(axis=1).sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Objects in the order in which they were read.

    Attributes:
        pictures: [M] number of the picture, -1 for objects that are left out.
        labels: [M] class.
        boxes: [M, 4] float32.
        outlines: of the objects.
    """

    pictures: IntArray
    labels: IntArray
    boxes: FloatArray
    outlines: Outlines

    def by_picture(self, sizes: IntArray, *, is_fraction: bool = False) -> Objects:
        """Objects picture by picture, each picture's in their order.

        Args:
            sizes: [P, 2] height and width of the pictures, -1 where they are unknown.
            is_fraction: whether boxes and points are fractions of the picture.
        """
        pictures, labels, boxes, outlines = self.pictures, self.labels, self.boxes, self.outlines
        if (np.diff(pictures) < 0).any() or (pictures < 0).any():
            order = np.argsort(pictures, kind="stable")[int((pictures < 0).sum()) :]
            pictures, labels, boxes, outlines = pictures[order], labels[order], boxes[order], outlines.taken(order)
        return Objects(
            starts=_starts(np.bincount(pictures, minlength=len(sizes))),
            labels=labels.astype(np.int32),
            boxes=boxes,
            outlines=outlines,
            sizes=sizes,
            is_fraction=is_fraction,
        )


class ObjectsInReading:
    """Takes objects one by one, in any order of pictures; what it holds are bytes."""

    def __init__(self) -> None:
        self._pictures, self._labels = array("q"), array("i")
        self._boxes, self._points = array("f"), array("d")
        self._polygon_ends, self._polygons_of = array("q", [0]), array("q", [0])
        self._runs, self._runs_of = bytearray(), array("q", [0])

    def __len__(self) -> int:
        return len(self._labels)

    def add(
        self,
        picture: int,
        label: int,
        box: Sequence[float],
        polygons: Sequence[Sequence[float]] = (),
        runs: bytes = b"",
    ) -> None:
        """One object.

        Args:
            picture: its number.
            label: its class.
            box: four numbers.
            polygons: x and y in turns, of every polygon.
            runs: compressed run lengths.
        """
        self._pictures.append(picture)
        self._labels.append(label)
        self._boxes.extend(box)
        for polygon in polygons:
            self._points.extend(polygon)
            self._polygon_ends.append(len(self._points) // 2)
        self._polygons_of.append(len(self._polygon_ends) - 1)
        self._runs += runs
        self._runs_of.append(len(self._runs))

    def columns(self) -> Columns:
        """All that was taken."""
        return Columns(
            pictures=np.array(self._pictures, dtype=np.int64),
            labels=np.array(self._labels, dtype=np.int32),
            boxes=np.array(self._boxes, dtype=np.float32).reshape(-1, 4),
            outlines=Outlines(
                points=np.array(self._points, dtype=np.float64).reshape(-1, 2),
                polygon_starts=np.array(self._polygon_ends, dtype=np.int64),
                polygons_of=np.array(self._polygons_of, dtype=np.int64),
                runs=np.frombuffer(bytes(self._runs), dtype=np.uint8),
                runs_of=np.array(self._runs_of, dtype=np.int64),
            ),
        )


def _starts(counts: IntArray) -> IntArray:
    return np.concatenate(([0], np.cumsum(counts))).astype(np.int64)


def _taken(starts: IntArray, order: IntArray) -> tuple[IntArray, IntArray]:
    """Places of the parts `order` of what is cut at `starts`, and where they begin then."""
    lengths = np.diff(starts)[order]
    begins = _starts(lengths)
    shift = np.repeat(starts[:-1][order] - begins[:-1], lengths)
    return shift + np.arange(begins[-1]), begins
