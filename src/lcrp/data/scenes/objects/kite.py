"""Kite: a diamond of four colours with a tail; a person on the ground holds its string."""

import numpy as np

from lcrp.data.scenes.palette import CLOTH, PAINT, SKIN, between, chosen, shaded
from lcrp.data.scenes.shapes import Colour, Points, Shape, ellipse, limb, polygon, stroke

HAND = (0.27, -1.06)
"""Raised hand of the person, for a height of 1 and the foot at the origin."""


def shapes(generator: np.random.Generator) -> list[Shape]:
    """A kite whose cross lies at the origin, its tail hanging down."""
    first, second = chosen(generator, PAINT), chosen(generator, PAINT)
    if sum(abs(a - b) for a, b in zip(first, second, strict=True)) < 120:
        second = (248, 240, 200) if sum(first) < 420 else (150, 30, 60)
    width = between(generator, 0.33, 0.42)
    top, right, bottom, left = (0.0, -0.4), (width, 0.0), (0.0, 0.62), (-width, 0.0)
    found = [
        *_tail(generator, (first, second)),
        _part("diamond", polygon((0, 0), left, top), first),
        _part("diamond", polygon((0, 0), top, right), second),
        _part("diamond", polygon((0, 0), right, bottom), first),
        _part("diamond", polygon((0, 0), bottom, left), second),
        _part("diamond", stroke(polygon(top, bottom), 0.022), (70, 50, 40)),
        _part("diamond", stroke(polygon(left, right), 0.022), (70, 50, 40)),
    ]
    return found


def _tail(generator: np.random.Generator, colours: tuple[Colour, Colour]) -> list[Shape]:
    length, swing = between(generator, 0.5, 0.85), between(generator, 0.05, 0.1)
    swing *= 1 if generator.random() < 0.5 else -1
    place = np.linspace(0, 1, 24)
    line = np.stack((swing * np.sin(place * 7), 0.6 + place * length), -1)
    found = [_part("tail", stroke(line, 0.03), (80, 60, 60))]
    for number, i in enumerate((5, 11, 17, 23)):
        x, y = line[i]
        left, right = x - 0.11, x + 0.11
        bow = polygon((x, y), (left, y - 0.06), (left, y + 0.06), (x, y), (right, y - 0.06), (right, y + 0.06))
        found.append(_part("tail", bow, colours[number % 2]))
    return found


def person(generator: np.random.Generator, part: str = "kite.person") -> list[Shape]:
    """A standing person of height 1 with one arm raised, foot at the origin."""
    shirt, trousers, skin = chosen(generator, CLOTH), chosen(generator, CLOTH), chosen(generator, SKIN, 6)
    trousers = shaded(trousers, 0.75)
    hair = chosen(generator, ((40, 28, 20), (110, 70, 36), (210, 170, 90), (90, 90, 90)))
    drawn: list[tuple[Points, Colour]] = [
        (limb((-0.04, -0.5), (-0.06, -0.25), (-0.1, 0.0), widths=(0.13, 0.1, 0.08)), shaded(trousers, 0.85)),
        (limb((0.04, -0.5), (0.06, -0.25), (0.1, 0.0), widths=(0.13, 0.1, 0.08)), trousers),
        (limb((-0.1, -0.8), (-0.17, -0.64), (-0.12, -0.5), widths=(0.08, 0.07, 0.06)), shaded(shirt, 0.8)),
        (polygon((-0.14, -0.83), (0.14, -0.83), (0.1, -0.46), (-0.1, -0.46)), shirt),
        (limb((0.1, -0.79), (0.2, -0.9), HAND, widths=(0.08, 0.07, 0.055)), shaded(shirt, 1.12)),
        (ellipse(HAND[0], HAND[1], 0.035), skin),
        (ellipse(0.0, -0.92, 0.085, 0.095), skin),
        (ellipse(-0.012, -0.96, 0.085, 0.062), hair),
    ]
    return [Shape(part=part, points=points, colour=colour) for points, colour in drawn]


def string(start: tuple[float, float], end: tuple[float, float], width: float) -> Shape:
    """A slightly sagging string between two points."""
    place = np.linspace(0, 1, 16)[:, None]
    line = np.asarray(start) * (1 - place) + np.asarray(end) * place
    line[:, 1] += 0.06 * abs(end[1] - start[1]) * np.sin(np.pi * place[:, 0])
    return Shape(part="kite.string", points=stroke(line, width), colour=(250, 250, 245))


def _part(name: str, points: Points, colour: Colour) -> Shape:
    return Shape(part=f"kite.{name}", points=points, colour=colour)
