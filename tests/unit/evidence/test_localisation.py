"""Where relevance lies, by hand and beside loops over pixels."""

import numpy as np
import pytest

from lcrp.evidence.localisation import areas, rank_accuracy, shares

HEATMAP = np.array([[3.0, -5.0, 1.0], [0.0, 4.0, 0.0]])
LEFT = np.array([[True, False, False], [True, False, False]])
MIDDLE = np.array([[False, True, False], [False, True, False]])


def test_shares_by_hand():
    """R+ is 3, 0, 1, 0, 4, 0: relevance against the decision neither counts for a mask nor in the sum."""
    np.testing.assert_allclose(shares(HEATMAP, np.stack([LEFT, MIDDLE, LEFT | MIDDLE])), [3 / 8, 4 / 8, 7 / 8])


def test_rank_accuracy_by_hand():
    """The two strongest pixels are 4 (middle) and 3 (left)."""
    assert rank_accuracy(HEATMAP, MIDDLE) == 0.5
    assert rank_accuracy(HEATMAP, LEFT | MIDDLE) == 0.5  # of four pixels three are positive, one of them outside
    assert rank_accuracy(HEATMAP, np.array([[True, False, False], [False, True, False]])) == 1.0


def test_pixels_without_relevance_are_no_hits_wherever_they_lie():
    single = np.zeros((2, 3))
    single[1, 2] = 1.0
    assert rank_accuracy(single, LEFT) == 0.0
    assert rank_accuracy(single, ~LEFT) == 0.25


def test_maps_without_positive_relevance_say_nothing():
    assert np.isnan(shares(-np.ones((2, 3)), np.stack([LEFT]))).all()
    assert np.isnan(rank_accuracy(-np.ones((2, 3)), LEFT))
    assert np.isnan(rank_accuracy(HEATMAP, np.zeros((2, 3), dtype=bool)))


def test_an_even_map_has_the_areas_as_shares():
    masks = np.random.default_rng(0).random((4, 6, 7)) < 0.3
    np.testing.assert_allclose(shares(np.full((6, 7), 0.2), masks), areas(masks))


def test_measures_equal_loops_over_pixels():
    generator = np.random.default_rng(1)
    heatmap, mask = generator.normal(size=(6, 7)), generator.random((6, 7)) < 0.4
    inside = total = 0.0
    pixels = []
    for row in range(6):
        for column in range(7):
            value = max(heatmap[row, column], 0.0)
            total += value
            inside += value if mask[row, column] else 0.0
            pixels.append((value, bool(mask[row, column])))
    assert shares(heatmap, mask[None])[0] == pytest.approx(inside / total)
    first = sorted(pixels, key=lambda pixel: -pixel[0])[: int(mask.sum())]
    assert rank_accuracy(heatmap, mask) == pytest.approx(sum(hit for value, hit in first if value > 0) / len(first))
