"""Where everything in a figure goes, in inches from the top left corner.

Columns: input and heatmap | conditional heatmaps | reference crops. Rows are concepts.
"""

from dataclasses import dataclass
from math import ceil

MARGIN = 0.24
COLUMN_GAP = 0.34
ROW_GAP = 0.20
BAND = 0.86  # headline and subtitle
TITLE = 0.28  # title above a panel or a concept's row
STACK_GAP = 0.14  # between the input and the heatmap below it
BODY = 2.46  # heatmap and crops of a concept
BODY_LOWEST = 2.2
CAPTION = 0.17
CELL_GAP = 0.07
KEYS = 1.12  # colour bars and shares
KEYS_SMALL = 0.62
NARROWEST = 1.9  # a column's width, whatever the picture's aspect
PANEL_WIDEST = 3.6
PANEL_HIGHEST = 3.3


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
        band: headline and subtitle.
        picture: the input.
        heatmap: the heatmap of the decision.
        bars: colour bars.
        shares: bars of the shares inside and outside the object.
        rows: one per concept.
    """

    size: tuple[float, float]
    band: Rect
    picture: Rect
    heatmap: Rect
    bars: Rect
    shares: Rect
    rows: tuple[Row, ...]


def figure_layout(*, aspect: float, num_concepts: int, num_references: int) -> Layout:
    """Layout for a picture with the given aspect (width / height)."""
    body = min(BODY, max(BODY_LOWEST, PANEL_WIDEST / aspect))
    rows_height = num_concepts * (TITLE + body) + max(0, num_concepts - 1) * ROW_GAP
    left = _left_column(aspect, max(rows_height, TITLE + BODY), stacked=num_concepts > 1)
    left_end = max(rect.right for rect in left.values())
    panel = _fitted(aspect, PANEL_WIDEST, body)
    tops = [BAND + place * (TITLE + body + ROW_GAP) for place in range(num_concepts)]
    rows = [
        _row(Rect(left=left_end + COLUMN_GAP, top=top, width=0, height=body), panel, num_references) for top in tops
    ]
    right = max([left_end, *(max(row.panel.right, *(cell.right for cell in row.cells), 0.0) for row in rows)])
    height = max(BAND + rows_height, *(rect.bottom for rect in left.values())) + MARGIN
    return Layout(
        size=(right + MARGIN, height),
        band=Rect(left=MARGIN, top=0.0, width=right - MARGIN, height=BAND),
        rows=tuple(_widened(row, right) for row in rows),
        **left,
    )


def grid_shape(num_references: int) -> tuple[int, int]:
    """(rows, columns) of a grid of reference crops."""
    if num_references == 0:
        return 0, 0
    rows = 1 if num_references <= 3 else 2 if num_references <= 12 else 3
    return rows, ceil(num_references / rows)


def _left_column(aspect: float, room: float, *, stacked: bool) -> dict[str, Rect]:
    if stacked:
        highest = min(PANEL_HIGHEST, (room - 2 * TITLE - STACK_GAP - KEYS) / 2)
        width, height = _fitted(aspect, PANEL_WIDEST, highest)
        picture = Rect(left=MARGIN, top=BAND + TITLE, width=width, height=height)
        heatmap = Rect(left=MARGIN, top=picture.bottom + STACK_GAP + TITLE, width=width, height=height)
        bars = Rect(left=MARGIN, top=heatmap.bottom, width=max(width, NARROWEST), height=KEYS / 2)
        shares = Rect(left=MARGIN, top=bars.bottom, width=bars.width, height=KEYS / 2)
    else:
        width, height = _fitted(aspect, PANEL_WIDEST, room - TITLE - KEYS_SMALL)
        column = max(width, NARROWEST)
        picture = Rect(left=MARGIN, top=BAND + TITLE, width=width, height=height)
        heatmap = Rect(left=MARGIN + column + COLUMN_GAP / 2, top=picture.top, width=width, height=height)
        shares = Rect(left=picture.left, top=picture.bottom, width=column, height=KEYS_SMALL)
        bars = Rect(left=heatmap.left, top=picture.bottom, width=column, height=KEYS_SMALL)
    return {"picture": picture, "heatmap": heatmap, "bars": bars, "shares": shares}


def _row(place: Rect, panel: tuple[float, float], num_references: int) -> Row:
    top = place.top + TITLE
    area = Rect(left=place.left, top=top, width=panel[0], height=panel[1])
    rows, columns = grid_shape(num_references)
    side = (place.height - rows * CAPTION - (rows - 1) * CELL_GAP) / rows if rows else 0.0
    start = max(area.right, area.left + NARROWEST) + COLUMN_GAP / 2
    cells = tuple(
        Rect(
            left=start + (number % columns) * (side + CELL_GAP),
            top=top + (number // columns) * (side + CAPTION + CELL_GAP),
            width=side,
            height=side,
        )
        for number in range(num_references)
    )
    title = Rect(left=place.left, top=place.top, width=max(panel[0], NARROWEST), height=TITLE)
    return Row(title=title, panel=area, cells=cells)


def _widened(row: Row, right: float) -> Row:
    title = Rect(left=row.title.left, top=row.title.top, width=right - row.title.left, height=row.title.height)
    return Row(title=title, panel=row.panel, cells=row.cells)


def _fitted(aspect: float, widest: float, highest: float) -> tuple[float, float]:
    width = min(widest, highest * aspect)
    return width, width / aspect
