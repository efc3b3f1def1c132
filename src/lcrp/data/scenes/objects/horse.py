"""Horse: body, head, mane, legs, tail; beside it a striped bar to jump over."""

import numpy as np

from lcrp.data.scenes.palette import between, chosen, shaded
from lcrp.data.scenes.shapes import Colour, Points, Shape, ellipse, limb, polygon, smooth, stroke

COATS: tuple[Colour, ...] = ((122, 70, 38), (160, 98, 54), (72, 44, 30), (206, 196, 184), (44, 38, 38), (190, 140, 84))
STRIPES: tuple[tuple[Colour, Colour], ...] = (
    ((214, 36, 40), (246, 246, 240)),
    ((30, 80, 180), (246, 246, 240)),
    ((240, 200, 40), (40, 40, 44)),
)


def shapes(generator: np.random.Generator) -> list[Shape]:
    """A horse that looks to the right, its hooves on y = 0."""
    coat = chosen(generator, COATS)
    dark = shaded(coat, 0.5) if sum(coat) > 180 else (150, 130, 110)
    mane = dark if generator.random() < 0.7 else (230, 214, 180)
    swing = between(generator, -0.14, 0.14)
    far = shaded(coat, 0.68)
    return [
        *_leg(-0.2, -swing, far),
        *_leg(0.2, swing, far),
        _part(
            "tail",
            smooth(
                (-0.33, -0.68),
                (-0.46, -0.62),
                (-0.54, -0.4),
                (-0.5, -0.2),
                (-0.43, -0.32),
                (-0.43, -0.5),
                (-0.34, -0.58),
            ),
            mane,
        ),
        *_leg(-0.27, swing, coat),
        *_leg(0.27, -swing, coat),
        _part("body", _trunk(), coat),
        _part("body", smooth((-0.25, -0.44), (0.0, -0.4), (0.25, -0.45), (0.0, -0.375)), shaded(coat, 0.75)),
        *_head(coat, mane, between(generator, -0.06, 0.05)),
    ]


def bar(generator: np.random.Generator) -> list[Shape]:
    """Two striped poles between two posts, on one side of the horse."""
    first, second = STRIPES[int(generator.random() * len(STRIPES))]
    start = 0.5 if generator.random() < 0.6 else -1.16
    found = []
    for y in (-0.17, -0.37):
        for i in range(6):
            piece = stroke(polygon((start + i * 0.11, y), (start + (i + 1) * 0.11, y)), 0.085)
            found.append(Shape(part="horse.bar", points=piece, colour=(first, second)[i % 2]))
    for x in (start - 0.02, start + 0.68):
        post = stroke(polygon((x, -0.5), (x, 0.0)), 0.06)
        found.append(Shape(part="horse.bar", points=post, colour=(236, 234, 226)))
    return found


def _trunk() -> Points:
    return smooth(
        (-0.37, -0.58), (-0.31, -0.71), (-0.1, -0.69), (0.12, -0.68), (0.28, -0.72), (0.37, -0.6),
        (0.32, -0.47), (0.15, -0.4), (-0.05, -0.38), (-0.2, -0.42), (-0.34, -0.45),
    )  # fmt: skip


def _leg(x: float, swing: float, colour: Colour) -> list[Shape]:
    hip, knee = (x, -0.52), (x + 0.6 * swing + 0.01, -0.25)
    ankle = (x + 0.9 * swing - 0.01, -0.04)
    hoof = polygon((ankle[0] - 0.035, -0.05), (ankle[0] + 0.035, -0.05), (ankle[0] + 0.055, 0), (ankle[0] - 0.04, 0))
    return [
        _part("legs", limb(hip, knee, ankle, widths=(0.17, 0.075, 0.055)), colour),
        _part("legs", hoof, (44, 38, 36)),
    ]


def _head(coat: Colour, mane: Colour, nod: float) -> list[Shape]:
    neck = smooth(
        (0.16, -0.69), (0.36, -0.52), (0.5, -0.76 + nod), (0.54, -0.9 + nod), (0.42, -0.99 + nod), (0.31, -0.86 + nod)
    )
    skull = smooth(
        (0.42, -1.0 + nod),
        (0.52, -0.98 + nod),
        (0.67, -0.8 + nod),
        (0.67, -0.71 + nod),
        (0.6, -0.71 + nod),
        (0.47, -0.82 + nod),
    )
    hair = smooth(
        (0.14, -0.69),
        (0.24, -0.88 + nod),
        (0.36, -1.01 + nod),
        (0.46, -1.03 + nod),
        (0.4, -0.93 + nod),
        (0.32, -0.8 + nod),
        (0.26, -0.66),
    )
    return [
        _part("head", neck, coat),
        _part("head", skull, coat),
        _part("head", ellipse(0.645, -0.75 + nod, 0.04, 0.05), shaded(coat, 0.6)),
        _part("mane", hair, mane),
        _part("head", polygon((0.42, -0.97 + nod), (0.44, -1.1 + nod), (0.5, -0.98 + nod)), shaded(coat, 0.9)),
        _part("head", ellipse(0.525, -0.9 + nod, 0.018), (16, 14, 14)),
    ]


def _part(name: str, points: Points, colour: Colour) -> Shape:
    return Shape(part=f"horse.{name}", points=points, colour=colour)
