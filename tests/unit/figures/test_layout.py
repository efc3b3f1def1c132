"""Nothing overlaps and nothing leaves the figure, whatever is shown."""

from itertools import combinations, product

import pytest

from lcrp.figures.layout import Heights, Layout, columns, figure_layout, grid_shape, is_stacked
from lcrp.figures.rect import Rect

HEAD, CAPTION = 0.9, 0.2


def laid_out(aspect: float, num_concepts: int, num_references: int, parts: int = 3) -> Layout:
    widths = columns(aspect=aspect, num_concepts=num_concepts, num_references=num_references)
    below = [0.5] * parts
    heights = Heights(heading=0.4, title=0.25, caption=CAPTION, below_picture=below, below_heatmap=below[1:])
    return figure_layout(widths, heights, head=HEAD, stacked=is_stacked(widths, heights))


def placed(layout: Layout) -> list[Rect]:
    cells = [
        Rect(left=cell.left, top=cell.top, width=cell.width, height=cell.height + CAPTION)
        for row in layout.rows
        for cell in row.cells
    ]
    panels = [rect for row in layout.rows for rect in (row.title, row.panel)]
    head = Rect(left=0.0, top=0.0, width=layout.size[0], height=HEAD)
    headings = [layout.concepts_heading, layout.references_heading] if layout.rows else []
    below = [*layout.below_picture, *layout.below_heatmap]
    return [head, layout.picture, layout.heatmap, *below, *filter(None, headings), *panels, *cells]


def overlap(one: Rect, other: Rect) -> bool:
    slack = 1e-6
    across = min(one.right, other.right) - max(one.left, other.left)
    down = min(one.bottom, other.bottom) - max(one.top, other.top)
    return across > slack and down > slack


@pytest.mark.parametrize("aspect", [0.2, 0.4, 0.66, 1.0, 1.5, 2.0, 3.5, 8.0])
@pytest.mark.parametrize("parts", [1, 3, 6])
def test_no_part_overlaps_another_or_leaves_the_figure(aspect: float, parts: int) -> None:
    for num_concepts, num_references in product((0, 1, 2, 3, 5, 8), (0, 1, 3, 5, 12, 13, 24)):
        layout = laid_out(aspect, num_concepts, num_references, parts)
        rects = placed(layout)
        for one, other in combinations(rects, 2):
            assert not overlap(one, other), (num_concepts, num_references, one, other)
        for rect in rects:
            assert rect.left >= 0
            assert rect.top >= 0
            assert rect.right <= layout.size[0] + 1e-9
            assert rect.bottom <= layout.size[1] + 1e-9
            assert rect.width > 0.2
            assert rect.height > 0.1


@pytest.mark.parametrize("aspect", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("num_concepts", [1, 3])
def test_panels_keep_the_aspect_of_the_picture(aspect: float, num_concepts: int) -> None:
    layout = laid_out(aspect, num_concepts, 12)
    for rect in (layout.picture, layout.heatmap, layout.rows[0].panel):
        assert rect.width / rect.height == pytest.approx(aspect)
    assert all(cell.width == pytest.approx(cell.height) for cell in layout.rows[0].cells)


@pytest.mark.parametrize("aspect", [0.66, 1.0, 1.5])
@pytest.mark.parametrize("num_references", [0, 2, 12])
def test_one_concept_stands_beside_both_panels_and_three_beside_a_stack(aspect: float, num_references: int) -> None:
    single, three = laid_out(aspect, 1, num_references), laid_out(aspect, 3, num_references)
    assert single.heatmap.top == pytest.approx(single.picture.top)
    assert three.heatmap.left == pytest.approx(three.picture.left)


def test_a_panel_is_never_a_stamp() -> None:
    for aspect, num_concepts in product((0.66, 1.0, 1.5), (1, 2, 3)):
        layout = laid_out(aspect, num_concepts, 2, parts=6)
        assert max(layout.picture.width, layout.picture.height) > 1.6


def test_twelve_references_lie_in_two_lines_of_six_and_in_three_beside_few_concepts() -> None:
    assert grid_shape(12) == (2, 6)
    assert grid_shape(12, num_concepts=1) == (3, 4)
    assert grid_shape(0) == (0, 0)
    for count, num_concepts in product(range(1, 25), (1, 3)):
        rows, across = grid_shape(count, num_concepts)
        assert rows * across >= count
        assert (rows - 1) * across < count
