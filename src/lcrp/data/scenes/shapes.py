"""Coloured polygons, and how they become pixels.

Axes: n corner, H W picture, h w crop. Points are [n, 2] as (x, y), y down.
"""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

Points = npt.NDArray[np.float64]
Colour = tuple[int, int, int]
SUPERSAMPLING = 3
CIRCLE: Points = np.array([(np.cos(angle), np.sin(angle)) for angle in np.arange(28) * (2 * np.pi / 28)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One filled polygon of a part."""

    part: str
    points: Points
    colour: Colour


@dataclass(frozen=True, slots=True, kw_only=True)
class Sprite:
    """Shapes as pixels, not yet put on a picture.

    Attributes:
        top: first row of the crop in the picture.
        left: first column.
        colour: [h, w, 3] float32 in [0, 255]; zero where nothing was drawn.
        alpha: [h, w] float32; exactly 1 inside `mask`, so that nothing behind shines through.
        mask: [h, w] bool, at least half covered.
        parts: [h, w] int, index into `part_names`, -1 outside `mask`.
        part_names: the parts that were drawn.
    """

    top: int
    left: int
    colour: npt.NDArray[np.float32]
    alpha: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]
    parts: npt.NDArray[np.int16]
    part_names: tuple[str, ...]

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the picture that the crop covers."""
        height, width = self.mask.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


def polygon(*corners: tuple[float, float]) -> Points:
    """Corners as points."""
    return np.array(corners, dtype=np.float64)


def smooth(*corners: tuple[float, float], steps: int = 6) -> Points:
    """Closed Catmull-Rom curve through the corners."""
    p1 = polygon(*corners)
    p0, p2, p3 = np.roll(p1, 1, 0), np.roll(p1, -1, 0), np.roll(p1, -2, 0)
    t = (np.arange(steps) / steps)[None, :, None]
    p0, p1, p2, p3 = (p[:, None] for p in (p0, p1, p2, p3))
    curve = 2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    return np.asarray(0.5 * curve).reshape(-1, 2)


def ellipse(x: float, y: float, width: float, height: float | None = None) -> Points:
    """Ellipse with the given half axes (a circle if there is one only)."""
    return CIRCLE * (width, height or width) + (x, y)


def stroke(points: Points, *widths: float) -> Points:
    """Outline of a line along the points, its width going through `widths`."""
    along = np.empty_like(points)
    along[1:-1] = points[2:] - points[:-2]
    along[0], along[-1] = points[1] - points[0], points[-1] - points[-2]
    half = np.full(len(points), widths[0] / 2)
    if len(widths) > 1:
        place = np.arange(len(points)) * ((len(widths) - 1) / (len(points) - 1))
        half = np.interp(place, range(len(widths)), widths) / 2
    normal = along[:, ::-1] * (-1.0, 1.0) * (half / (np.sqrt((along * along).sum(1)) + 1e-9))[:, None]
    return np.concatenate((points + normal, (points - normal)[::-1]))


def limb(*joints: tuple[float, float], widths: Sequence[float]) -> Points:
    """Outline of a bent line through the joints, rounded at them, `widths` at its joints."""
    corners = polygon(*joints)
    count = 4 * len(corners)
    place = np.arange(count) * ((len(corners) - 1) / (count - 1))
    bent = np.empty((count, 2))
    for axis in (0, 1):
        bent[:, axis] = np.interp(place, range(len(corners)), corners[:, axis])
    return stroke(bent, *widths)


def moved(shapes: Iterable[Shape], scale: float, x: float, y: float) -> list[Shape]:
    """Shapes scaled about the origin, then shifted."""
    shift = np.array((x, y))
    return [Shape(part=item.part, points=item.points * scale + shift, colour=item.colour) for item in shapes]


def turned(shapes: Iterable[Shape], flip: bool, degrees: float) -> list[Shape]:
    """Shapes mirrored on demand, then rotated anticlockwise about the origin."""
    angle = np.deg2rad(degrees)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.diag([-1.0 if flip else 1.0, 1.0]) @ rotation
    return [Shape(part=item.part, points=item.points @ matrix, colour=item.colour) for item in shapes]


def extent(shapes: Sequence[Shape]) -> tuple[Points, Points]:
    """Upper left and lower right corner of all shapes."""
    points = np.concatenate([shape.points for shape in shapes])
    return points.min(0), points.max(0)


def silhouette(shapes: Sequence[Shape], size: int, scale: float) -> npt.NDArray[np.bool_]:
    """[size, size] bool: what the shapes cover after scaling, without anti-aliasing."""
    image = Image.new("L", (size, size))
    pen = ImageDraw.Draw(image)
    for shape in shapes:
        pen.polygon((shape.points * scale).ravel().tolist(), fill=1)
    return np.asarray(image) > 0


def rasterise(shapes: Sequence[Shape], size: int, removed: Container[str] = ()) -> Sprite | None:
    """Draw shapes anti-aliased, later ones over earlier ones.

    Args:
        shapes: in pixels of the picture.
        size: side of the picture.
        removed: parts that are not drawn; the crop does not depend on them.

    Returns:
        The sprite within the picture; None if nothing lies inside.
    """
    if not shapes:
        return None
    low, high = extent(shapes)
    left, top = (int(value) for value in np.clip(np.floor(low) - 1, 0, size))
    right, bottom = (int(value) for value in np.clip(np.ceil(high) + 2, 0, size))
    if right <= left or bottom <= top:
        return None
    shape = ((right - left) * SUPERSAMPLING, (bottom - top) * SUPERSAMPLING)
    colours, numbers = Image.new("RGBA", shape), Image.new("L", shape)
    names = tuple(dict.fromkeys(item.part for item in shapes))
    pen, marker = ImageDraw.Draw(colours), ImageDraw.Draw(numbers)
    for item in (shape for shape in shapes if shape.part not in removed):
        corners = ((item.points - (left, top)) * SUPERSAMPLING).ravel().tolist()
        pen.polygon(corners, fill=(*item.colour, 255))
        marker.polygon(corners, fill=names.index(item.part) + 1)
    return _reduced(colours, numbers, (top, left), names)


def _reduced(colours: Image.Image, numbers: Image.Image, corner: tuple[int, int], names: tuple[str, ...]) -> Sprite:
    """Average the supersampled pictures; half covered pixels become opaque."""
    pixels = np.asarray(colours.reduce(SUPERSAMPLING), dtype=np.float32)
    coverage = pixels[..., 3] / 255
    colour = pixels[..., :3] / np.maximum(coverage, 1 / 255)[..., None]
    mask = coverage >= 0.5
    fine = np.asarray(numbers)
    middle = SUPERSAMPLING // 2
    parts = fine[middle::SUPERSAMPLING, middle::SUPERSAMPLING].astype(np.int16)
    rows, columns = np.nonzero(mask & (parts == 0))
    down, right = np.indices((SUPERSAMPLING, SUPERSAMPLING))
    blocks = fine[rows[:, None, None] * SUPERSAMPLING + down, columns[:, None, None] * SUPERSAMPLING + right]
    parts[rows, columns] = blocks.max((1, 2))
    parts = np.where(mask, parts - 1, -1)
    return Sprite(
        top=corner[0],
        left=corner[1],
        colour=np.minimum(colour, 255),
        alpha=np.minimum(coverage * 2, 1),
        mask=mask,
        parts=parts,
        part_names=names,
    )
