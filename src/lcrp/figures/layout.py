"""Where everything in a figure goes, in inches from the top left corner.

Columns: input and heatmap | conditional heatmaps | reference crops. Rows are concepts. Widths come first (`columns`),
because they decide on how many lines the words need; heights follow (`figure_layout`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt

from lcrp.figures.rect import Rect

MARGIN = 0.24
COLUMN_GAP = 0.34
ROW_GAP = 0.20
TITLE = 0.30  # title above a panel of the left column
STACK_GAP = 0.10  # between the input and the heatmap below it, and between other parts of the left column
BODY = 2.6  # height of a concept's heatmap beside one line of crops or none
PANEL_WIDEST = 3.5
TALL = 0.85  # aspect below which a heatmap is as high as its row
PANEL_LARGEST = {0: 2.6, 1: 2.6, 2: 2.85, 3: 3.9}  # height of a concept's heatmap, by lines of crops beside it
LEFT_WIDEST = 3.6
PANEL_HIGHEST = 3.4
NARROWEST = 2.4  # a column's width, whatever the picture's aspect
CELL = 1.35  # side of a crop where there are several lines of them
CELL_SMALL = 1.1  # where there are many
CELL_LARGEST = 2.1
CELL_GAP = 0.07
STACKED_LEAST = 0.72  # of the height that a panel would like: with less, heatmap and input stand side by side


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Widths of a figure.

    Attributes:
        aspect: width over height of the picture.
        num_concepts: rows.
        num_references: cells of a row.
        left: width of the input's column.
        grid: (lines, columns) of the reference crops.
        cell: side of a crop.
    """

    aspect: float
    num_concepts: int
    num_references: int
    left: float
    grid: tuple[int, int]
    cell: float

    @property
    def grid_width(self) -> float:
        """Width of the column of reference crops, 0 if there are none."""
        count = self.grid[1]
        return max(NARROWEST, count * self.cell + (count - 1) * CELL_GAP) if count else 0.0

    def body(self, caption: float) -> float:
        """Height of a row without its title, where captions are of a given height."""
        lines = self.grid[0]
        return max(BODY, lines * (self.cell + caption) + (lines - 1) * CELL_GAP)

    def panel(self, caption: float) -> tuple[float, float]:
        """Width and height of a concept's heatmap."""
        body = self.body(caption)
        highest = body if self.aspect < TALL else min(PANEL_LARGEST[self.grid[0]], body)
        return _fitted(self.aspect, max(PANEL_WIDEST, highest), highest)

    def row_width(self, caption: float) -> float:
        """Width of a concept's row."""
        panel = max(NARROWEST, self.panel(caption)[0])
        return panel + COLUMN_GAP / 2 + self.grid_width if self.grid_width else panel

    def width(self, caption: float, *, stacked: bool) -> float:
        """Width of the figure."""
        left = self.left if stacked else 2 * self.left + COLUMN_GAP / 2
        right = COLUMN_GAP + self.row_width(caption) if self.num_concepts else 0.0
        return 2 * MARGIN + left + right


@dataclass(frozen=True, slots=True, kw_only=True)
class Heights:
    """What the words take.

    Attributes:
        heading: of the headings of the right columns.
        title: of a row's title.
        caption: below a crop.
        below_picture: of the parts that belong to the input.
        below_heatmap: of the parts that belong to the heatmap.
    """

    heading: float
    title: float
    caption: float
    below_picture: Sequence[float]
    below_heatmap: Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One concept: its title, its heatmap and the cells of its reference crops (captions lie below each)."""

    title: Rect
    panel: Rect
    cells: tuple[Rect, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The whole figure.

    Attributes:
        size: (width, height) in inches.
        picture: the input.
        heatmap: the heatmap of the decision.
        below_picture: parts that belong to the input.
        below_heatmap: parts that belong to the heatmap.
        concepts_heading: above the concepts' heatmaps.
        references_heading: above the crops; None if there are none.
        rows: one per concept.
    """

    size: tuple[float, float]
    picture: Rect
    heatmap: Rect
    below_picture: tuple[Rect, ...]
    below_heatmap: tuple[Rect, ...]
    concepts_heading: Rect
    references_heading: Rect | None
    rows: tuple[Row, ...]


def columns(*, aspect: float, num_concepts: int, num_references: int) -> Columns:
    """Widths for a picture with the given aspect (width / height)."""
    grid = grid_shape(num_references, num_concepts)
    side = CELL_SMALL if grid[0] * num_concepts > 8 else CELL
    return Columns(
        aspect=aspect,
        num_concepts=num_concepts,
        num_references=num_references,
        left=min(LEFT_WIDEST, max(NARROWEST, 3.1 * sqrt(aspect))),
        grid=grid,
        cell=CELL_LARGEST if grid[0] == 1 else side,
    )


def grid_shape(num_references: int, num_concepts: int = 3) -> tuple[int, int]:
    """(lines, columns) of a grid of reference crops; few concepts leave room for more lines."""
    if num_references == 0:
        return 0, 0
    lines = 1 if num_references <= 3 else 2 if num_references <= (12 if num_concepts > 2 else 6) else 3
    return lines, ceil(num_references / lines)


def is_stacked(widths: Columns, heights: Heights) -> bool:
    """Whether the heatmap stands below the input, because the rows are high enough for both."""
    return _stack_room(widths, heights) >= 2 * STACKED_LEAST * _wish(widths)


def spare_height(widths: Columns, heights: Heights) -> float:
    """What is left below a stack beside the rows; negative if its panels are smaller than they would like."""
    return _stack_room(widths, heights) - 2 * _wish(widths)


def figure_layout(widths: Columns, heights: Heights, *, head: float, stacked: bool) -> Layout:
    """The layout of a figure.

    Args:
        widths: of its columns.
        heights: of the words in it.
        head: height of the figure's head.
        stacked: what `is_stacked` says.
    """
    rows_height = _rows_height(widths, heights)
    left = (_stacked if stacked else _side_by_side)(widths, heights, top=head, room=rows_height)
    start = MARGIN + (widths.left if stacked else 2 * widths.left + COLUMN_GAP / 2) + COLUMN_GAP
    panel = widths.panel(heights.caption)
    step = heights.title + widths.body(heights.caption) + ROW_GAP
    tops = [head + heights.heading + number * step for number in range(widths.num_concepts)]
    rows = tuple(_row(widths, heights, start, top) for top in tops)
    grid_left = start + max(NARROWEST, panel[0]) + COLUMN_GAP / 2
    beside = Rect(left=grid_left, top=head, width=widths.grid_width, height=heights.heading)
    lowest = max(rect.bottom for rect in (left.heatmap, *left.below_picture, *left.below_heatmap))
    return Layout(
        size=(widths.width(heights.caption, stacked=stacked), max(head + rows_height, lowest) + MARGIN),
        picture=left.picture,
        heatmap=left.heatmap,
        below_picture=left.below_picture,
        below_heatmap=left.below_heatmap,
        concepts_heading=Rect(left=start, top=head, width=max(NARROWEST, panel[0]), height=heights.heading),
        references_heading=beside if widths.grid_width else None,
        rows=rows,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Left:
    picture: Rect
    heatmap: Rect
    below_picture: tuple[Rect, ...]
    below_heatmap: tuple[Rect, ...]


def _stacked(widths: Columns, heights: Heights, *, top: float, room: float) -> _Left:
    parts = (*heights.below_heatmap, *heights.below_picture)
    highest = (room - 2 * TITLE - STACK_GAP - sum(map(_with_gap, parts))) / 2
    width, height = _fitted(widths.aspect, widths.left, min(PANEL_HIGHEST, highest))
    picture = Rect(left=MARGIN, top=top + TITLE, width=width, height=height)
    heatmap = Rect(left=MARGIN, top=picture.bottom + STACK_GAP + TITLE, width=width, height=height)
    below = _below(heatmap, widths.left, parts)
    count = len(heights.below_heatmap)
    return _Left(picture=picture, heatmap=heatmap, below_heatmap=below[:count], below_picture=below[count:])


def _side_by_side(widths: Columns, heights: Heights, *, top: float, room: float) -> _Left:
    most = max(sum(map(_with_gap, parts)) for parts in (heights.below_picture, heights.below_heatmap))
    wish = _wish(widths)
    width, height = _fitted(widths.aspect, widths.left, min(wish, max(STACKED_LEAST * wish, room - TITLE - most)))
    picture = Rect(left=MARGIN, top=top + TITLE, width=width, height=height)
    heatmap = Rect(left=MARGIN + widths.left + COLUMN_GAP / 2, top=picture.top, width=width, height=height)
    return _Left(
        picture=picture,
        heatmap=heatmap,
        below_picture=_below(picture, widths.left, heights.below_picture),
        below_heatmap=_below(heatmap, widths.left, heights.below_heatmap),
    )


def _below(panel: Rect, width: float, heights: Sequence[float]) -> tuple[Rect, ...]:
    places: list[Rect] = []
    top = panel.bottom
    for height in heights:
        places.append(Rect(left=panel.left, top=top + STACK_GAP, width=width, height=height))
        top = places[-1].bottom
    return tuple(places)


def _row(widths: Columns, heights: Heights, left: float, top: float) -> Row:
    title = Rect(left=left, top=top, width=widths.row_width(heights.caption), height=heights.title)
    width, height = widths.panel(heights.caption)
    panel = Rect(left=left, top=title.bottom, width=width, height=height)
    start = left + max(NARROWEST, width) + COLUMN_GAP / 2
    across, down = widths.cell + CELL_GAP, widths.cell + heights.caption + CELL_GAP
    cells = tuple(
        Rect(
            left=start + (number % widths.grid[1]) * across,
            top=title.bottom + (number // widths.grid[1]) * down,
            width=widths.cell,
            height=widths.cell,
        )
        for number in range(widths.num_references)
    )
    return Row(title=title, panel=panel, cells=cells)


def _rows_height(widths: Columns, heights: Heights) -> float:
    count = widths.num_concepts
    rows = count * (heights.title + widths.body(heights.caption)) + max(0, count - 1) * ROW_GAP
    return heights.heading + rows


def _stack_room(widths: Columns, heights: Heights) -> float:
    """Height for the two panels of a stack that ends where the rows end."""
    room = _rows_height(widths, heights) - 2 * TITLE - STACK_GAP
    return room - sum(map(_with_gap, (*heights.below_picture, *heights.below_heatmap)))


def _wish(widths: Columns) -> float:
    """Height that a panel of the left column would like."""
    return min(PANEL_HIGHEST, widths.left / widths.aspect)


def _with_gap(height: float) -> float:
    return height + STACK_GAP


def _fitted(aspect: float, widest: float, highest: float) -> tuple[float, float]:
    width = min(widest, highest * aspect)
    return width, width / aspect
