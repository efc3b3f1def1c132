import numpy as np
import pytest
import torch

from lcrp.data.transforms import InputTransform
from lcrp.errors import ConfigError, DataError
from lcrp.values.sample import Annotation


def picture(height, width):
    generator = torch.Generator().manual_seed(height * 1000 + width)
    return torch.randint(0, 256, (3, height, width), generator=generator, dtype=torch.uint8)


def annotation(height, width, box):
    left, top, right, bottom = box
    mask = torch.zeros(height, width, dtype=torch.bool)
    mask[top:bottom, left:right] = True
    return Annotation(
        boxes=torch.tensor([box], dtype=torch.float32),
        labels=torch.tensor([3]),
        masks=mask[None],
        class_mask=mask.long() * 4,
        parts={"boat.sail": mask},
        context=mask.long(),
    )


@pytest.mark.parametrize(
    ("height", "width", "size", "top", "left"),
    [
        (426, 640, (426, 640), 107, 0),
        (480, 640, (480, 640), 80, 0),
        (333, 500, (426, 640), 107, 0),  # int(333 * 1.28) = int(426.24)
        (640, 427, (640, 427), 0, 106),  # bars of round(106.4) = 106 and round(106.6) = 107
        (1000, 17, (640, 10), 0, 315),
    ],
)
def test_letterbox_has_the_forerunners_sizes_and_paddings(height, width, size, top, left):
    image, _, geometry = InputTransform(640, 640)(picture(height, width), None)
    assert image.shape == (3, 640, 640)
    assert image.dtype == torch.float32
    assert geometry.offset == (top, left)
    assert geometry.scale == (size[0] / height, size[1] / width)
    inside = torch.zeros(640, 640, dtype=torch.bool)
    inside[top : top + size[0], left : left + size[1]] = True
    assert (image[:, ~inside] == torch.tensor(114.0) / 255).all()
    if size == (height, width):
        assert torch.equal(image[:, inside].view(3, *size), picture(height, width).float() / 255)


@pytest.mark.parametrize("resize", ["letterbox", "stretch", "shorter_crop"])
@pytest.mark.parametrize("size", [(100, 200), (200, 100), (96, 96), (51, 49)])
def test_boxes_masks_and_geometry_agree(resize, size):
    box = (15, 12, 40, 44)
    image, moved, geometry = InputTransform(64, 64, resize)(picture(*size), annotation(*size, box))
    expected = geometry.to_input(np.array([box]))[0].clip(0, 64)
    assert image.shape == (3, 64, 64)
    assert type(image) is torch.Tensor
    if len(moved.boxes) == 0:  # cut away by the crop
        assert expected[0] >= expected[2] or expected[1] >= expected[3]
        return
    np.testing.assert_allclose(moved.boxes[0].numpy(), expected, atol=1e-4)
    rows, columns = torch.nonzero(moved.masks[0], as_tuple=True)
    extent = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(np.array(extent), expected, atol=1.0)
    assert torch.equal(moved.parts["boat.sail"], moved.masks[0])
    assert torch.equal(moved.class_mask == 4, moved.masks[0])
    assert moved.labels.tolist() == [3]


@pytest.mark.parametrize("resize", ["letterbox", "stretch", "shorter_crop"])
@pytest.mark.parametrize("size", [(512, 1024), (90, 70), (17, 40)])
def test_masks_show_the_class_under_the_centre_of_each_pixel(resize, size):
    """torchvision's nearest pixel lies up to half a pixel beside the picture's and the boxes'."""
    height, width = size
    numbers = torch.arange(height * width).reshape(height, width)  # every pixel is a class of its own
    objects = Annotation(boxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.int64), class_mask=numbers)
    _, moved, geometry = InputTransform(64, 96, resize)(picture(height, width), objects)
    y, x = (
        ((np.arange(length) + 0.5 - offset) / scale)
        for length, offset, scale in zip((64, 96), geometry.offset, geometry.scale, strict=True)
    )
    top, left, bottom, right = geometry.content()
    rows, columns = np.floor(y[top:bottom] + 1e-9).astype(int), np.floor(x[left:right] + 1e-9).astype(int)
    expected = numbers.numpy()[np.ix_(rows, columns)]
    np.testing.assert_array_equal(moved.class_mask[top:bottom, left:right].numpy(), expected)


@pytest.mark.parametrize(
    ("side", "size", "scaled", "offset"),
    [
        (513, (375, 500), (513, 684), (0, -86)),  # round(85.5) is even
        (513, (500, 333), (770, 513), (-128, 0)),  # int(770.27); round(128.5) is even
        (513, (513, 513), (513, 513), (0, 0)),
    ],
)
def test_shorter_crop_has_the_forerunners_sizes_and_offsets(side, size, scaled, offset):
    """torchvision's Resize(513) and CenterCrop(513)."""
    _, _, geometry = InputTransform(side, side, "shorter_crop")(picture(*size), None)
    assert geometry.scale == (scaled[0] / size[0], scaled[1] / size[1])
    assert geometry.offset == offset


def test_pixels_beside_a_letterboxed_picture_are_void_and_no_object():
    _, moved, geometry = InputTransform(64, 64)(picture(32, 64), annotation(32, 64, (0, 0, 64, 32)))
    top, _, bottom, _ = geometry.content()
    assert (top, bottom) == (16, 48)
    for values, fill in ((moved.class_mask, 255), (moved.context, 255), (moved.masks[0], 0)):
        assert (values[:top] == fill).all()
        assert (values[bottom:] == fill).all()
        assert (values[top:bottom] != fill).all()


def test_integer_boxes_keep_their_fractions():
    objects = Annotation(boxes=torch.tensor([[1, 1, 4, 4]]), labels=torch.tensor([0]))
    _, moved, _ = InputTransform(5, 5, "stretch")(picture(10, 10), objects)
    assert moved.boxes.tolist() == [[0.5, 0.5, 2.0, 2.0]]


def test_a_crop_drops_what_it_cuts_away_and_clips_the_rest():
    objects = Annotation(
        boxes=torch.tensor([[0.0, 0, 10, 50], [40, 10, 80, 40]]),
        labels=torch.tensor([1, 2]),
        masks=torch.zeros(2, 50, 100, dtype=torch.bool),
    )
    _, moved, geometry = InputTransform(50, 50, "shorter_crop")(picture(50, 100), objects)
    assert geometry.offset == (0, -25)
    assert moved.labels.tolist() == [2]
    assert moved.masks.shape == (1, 50, 50)
    assert moved.boxes.tolist() == [[15, 10, 50, 40]]


@pytest.mark.parametrize("resize", ["letterbox", "stretch", "shorter_crop", "none"])
def test_a_picture_without_objects(resize):
    nothing = Annotation(
        boxes=torch.zeros(0, 4),
        labels=torch.zeros(0, dtype=torch.int64),
        masks=torch.zeros(0, 40, 60, dtype=torch.bool),
    )
    _, moved, _ = InputTransform(40, 60, resize)(picture(40, 60), nothing)
    assert moved.boxes.shape == (0, 4)
    assert moved.masks.shape == (0, 40, 60)


def test_none_takes_only_the_exact_size():
    exact, _, geometry = InputTransform(20, 30, "none")(picture(20, 30), None)
    assert torch.equal(exact, picture(20, 30).float() / 255)
    assert geometry.scale == (1, 1)
    with pytest.raises(DataError, match=r"20x31 pixels, the model takes 20x30 as they are"):
        InputTransform(20, 30, "none")(picture(20, 31), None)


def test_an_unknown_resize_names_the_choices():
    with pytest.raises(ConfigError, match=r"^resize='leterbox' is unknown; nearest: 'letterbox'"):
        InputTransform(20, 30, "leterbox")
    with pytest.raises(ConfigError, match=r"^height=0 is too small; the least is 1"):
        InputTransform(0, 30)


@pytest.mark.parametrize(
    ("size", "resized", "padded", "offset"),
    [
        ((1080, 810), (640, 480), (640, 480), (0, 0)),
        ((810, 1080), (480, 640), (480, 640), (0, 0)),
        ((427, 640), (427, 640), (448, 640), (10, 0)),  # 21 rows: 10 above, 11 below
        ((333, 500), (426, 640), (448, 640), (11, 0)),
        ((100, 33), (640, 211), (640, 224), (0, 6)),  # 13 columns: 6 and 7
        ((5, 1000), (3, 640), (32, 640), (14, 0)),  # 29 rows: 14 and 15
    ],
)
def test_a_rectangle_has_bars_up_to_the_next_multiple_of_the_stride(
    size: tuple[int, int], resized: tuple[int, int], padded: tuple[int, int], offset: tuple[int, int]
) -> None:
    """By hand: r = min(640 / h, 640 / w), sides rounded, bars round(d - 0.1) of d = half of what is missing."""
    image, _, geometry = InputTransform(640, 640).as_rectangle()(picture(*size), None)
    assert tuple(image.shape[1:]) == geometry.input_size == padded
    assert geometry.offset == offset
    top, left, bottom, right = geometry.content()
    assert (bottom - top, right - left) == resized
    beside = image.clone()
    beside[:, top:bottom, left:right] = 114 / 255
    torch.testing.assert_close(beside, torch.full_like(beside, 114 / 255))


def test_only_letterboxed_pictures_have_rectangles() -> None:
    with pytest.raises(ConfigError, match=r"needs letterboxed pictures; here they are placed by 'stretch'"):
        InputTransform(640, 640, "stretch").as_rectangle()
