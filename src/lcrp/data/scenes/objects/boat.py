"""Sailing boat: hull, mast with boom, one or two sails."""

import numpy as np

from lcrp.data.scenes.palette import PAINT, between, chosen, shaded
from lcrp.data.scenes.shapes import Colour, Points, Shape, polygon, smooth, stroke

SAILS: tuple[Colour, ...] = (
    (248, 246, 238),
    (244, 236, 214),
    (250, 250, 250),
    (214, 60, 48),
    (236, 150, 44),
    (60, 120, 190),
)


def shapes(generator: np.random.Generator) -> list[Shape]:
    """A boat that sails to the right, its waterline at y = 0."""
    height = between(generator, 0.85, 1.25)
    main, jib = between(generator, 0.34, 0.46), between(generator, 0.3, 0.48)
    return [
        *_hull(generator),
        _part("mast", stroke(polygon((0.02, -0.15), (0.02, -height)), 0.04, 0.025), (104, 74, 50)),
        _part("mast", stroke(polygon((0.03, -0.23), (-main - 0.03, -0.22)), 0.03), (120, 88, 60)),
        *_sails(generator, height, main, jib),
        _part("mast", polygon((0.02, -height), (0.02, -height - 0.07), (-0.1, -height - 0.035)), (214, 40, 40)),
    ]


def _hull(generator: np.random.Generator) -> list[Shape]:
    paint = chosen(generator, PAINT)
    trim = chosen(generator, ((245, 245, 240), (230, 200, 140), (40, 40, 50)))
    hull = [
        _part(
            "hull", smooth((-0.52, -0.17), (0.0, -0.14), (0.62, -0.21), (0.47, -0.05), (0.3, 0.0), (-0.42, 0.0)), paint
        ),
        _part("hull", stroke(polygon((-0.52, -0.165), (0.0, -0.145), (0.6, -0.205)), 0.045), trim),
        _part("hull", stroke(polygon((-0.45, -0.025), (0.38, -0.025)), 0.05), shaded(paint, 0.55)),
    ]
    if generator.random() < 0.5:
        cabin = smooth((-0.3, -0.15), (-0.27, -0.24), (-0.02, -0.24), (0.14, -0.16))
        hull.insert(0, _part("hull", cabin, shaded(trim, 0.92)))
    return hull


def _sails(generator: np.random.Generator, height: float, main: float, jib: float) -> list[Shape]:
    cloth = chosen(generator, SAILS, 6)
    second = cloth if generator.random() < 0.6 else chosen(generator, SAILS, 6)
    top, low = -height + 0.03, -0.26
    leech = [(-main * t**0.75 * (1.0 + 0.22 * (1 - t)), top + (low - top) * t) for t in np.linspace(0.02, 1, 9)]
    found = [_part("sail", polygon((0.0, top), *leech, (0.0, low)), cloth)]
    for share in (0.35, 0.58, 0.8):
        y = top + (low - top) * share
        seam = stroke(polygon((-0.005, y), (-main * share**0.75 * 0.98, y + 0.03)), 0.012)
        found.append(_part("sail", seam, shaded(cloth, 0.82)))
    if generator.random() < 0.85:
        bow = [(0.05 + jib * t, top + 0.12 + (low - top - 0.12) * t ** (1.15)) for t in np.linspace(0, 1, 7)]
        found.append(_part("sail", polygon((0.05, top + 0.12), *bow, (0.06, low + 0.03)), shaded(second, 0.93)))
    return found


def _part(name: str, points: Points, colour: Colour) -> Shape:
    return Shape(part=f"boat.{name}", points=points, colour=colour)
