"""Colours and how they vary."""

from collections.abc import Sequence

import numpy as np

from lcrp.data.scenes.shapes import Colour

PAINT: tuple[Colour, ...] = (
    (196, 38, 40),
    (226, 96, 32),
    (240, 190, 40),
    (40, 132, 70),
    (28, 110, 180),
    (24, 52, 120),
    (112, 52, 140),
    (232, 232, 228),
    (60, 62, 68),
    (150, 200, 214),
    (210, 80, 130),
)
CLOTH: tuple[Colour, ...] = (*PAINT, (90, 60, 40), (150, 150, 150), (40, 40, 60))
SKIN: tuple[Colour, ...] = ((246, 212, 184), (224, 172, 136), (176, 120, 86), (120, 78, 54), (86, 56, 40))


def shaded(colour: Sequence[float], factor: float) -> Colour:
    """Colour made darker (factor below 1) or lighter."""
    red, green, blue = (int(min(255, max(0, round(value * factor)))) for value in colour)
    return red, green, blue


def chosen(generator: np.random.Generator, palette: Sequence[Colour], spread: float = 12) -> Colour:
    """One colour of a palette, slightly altered."""
    base = palette[int(generator.random() * len(palette))]
    red, green, blue = (base[i] + spread * (2 * generator.random() - 1) for i in range(3))
    return shaded((red, green, blue), 1.0)


def between(generator: np.random.Generator, low: float, high: float) -> float:
    """One number, uniform in [low, high)."""
    return low + (high - low) * float(generator.random())
