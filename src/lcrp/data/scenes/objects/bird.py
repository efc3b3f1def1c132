"""Shore bird: body, head, beak, wing, legs, tail."""

import numpy as np

from lcrp.data.scenes.palette import between, chosen, shaded
from lcrp.data.scenes.shapes import Colour, Points, Shape, ellipse, limb, moved, polygon, smooth, stroke

PLUMAGES: tuple[tuple[Colour, Colour], ...] = (
    ((240, 240, 236), (120, 130, 142)),
    ((246, 246, 244), (52, 54, 60)),
    ((156, 166, 178), (92, 102, 118)),
    ((44, 44, 50), (84, 84, 96)),
    ((236, 140, 150), (214, 92, 112)),
    ((128, 92, 62), (84, 58, 40)),
    ((70, 130, 180), (36, 78, 128)),
)
BEAKS: tuple[Colour, ...] = ((240, 150, 30), (220, 70, 36), (60, 56, 52), (244, 200, 60))


def shapes(generator: np.random.Generator) -> list[Shape]:
    """A bird that looks to the right, its feet on y = 0."""
    plumage, wing = PLUMAGES[int(generator.random() * len(PLUMAGES))]
    beak, neck = chosen(generator, BEAKS), between(generator, 0.0, 0.3)
    leg, stride = between(generator, 0.0, 0.22), between(generator, 0.02, 0.1)
    head = (0.33 + 0.2 * neck, -0.8 - neck)
    lift = -leg
    upper = [
        _part("tail", polygon((-0.2, -0.52), (-0.62, -0.4), (-0.6, -0.29), (-0.2, -0.32)), shaded(wing, 0.8)),
        _part(
            "body",
            smooth(
                (-0.38, -0.4), (-0.18, -0.6), (0.1, -0.64), (0.29, -0.56), (0.3, -0.4), (0.12, -0.27), (-0.15, -0.27)
            ),
            plumage,
        ),
        _part("body", limb((0.19, -0.48), (0.27, -0.62 - 0.5 * neck), head, widths=(0.22, 0.13, 0.12)), plumage),
        _part(
            "wing",
            smooth((-0.44, -0.36), (-0.2, -0.56), (0.08, -0.58), (0.17, -0.46), (0.0, -0.34), (-0.2, -0.31)),
            wing,
        ),
        _part("wing", stroke(polygon((-0.36, -0.37), (-0.1, -0.4), (0.1, -0.48)), 0.02), shaded(wing, 0.65)),
        _part("wing", stroke(polygon((-0.3, -0.43), (-0.1, -0.47), (0.08, -0.53)), 0.02), shaded(wing, 0.65)),
        *_head(head, shaded(plumage, 0.97), beak, between(generator, 0.2, 0.38)),
    ]
    legs = [*_leg(-0.03, -stride, lift, shaded(beak, 0.7)), *_leg(0.08, stride, lift, shaded(beak, 0.9))]
    return [*legs, *moved(upper, 1.0, 0.0, lift)]


def _head(centre: tuple[float, float], colour: Colour, beak: Colour, length: float) -> list[Shape]:
    x, y = centre
    return [
        _part("beak", polygon((x + 0.05, y - 0.065), (x + 0.1 + length, y + 0.06), (x + 0.05, y + 0.06)), beak),
        _part("head", ellipse(x, y, 0.115, 0.105), colour),
        _part("head", ellipse(x + 0.035, y - 0.025, 0.024), (20, 18, 18)),
    ]


def _leg(x: float, stride: float, lift: float, colour: Colour) -> list[Shape]:
    foot = x + stride
    return [
        _part(
            "legs",
            limb(
                (x, -0.32 + lift),
                (x + 0.2 * stride - 0.02, -0.16 + 0.5 * lift),
                (foot, 0.0),
                widths=(0.06, 0.045, 0.045),
            ),
            colour,
        ),
        _part(
            "legs",
            polygon((foot - 0.04, -0.012), (foot + 0.02, -0.045), (foot + 0.13, 0.0), (foot - 0.04, 0.01)),
            colour,
        ),
    ]


def _part(name: str, points: Points, colour: Colour) -> Shape:
    return Shape(part=f"bird.{name}", points=points, colour=colour)
