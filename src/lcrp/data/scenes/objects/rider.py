"""Rider: a person on a bicycle."""

import numpy as np

from lcrp.data.scenes.objects.car import wheel
from lcrp.data.scenes.palette import CLOTH, PAINT, SKIN, between, chosen, shaded
from lcrp.data.scenes.shapes import Colour, Points, Shape, ellipse, limb, polygon, smooth, stroke

CRANK = (-0.03, -0.25)
HIP, SHOULDER = (-0.13, -0.68), (0.07, -1.02)


def shapes(generator: np.random.Generator) -> list[Shape]:
    """A rider who goes to the right, the wheels on y = 0."""
    frame, shirt, trousers = chosen(generator, PAINT), chosen(generator, CLOTH), shaded(chosen(generator, CLOTH), 0.7)
    skin, helmet = chosen(generator, SKIN, 6), chosen(generator, PAINT)
    turn = between(generator, 0, 2 * np.pi)
    return [
        *_leg(turn + np.pi, shaded(trousers, 0.65)),
        *wheel("rider.wheels", (-0.34, -0.25), 0.25, spokes=8, tyre=0.2),
        *wheel("rider.wheels", (0.34, -0.25), 0.25, spokes=8, tyre=0.2),
        *_bicycle(frame),
        *_leg(turn, trousers),
        _person(
            smooth((-0.21, -0.68), (-0.12, -0.92), (0.0, -1.06), (0.11, -1.04), (0.1, -0.9), (-0.03, -0.64)), shirt
        ),
        _person(limb(SHOULDER, (0.13, -0.8), (0.28, -0.69), widths=(0.1, 0.08, 0.06)), shaded(shirt, 1.15)),
        _person(ellipse(0.29, -0.69, 0.035), skin),
        _person(ellipse(0.14, -1.16, 0.085, 0.1), skin),
        _person(smooth((0.03, -1.17), (0.05, -1.27), (0.16, -1.31), (0.25, -1.21), (0.14, -1.2)), helmet),
    ]


def _bicycle(paint: Colour) -> list[Shape]:
    rear, front, seat, head = (-0.34, -0.25), (0.34, -0.25), (-0.14, -0.56), (0.22, -0.58)
    tubes = ((rear, CRANK), (rear, seat), (CRANK, seat), (CRANK, head), (seat, head), ((0.2, -0.66), front))
    found = [_part("bicycle", stroke(polygon(*tube), 0.042), paint) for tube in tubes]
    return [
        *found,
        _part("bicycle", stroke(polygon((0.2, -0.66), (0.27, -0.68), (0.33, -0.65)), 0.04), (40, 40, 44)),
        _part("bicycle", stroke(polygon((-0.23, -0.605), (-0.05, -0.6)), 0.055), (34, 30, 30)),
        _part("bicycle", ellipse(CRANK[0], CRANK[1], 0.06), (70, 70, 76)),
    ]


def _leg(turn: float, colour: Colour) -> list[Shape]:
    foot = (CRANK[0] + 0.12 * float(np.cos(turn)), CRANK[1] + 0.12 * float(np.sin(turn)))
    knee = ((HIP[0] + foot[0]) / 2 + 0.17, (HIP[1] + foot[1]) / 2 - 0.03)
    shoe = polygon((-0.05, -0.03), (0.1, 0.005), (0.1, 0.035), (-0.05, 0.035))
    return [
        _person(limb(HIP, knee, foot, widths=(0.15, 0.11, 0.075)), colour),
        _person(shoe + foot, (236, 236, 236)),
    ]


def _person(points: Points, colour: Colour) -> Shape:
    return _part("person", points, colour)


def _part(name: str, points: Points, colour: Colour) -> Shape:
    return Shape(part=f"rider.{name}", points=points, colour=colour)
