"""Rectangles of a figure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rect:
    """A rectangle in inches from the figure's top left corner."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """Lower edge."""
        return self.top + self.height

    def within(self, figure: tuple[float, float]) -> tuple[float, float, float, float]:
        """(left, bottom, width, height) as fractions of a figure (width, height), counted from below."""
        width, height = figure
        return self.left / width, 1.0 - self.bottom / height, self.width / width, self.height / height
