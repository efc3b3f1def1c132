"""Heatmaps as colour."""

import numpy as np
import pytest

from lcrp.figures import colours


def test_scale_is_symmetric_around_zero() -> None:
    shade = colours.shading(np.array([[-4.0, 0.0, 4.0]]), "diverging")
    assert colours.normalised(np.array([[-2.0, 0.0, 2.0]]), shade).tolist() == [[-0.5, 0.0, 0.5]]


def test_one_large_pixel_does_not_hide_the_rest() -> None:
    heatmap = np.ones((50, 50))
    heatmap[0, 0] = 60.0
    assert colours.shading(heatmap, "diverging").limit == pytest.approx(1.0)


def test_a_small_spot_in_an_empty_map_keeps_its_shades() -> None:
    heatmap = np.zeros((200, 200))
    heatmap[0, :4] = [1.0, 2.0, 3.0, 4.0]
    assert colours.shading(heatmap, "diverging").limit > 3.0


def test_zero_shows_the_faded_picture_alone() -> None:
    picture = np.random.default_rng(0).random((5, 6, 3))
    heatmap = np.zeros((5, 6))
    shown = colours.overlay(picture, heatmap, colours.shading(heatmap, "diverging"))
    np.testing.assert_allclose(shown, colours.faded(picture))
    assert np.ptp(shown, axis=-1).max() == pytest.approx(0.0)


def test_red_speaks_for_and_blue_against() -> None:
    heatmap = np.array([[1.0, -1.0]])
    shown = colours.overlay(np.full((1, 2, 3), 0.5), heatmap, colours.shading(heatmap, "diverging"))
    assert shown[0, 0, 0] > shown[0, 0, 2] + 0.2
    assert shown[0, 1, 2] > shown[0, 1, 0] + 0.2


def test_sequential_scale_leaves_negative_values_out() -> None:
    heatmap = np.array([[2.0, -8.0]])
    shade = colours.shading(heatmap, "sequential")
    assert colours.normalised(heatmap, shade).tolist() == [[1.0, 0.0]]


def test_colours_stay_in_range() -> None:
    generator = np.random.default_rng(3)
    heatmap = generator.normal(size=(30, 30)) ** 3
    shown = colours.overlay(generator.random((30, 30, 3)), heatmap, colours.shading(heatmap, "diverging"))
    assert shown.min() >= 0.0
    assert shown.max() <= 1.0
