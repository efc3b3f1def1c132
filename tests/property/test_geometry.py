"""Maps, masks and boxes go from a model's input to the picture without loss, whatever the placement."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from repeatable import repeatable

from lcrp.data.transforms import InputTransform
from lcrp.values.geometry import Geometry, ResizeName

MANY = repeatable(60)
SIDES = st.integers(1, 40)
RESIZES = st.sampled_from(["letterbox", "stretch", "shorter_crop"])


def placement(picture: tuple[int, int], given_size: tuple[int, int], resize: ResizeName) -> Geometry:
    geometry, _ = InputTransform(*given_size, resize)._placement(picture)  # torch cannot resize a column of one pixel
    return geometry


def noise(size: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(size[0] * 1000 + size[1]).standard_normal(size)


@MANY
@given(picture=st.tuples(SIDES, SIDES), size=st.tuples(SIDES, SIDES), resize=RESIZES)
def test_sums_are_kept(picture: tuple[int, int], size: tuple[int, int], resize: ResizeName) -> None:
    geometry, heatmap = placement(picture, size, resize), noise(size)
    found = geometry.map_to_picture(heatmap)
    assert found.values.shape == picture
    assert abs(found.values.sum() + found.beside - heatmap.sum()) <= 1e-9
    positive = geometry.map_to_picture(np.abs(heatmap))
    assert positive.values.min() >= 0
    assert positive.beside >= 0


@MANY
@given(picture=st.tuples(SIDES, SIDES), size=st.tuples(SIDES, SIDES), resize=RESIZES)
def test_maps_equal_a_sum_over_pixels(picture: tuple[int, int], size: tuple[int, int], resize: ResizeName) -> None:
    geometry, heatmap = placement(picture, size, resize), noise(size)
    found, expected = geometry.map_to_picture(heatmap).values, np.zeros(picture)
    boxes = geometry.to_input(np.array([[x, y, x + 1, y + 1] for y in range(picture[0]) for x in range(picture[1])]))
    for (y, x), (left, top, right, bottom) in zip(np.ndindex(*picture), boxes, strict=True):
        for row in range(max(0, int(top)), min(size[0], int(bottom) + 1)):
            for column in range(max(0, int(left)), min(size[1], int(right) + 1)):
                height = max(0.0, min(bottom, row + 1) - max(top, row))
                width = max(0.0, min(right, column + 1) - max(left, column))
                expected[y, x] += heatmap[row, column] * height * width
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


@MANY
@given(size=st.tuples(SIDES, SIDES))
def test_a_picture_that_is_the_input_keeps_its_map(size: tuple[int, int]) -> None:
    heatmap, geometry = noise(size), Geometry.identity(size)
    found = geometry.map_to_picture(heatmap)
    np.testing.assert_array_equal(found.values, heatmap)
    assert (found.beside, found.unseen) == (0, 0)
    np.testing.assert_array_equal(geometry.mask_to_picture(heatmap > 0), heatmap > 0)


@MANY
@given(side=st.tuples(st.integers(1, 12), st.integers(1, 12)), factor=st.integers(1, 4), divisor=st.integers(1, 4))
def test_a_picture_of_a_multiple_of_the_size_has_the_same_map_in_blocks(
    side: tuple[int, int], factor: int, divisor: int
) -> None:
    small = (side[0] * divisor, side[1] * divisor)
    large = (small[0] * factor, small[1] * factor)
    heatmap = noise(side)
    coarse, fine = (placement(size, side, "stretch").map_to_picture(heatmap).values for size in (small, large))
    blocks = fine.reshape(small[0], factor, small[1], factor).sum(axis=(1, 3))
    np.testing.assert_allclose(blocks, coarse, rtol=0, atol=1e-9)


@MANY
@given(picture=st.tuples(SIDES, SIDES), size=st.tuples(SIDES, SIDES))
def test_what_a_crop_cuts_away_is_counted(picture: tuple[int, int], size: tuple[int, int]) -> None:
    geometry = placement(picture, size, "shorter_crop")
    found = geometry.map_to_picture(np.ones(size))
    whole = picture[0] * geometry.scale[0] * picture[1] * geometry.scale[1]
    assert abs(found.unseen - (1 - size[0] * size[1] / whole)) <= 1e-9
    assert abs(found.beside) <= 1e-9
    assert placement(picture, size, "letterbox").map_to_picture(np.ones(size)).unseen <= 1e-9


@MANY
@given(picture=st.tuples(SIDES, SIDES), size=st.tuples(SIDES, SIDES), resize=RESIZES, corners=st.tuples(*[SIDES] * 4))
def test_boxes_of_the_picture_come_back(
    picture: tuple[int, int], size: tuple[int, int], resize: ResizeName, corners: tuple[int, int, int, int]
) -> None:
    geometry = placement(picture, size, resize)
    height, width = picture
    (left, right), (top, bottom) = (
        sorted((corners[0] % (width + 1), corners[1] % (width + 1))),
        sorted((corners[2] % (height + 1), corners[3] % (height + 1))),
    )
    found = geometry.box_to_picture(geometry.box_to_input((left, top, right, bottom)))
    np.testing.assert_allclose(found, (left, top, right, bottom), atol=1e-9)
    everything = geometry.box_to_picture(geometry.box_to_input((-5.0, -5.0, width + 5.0, height + 5.0)))
    assert everything == (0, 0, width, height)  # nothing of a box lies beside the picture


def test_masks_take_what_lies_under_each_pixel() -> None:
    letterboxed = Geometry(picture_size=(4, 8), input_size=(4, 4), scale=(0.5, 0.5), offset=(1.0, 0.0))
    mask = np.zeros((4, 4), dtype=bool)
    mask[1, 2:] = mask[0] = mask[3] = True  # the first row and the last lie in the bars
    expected = np.zeros((4, 8), dtype=bool)
    expected[:2, 4:] = True
    np.testing.assert_array_equal(letterboxed.mask_to_picture(mask), expected)
    cropped = Geometry(picture_size=(2, 6), input_size=(2, 2), scale=(1.0, 1.0), offset=(0.0, -2.0))
    found = cropped.mask_to_picture(np.ones((2, 2), dtype=bool))
    np.testing.assert_array_equal(found, np.array([[False, False, True, True, False, False]] * 2))


def test_a_pixel_of_a_squeezed_picture_is_wide() -> None:
    """Of 200 columns every input pixel shows two, of 100 rows one."""
    squeezed = Geometry(picture_size=(100, 200), input_size=(100, 100), scale=(1.0, 0.5), offset=(0.0, 0.0))
    assert squeezed.pixel_aspect == 2.0
    assert Geometry.identity((10, 20)).pixel_aspect == 1.0
