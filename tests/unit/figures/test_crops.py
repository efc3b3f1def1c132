"""Reference crops: blur, mask and window."""

import numpy as np
import pytest

from lcrp.figures import crops


def test_blur_is_the_gaussian_of_kernel_13_written_out() -> None:
    values = np.random.default_rng(0).normal(size=(20, 17))
    offsets = np.arange(-6, 7)
    weights = np.exp(-(offsets**2) / (2 * 2.3**2))
    weights /= weights.sum()
    padded = np.pad(values, 6, mode="reflect")
    expected = np.zeros_like(values)
    for row in range(20):
        for column in range(17):
            expected[row, column] = weights @ padded[row : row + 13, column : column + 13] @ weights
    np.testing.assert_allclose(crops.gaussian_blur(values), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("rows", "columns"), [((0, 3), (0, 60)), ((30, 33), (20, 21)), ((57, 60), (3, 40)), ((0, 0), (0, 0))]
)
def test_blur_leaves_out_nothing_that_is_not_zero(rows: tuple[int, int], columns: tuple[int, int]) -> None:
    heatmap = np.zeros((60, 60))
    heatmap[slice(*rows), slice(*columns)] = np.random.default_rng(0).random(
        (rows[1] - rows[0], columns[1] - columns[0])
    )
    whole = crops.gaussian_blur(heatmap)
    found = crops.relative_visibility(heatmap)
    if found is None:
        assert whole.max() == 0
    else:
        np.testing.assert_allclose(found, whole / whole.max(), atol=1e-15)


def test_blur_takes_pictures_smaller_than_its_kernel() -> None:
    np.testing.assert_allclose(crops.gaussian_blur(np.full((3, 5), 2.0)), 2.0)


def test_the_last_row_and_column_belong_to_the_window() -> None:
    mask = np.zeros((10, 12), dtype=bool)
    mask[2:5, 3:9] = True
    top, left, bottom, right = crops.bounding_window(mask)
    assert (top, left, bottom, right) == (2, 3, 5, 9)
    assert mask[top:bottom, left:right].sum() == mask.sum()


def test_an_empty_mask_keeps_the_whole_picture() -> None:
    assert crops.bounding_window(np.zeros((10, 12), dtype=bool)) == (0, 0, 10, 12)


@pytest.mark.parametrize(
    ("window", "size", "expected"),
    [
        ((10, 10, 20, 50), (100, 100), (0, 10, 40, 50)),  # made square, shifted into the picture
        ((40, 40, 44, 44), (100, 100), (30, 30, 54, 54)),  # never below the smallest side
        ((0, 10, 30, 90), (30, 100), (0, 10, 30, 90)),  # as square as the picture permits
        ((90, 90, 100, 100), (100, 100), (76, 76, 100, 100)),  # kept at the corner
    ],
)
def test_windows_are_square_within_the_picture(
    window: tuple[int, int, int, int], size: tuple[int, int], expected: tuple[int, int, int, int]
) -> None:
    assert crops.square_window(window, size, min_side=24, context=1.0) == expected


def test_crop_shows_what_the_neuron_saw() -> None:
    picture = np.random.default_rng(1).random((64, 96, 3))
    heatmap = np.zeros((64, 96))
    heatmap[30, 70] = 5.0
    heatmap[10, 10] = -9.0  # negative relevance shows nothing
    crop = crops.reference_crop(picture, heatmap)
    side = crop.picture.shape[0]
    assert crop.picture.shape == (side, side, 3)
    place = np.argwhere((picture == crop.picture[0, 0]).all(axis=-1))[0]
    assert crop.mask[30 - place[0], 70 - place[1]]
    assert not crop.mask[0, 0]
    blurred = crops.gaussian_blur(heatmap)
    assert crop.mask.sum() == (blurred / blurred.max() > 0.05).sum()


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_crop_without_positive_relevance_is_the_whole_picture(value: float) -> None:
    picture = np.random.default_rng(2).random((30, 40, 3))
    crop = crops.reference_crop(picture, np.full((30, 40), value))
    np.testing.assert_array_equal(crop.picture, picture)
    assert crop.mask.all()


def test_a_marked_crop_is_dark_where_the_neuron_did_not_look() -> None:
    """A mask upside down, or an edge along the picture's border, would show the wrong part."""
    visibility = np.zeros((30, 40))
    visibility[:15, 10:30] = 1.0
    picture = np.full((30, 40, 3), 0.4)
    marked = crops.marked_crop(crops.ReferenceCrop(picture=picture, visibility=visibility, window=(0, 0, 30, 40)), 96)
    assert marked.shape == (72, 96, 3)
    assert marked[60, 48] == pytest.approx(0.2, abs=0.01)
    assert marked[10, 48] == pytest.approx(0.4, abs=0.01)
    assert marked[0, 48] == pytest.approx(0.4, abs=0.01)
    assert marked.max() > 0.8
    whole = crops.ReferenceCrop(picture=picture, visibility=np.ones((30, 40)), window=(0, 0, 30, 40))
    assert crops.marked_crop(whole, 40) == pytest.approx(picture, abs=0.01)
