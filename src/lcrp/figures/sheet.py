"""A figure on which everything is placed in inches from its upper left corner."""

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text

from lcrp.figures import colours
from lcrp.figures.measure import POINTS_PER_INCH, line_height
from lcrp.figures.rect import Rect

EDGE = 0.24  # inches between a head and the figure's edge
APPEND_GAP = 0.12  # inches between texts on one line
FRAME = "#2b3038"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Lines of one size, colour and weight."""

    lines: tuple[str, ...]
    size: float
    weight: str = "normal"
    color: str = colours.INK

    @property
    def height(self) -> float:
        """Inches that they take."""
        return len(self.lines) * line_height(self.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A figure of a given size, written on in inches."""

    figure: Figure
    width: float
    height: float

    @classmethod
    def of_size(cls, width: float, height: float, *, layout: str | None = None) -> "Sheet":
        """An empty figure; `layout` as matplotlib's."""
        figure = Figure(figsize=(width, height), layout=layout)  # type: ignore[arg-type]
        FigureCanvasAgg(figure)
        return cls(figure=figure, width=width, height=height)

    def write(
        self,
        text: str,
        left: float,
        baseline: float,
        *,
        size: float,
        weight: str = "normal",
        color: str = colours.INK,
        ha: str = "left",
    ) -> Text:
        """A line at (left, baseline); `ha` says which of its ends lies there."""
        return self.figure.text(
            left / self.width,
            1.0 - baseline / self.height,
            text,
            fontsize=size,
            weight=weight,
            color=color,
            ha=ha,
            va="baseline",
        )

    def append(self, before: Text, text: str, *, size: float, color: str = colours.INK) -> None:
        """Write on, on the same baseline, wherever the text before ends when it is drawn."""
        after = Annotation(
            text,
            xy=(1.0, before.get_position()[1]),
            xycoords=(before, "figure fraction"),
            xytext=(APPEND_GAP * POINTS_PER_INCH, 0.0),
            textcoords="offset points",
            fontsize=size,
            color=color,
            va="baseline",
            annotation_clip=False,
        )
        self.figure.add_artist(after)

    def write_lines(self, lines: Lines, left: float, top: float, *, ha: str = "left") -> float:
        """Lines below each other from `top` on; returns where they end."""
        step = line_height(lines.size)
        for number, line in enumerate(lines.lines):
            baseline = top + (number + 0.8) * step
            self.write(line, left, baseline, size=lines.size, weight=lines.weight, color=lines.color, ha=ha)
        return top + lines.height

    def add_axes(self, place: Rect) -> Axes:
        """Bare axes at a place."""
        axes = self.figure.add_axes(place.within((self.width, self.height)))
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_linewidth(0.6)
            spine.set_edgecolor(FRAME)
        return axes
