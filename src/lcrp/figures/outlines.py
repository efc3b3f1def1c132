"""Outlines of masks: smooth, without specks, and the thinner the more ragged they are: the picture stays visible.

Axes: H W picture.
"""

import numpy as np
import numpy.typing as npt
from contourpy import contour_generator
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patheffects import withStroke

from lcrp.figures import colours, crops
from lcrp.values.explanation import Mask

SMOOTHED = 1 / 220  # of the picture's longer side: the gaussian's sigma
SPECK = 0.0008  # of the picture's area: smaller pieces of a mask, and holes in it, get no outline
THINNEST = 0.45  # of a line's width
HALO = 1.2  # points that the dark line below is wider, at full width

Line = npt.NDArray[np.float64]


def mask_outlines(mask: Mask) -> list[Line]:
    """Lines [N, 2] of (x, y) around the parts of a mask [H, W], in pixels; the largest piece always has one."""
    lines = _lines(_smooth(mask)) or _lines(mask.astype(np.float64))
    if not lines:
        return []
    areas = [_area(line) for line in lines]
    least = min(SPECK * mask.size, max(areas))
    return [line for line, area in zip(lines, areas, strict=True) if area >= least]


def draw_mask_outline(axes: Axes, mask: Mask, width: float) -> None:
    """Outline a mask [H, W] in axes whose units are its pixels; a line of `width` points, thinner if it is ragged."""
    lines = mask_outlines(mask)
    if not lines:
        return
    width *= thinness(lines, mask.shape)
    outline = LineCollection(lines, colors=colours.OBJECT, linewidths=width, zorder=4)
    outline.set_path_effects([withStroke(linewidth=width + HALO * width / 1.8, foreground=(0.0, 0.0, 0.0, 0.75))])
    axes.add_collection(outline, autolim=False)


def thinness(lines: list[Line], size: tuple[int, ...]) -> float:
    """How much thinner a line is drawn than wished: 1 up to the picture's own circumference, then less."""
    length = sum(float(np.hypot(*np.diff(line, axis=0).T).sum()) for line in lines)
    return max(THINNEST, min(1.0, 2 * (size[0] + size[1]) / max(length, 1e-9)))


def _smooth(mask: Mask) -> Line:
    sigma = SMOOTHED * max(mask.shape)
    return np.asarray(crops.gaussian_blur(mask.astype(np.float64), 2 * int(np.ceil(3 * sigma)) + 1, sigma), np.float64)


def _lines(values: Line) -> list[Line]:
    height, width = values.shape
    if min(height, width) < 2:
        return []
    generator = contour_generator(np.arange(width) + 0.5, np.arange(height) + 0.5, values)
    return [np.asarray(line) for line in generator.lines(0.5)]


def _area(line: Line) -> float:
    x, y = line.T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2
