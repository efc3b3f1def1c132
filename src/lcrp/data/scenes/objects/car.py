"""Car from the side: body, windows, wheels, lights."""

import numpy as np

from lcrp.data.scenes.palette import PAINT, between, chosen, shaded
from lcrp.data.scenes.shapes import Colour, Points, Shape, ellipse, polygon, smooth, stroke


def shapes(generator: np.random.Generator) -> list[Shape]:
    """A car that drives to the right, its wheels on y = 0."""
    paint = chosen(generator, PAINT)
    radius, roof = between(generator, 0.105, 0.13), between(generator, 0.44, 0.54)
    rear, front = between(generator, -0.47, -0.3), between(generator, 0.18, 0.3)
    found = [
        _part("body", _lower_body(), paint),
        _part("body", smooth((rear, -0.27), (rear + 0.1, -roof), (front - 0.18, -roof), (front + 0.02, -0.27)), paint),
        _part("body", stroke(polygon((-0.5, -0.105), (0.5, -0.105)), 0.05), shaded(paint, 0.5)),
        _part("body", stroke(polygon((-0.48, -0.255), (0.4, -0.265)), 0.014), shaded(paint, 1.3)),
        _part("body", stroke(polygon((-0.03, -0.27), (-0.03, -0.1)), 0.01), shaded(paint, 0.6)),
        _part("body", stroke(polygon((-0.13, -0.23), (-0.07, -0.23)), 0.018), shaded(paint, 0.45)),
        *_windows(generator, rear, front, roof),
        _part("lights", ellipse(0.465, -0.205, 0.035, 0.03), (255, 244, 190)),
        _part("lights", polygon((-0.505, -0.25), (-0.46, -0.25), (-0.47, -0.18), (-0.51, -0.18)), (214, 30, 34)),
    ]
    for x in (-0.29, 0.29):
        found.append(_part("body", ellipse(x, -radius - 0.01, radius * 1.22), shaded(paint, 0.3)))
        found += wheel("car.wheels", (x, -radius), radius, spokes=5)
    return found


def wheel(part: str, centre: tuple[float, float], radius: float, *, spokes: int, tyre: float = 0.32) -> list[Shape]:
    """Tyre, bright rim, dark spokes and hub; cars and bicycles share it."""
    x, y = centre
    rim = radius * (1 - tyre)
    found = [
        Shape(part=part, points=ellipse(x, y, radius), colour=(32, 32, 36)),
        Shape(part=part, points=ellipse(x, y, rim), colour=(206, 210, 216)),
    ]
    for angle in np.arange(spokes) * 2 * np.pi / spokes + 0.3:
        tip = (x + rim * 0.96 * float(np.cos(angle)), y + rim * 0.96 * float(np.sin(angle)))
        points = stroke(polygon((x, y), tip), radius * 0.1)
        found.append(Shape(part=part, points=points, colour=(96, 98, 106)))
    return [*found, Shape(part=part, points=ellipse(x, y, radius * 0.17), colour=(60, 62, 68))]


def _lower_body() -> Points:
    return smooth(
        (-0.5, -0.09),
        (-0.51, -0.2),
        (-0.46, -0.285),
        (0.0, -0.29),
        (0.26, -0.29),
        (0.45, -0.245),
        (0.51, -0.17),
        (0.5, -0.09),
    )


def _windows(generator: np.random.Generator, rear: float, front: float, roof: float) -> list[Shape]:
    glass = chosen(generator, ((120, 168, 196), (70, 96, 118), (150, 190, 205)))
    top, low, post = -roof + 0.045, -0.29, between(generator, -0.08, 0.0)
    back = polygon((rear + 0.06, low), (rear + 0.13, top), (post - 0.015, top), (post - 0.015, low))
    ahead = polygon((post + 0.015, low), (post + 0.015, top), (front - 0.19, top), (front - 0.045, low))
    glare = polygon((post + 0.04, low), (post + 0.1, top), (post + 0.14, top), (post + 0.08, low))
    return [
        _part("windows", back, glass),
        _part("windows", ahead, glass),
        _part("windows", glare, shaded(glass, 1.35)),
    ]


def _part(name: str, points: Points, colour: Colour) -> Shape:
    return Shape(part=f"car.{name}", points=points, colour=colour)
