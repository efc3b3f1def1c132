"""Nothing overlaps and nothing leaves the figure, whatever is shown."""

from itertools import combinations, product

import pytest

from lcrp.figures.layout import CAPTION, Layout, Rect, figure_layout, grid_shape


def _placed(layout: Layout) -> list[Rect]:
    cells = [
        Rect(left=cell.left, top=cell.top, width=cell.width, height=cell.height + CAPTION)
        for row in layout.rows
        for cell in row.cells
    ]
    panels = [rect for row in layout.rows for rect in (row.title, row.panel)]
    return [layout.band, layout.picture, layout.heatmap, layout.bars, layout.shares, *panels, *cells]


def _overlap(one: Rect, other: Rect) -> bool:
    slack = 1e-6
    across = min(one.right, other.right) - max(one.left, other.left)
    down = min(one.bottom, other.bottom) - max(one.top, other.top)
    return across > slack and down > slack


@pytest.mark.parametrize("aspect", [0.4, 0.66, 1.0, 1.5, 2.0, 3.5])
def test_no_part_overlaps_another_or_leaves_the_figure(aspect: float) -> None:
    for num_concepts, num_references in product((0, 1, 2, 3, 8), (0, 1, 3, 5, 12, 13, 24)):
        layout = figure_layout(aspect=aspect, num_concepts=num_concepts, num_references=num_references)
        placed = _placed(layout)
        for one, other in combinations(placed, 2):
            assert not _overlap(one, other), (num_concepts, num_references, one, other)
        for rect in placed:
            assert rect.left >= 0
            assert rect.top >= 0
            assert rect.right <= layout.size[0] + 1e-9
            assert rect.bottom <= layout.size[1] + 1e-9
            assert rect.width > 0.2
            assert rect.height > 0.2


@pytest.mark.parametrize("aspect", [0.5, 1.0, 2.0])
def test_panels_keep_the_aspect_of_the_picture(aspect: float) -> None:
    layout = figure_layout(aspect=aspect, num_concepts=3, num_references=12)
    for rect in (layout.picture, layout.heatmap, layout.rows[0].panel):
        assert rect.width / rect.height == pytest.approx(aspect)
    assert all(cell.width == pytest.approx(cell.height) for cell in layout.rows[0].cells)


def test_twelve_references_lie_in_two_lines_of_six() -> None:
    assert grid_shape(12) == (2, 6)
    assert grid_shape(0) == (0, 0)
    for count in range(1, 25):
        rows, columns = grid_shape(count)
        assert rows * columns >= count
        assert (rows - 1) * columns < count
