"""What labels say and can hardly mean: boxes out of their picture, fractions for pixels, outlines beside their box.

Axes: M object, G polygon, Q point. Boxes are xyxy.
"""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from lcrp.data.labelled.objects import FloatArray, IntArray, Outlines

BESIDE, NO_AREA = "for they lie beside their box", "for they have no area"
_LISTED = 5
_MANY = 0.1  # of all boxes: no slips of single ones any more
_AT_A_TIME = 2**20  # points

BoolArray = npt.NDArray[np.bool_]


def told_fractions(boxes: FloatArray, named: Callable[[int], str]) -> tuple[str, ...]:
    """What is to be said of boxes [M, 4] within the first pixel, if there are any; NaN is no box.

    Raises:
        ValueError: all of them lie there.
    """
    rows = np.flatnonzero((boxes <= 1).all(axis=1))
    if not len(rows):
        return ()
    told = "within the first pixel of their picture: coordinates are pixels here, and these seem to be fractions of it"
    if len(rows) == (~np.isnan(boxes)).all(axis=1).sum():
        raise ValueError(f"all boxes lie {told}")
    return (f"{len(rows)} boxes lie {told}: {', '.join(named(int(row)) for row in rows[:_LISTED])}",)


def reaching_out(boxes: FloatArray, sizes: IntArray) -> BoolArray:
    """[M] whether boxes [M, 4] end beyond pictures of sizes [M, 2] by 2 pixels and by 1 % of a side.

    Args:
        boxes: in pixels; in fractions where sizes are 1.
        sizes: height and width; -1 where they are not known.
    """
    limits = np.stack([sizes[:, 1], sizes[:, 0]], axis=1).astype(np.float64)  # [M, 2], x and y
    slack = np.where(limits > 1, np.maximum(2, 0.01 * limits), 0.01)
    out = (boxes[:, :2] < -slack) | (boxes[:, 2:] > limits + slack)
    return np.asarray((out & (limits > 0)).any(axis=1))


def told_reaching(is_out: BoolArray, named: Callable[[int], str], form: str = "") -> tuple[str, ...]:
    """What is to be said of boxes that reach out of their picture, if any do.

    Args:
        is_out: [M].
        named: what an object is called.
        form: as which four numbers are read, where others are common.
    """
    rows = np.flatnonzero(is_out)
    if not len(rows):
        return ()
    examples = ", ".join(named(int(row)) for row in rows[:_LISTED])
    told = f"{len(rows)} of {len(is_out)} boxes reach out of their picture, and end where it does: {examples}"
    asked = f"; they are read as {form}: are they something else?" if form and len(rows) > _MANY * len(is_out) else ""
    return (told + asked,)


def odd_outlines(outlines: Outlines, boxes: FloatArray) -> dict[str, BoolArray]:
    """[M] which polygons have no area, and which lie beside the box [M, 4] of their object, reason by reason."""
    is_flat, is_beside = (np.zeros(len(boxes), dtype=np.bool_) for _ in range(2))
    rows = np.flatnonzero(np.diff(outlines.polygons_of) > 0)
    if len(rows):
        begins = outlines.polygons_of[rows]
        parts = [np.concatenate(part) for part in zip(*_measures(outlines), strict=True)]
        low, high, area = (
            kind.reduceat(part, begins, axis=0)
            for kind, part in zip((np.minimum, np.maximum, np.add), parts, strict=True)
        )
        is_flat[rows] = area <= 1e-6 * (high - low).prod(axis=1)
        is_beside[rows] = ((low > boxes[rows, 2:]) | (high < boxes[rows, :2])).any(axis=1)
    return {NO_AREA: is_flat, BESIDE: is_beside & ~is_flat}


def _measures(outlines: Outlines) -> Iterator[tuple[FloatArray, FloatArray, FloatArray]]:
    """Least and largest corner [G, 2] and area [G] of polygons, many at a time."""
    starts = outlines.polygon_starts
    first = 0
    while first < len(starts) - 1:
        last = max(first + 1, int(np.searchsorted(starts, starts[first] + _AT_A_TIME, side="right")) - 1)
        points, begins = outlines.points[starts[first] : starts[last]], starts[first:last] - starts[first]
        arms = points - np.repeat(points[begins], np.diff(starts[first : last + 1]), axis=0)  # from the first point on
        fan = np.abs(arms[:-1, 0] * arms[1:, 1] - arms[1:, 0] * arms[:-1, 1])  # of triangles: no sign may cancel
        area = np.add.reduceat(np.append(fan, 0), begins) / 2  # arms of a first point are 0
        yield np.minimum.reduceat(points, begins), np.maximum.reduceat(points, begins), area
        first = last
