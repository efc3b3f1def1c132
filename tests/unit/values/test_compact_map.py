"""Heatmaps of which the window that is not zero lies in memory."""

import numpy as np
import pytest

from lcrp.values.compact_map import CompactMap


def made(*places: tuple[int, int]) -> np.ndarray:
    heatmap = np.zeros((5, 7), dtype=np.float32)
    for number, place in enumerate(places):
        heatmap[place] = (-1) ** number * (number + 0.5)
    return heatmap


@pytest.mark.parametrize(
    ("places", "size"),
    [
        ([(0, 0)], (1, 1)),
        ([(4, 6)], (1, 1)),
        ([(1, 2), (3, 2)], (3, 1)),
        ([(0, 6), (4, 0)], (5, 7)),
        ([], (0, 0)),
    ],
)
def test_whole_again_and_no_larger_than_needed(places: list[tuple[int, int]], size: tuple[int, int]) -> None:
    heatmap = made(*places)
    compact = CompactMap.of(heatmap)
    assert compact.window.shape == size
    np.testing.assert_array_equal(compact.whole(), heatmap)
    assert compact.whole().dtype == heatmap.dtype


def test_the_map_it_was_made_of_is_let_go() -> None:
    """A view would keep all of a batch's heatmaps in memory."""
    compact = CompactMap.of(made((1, 1), (2, 2)))
    assert compact.window.base is None
    heatmap = made((1, 1))
    kept = CompactMap.of(heatmap)
    heatmap[1, 1] = 7.0
    assert kept.whole()[1, 1] == 0.5


def test_what_is_no_number_stays_there() -> None:
    heatmap = made((1, 1))
    heatmap[3, 3] = np.nan
    np.testing.assert_array_equal(CompactMap.of(heatmap).whole(), heatmap)
