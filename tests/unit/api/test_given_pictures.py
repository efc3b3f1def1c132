"""Pictures as a person gives them: every kind becomes the very input that a file of the same picture becomes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lcrp.api.pictures import PictureList, given_picture, pictures_of
from lcrp.data.pictures import read_picture
from lcrp.data.transforms import InputTransform
from lcrp.errors import DataError

TRANSFORM = InputTransform(64, 96, "letterbox")
EXIF_ORIENTATION = 274


@pytest.fixture
def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)


def model_input(image: object, **settings: bool) -> torch.Tensor:
    return pictures_of(image, TRANSFORM, ("boat",), **settings)[0].image  # type: ignore[arg-type]


def test_a_file_an_array_a_pil_picture_and_a_float_tensor_are_the_same_input(photo: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(photo).save(path)
    from_file = model_input(path)
    assert torch.equal(model_input(str(path)), from_file)
    assert torch.equal(model_input(photo), from_file)
    assert torch.equal(model_input(Image.fromarray(photo)), from_file)
    assert torch.equal(model_input(Image.open(path)), from_file)
    levels = torch.from_numpy(photo).permute(2, 0, 1)
    assert torch.equal(model_input(levels.float() / 255), from_file)
    assert torch.equal(model_input(levels.double() / 255 + 5e-7), from_file)


def test_bgr_arrays_are_turned_round(photo: np.ndarray) -> None:
    assert torch.equal(model_input(photo[..., ::-1], bgr=True), model_input(photo))
    assert not torch.equal(model_input(photo[..., ::-1]), model_input(photo))


def test_bgr_keeps_alpha_last(photo: np.ndarray) -> None:
    alpha = np.full((40, 30, 1), 100, dtype=np.uint8)
    turned = np.concatenate([photo[..., ::-1], alpha], axis=2)
    straight = np.concatenate([photo, alpha], axis=2)
    assert torch.equal(model_input(turned, bgr=True), model_input(straight))


def test_exif_turns_a_pil_picture_as_it_turns_a_file(photo: np.ndarray, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    path = tmp_path / "turned.png"
    Image.fromarray(photo).save(path, exif=exif)
    assert torch.equal(model_input(Image.open(path)), model_input(path))
    assert not torch.equal(model_input(Image.open(path)), model_input(photo))


@pytest.mark.parametrize("kind", ["grey", "grey with an axis", "alpha", "sixteen bit"])
def test_other_arrays_are_read_as_files_of_them_are(kind: str, photo: np.ndarray, tmp_path: Path) -> None:
    array = {
        "grey": photo[..., 0],
        "grey with an axis": photo[..., :1],
        "alpha": np.concatenate([photo, photo[..., :1]], axis=2),
        "sixteen bit": photo[..., 0].astype(np.uint16) * 256 + 17,
    }[kind]
    path = tmp_path / "other.png"
    Image.fromarray(array.squeeze()).save(path)
    assert torch.equal(model_input(array), model_input(path))


def test_sixteen_bit_colours_count_by_their_high_byte(photo: np.ndarray) -> None:
    assert torch.equal(model_input(photo.astype(np.uint16) * 256 + 3), model_input(photo))


def test_finer_levels_agree_to_one_grey_level() -> None:
    values = torch.rand(3, 64, 96, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    difference = (model_input(values) - values).abs().max()
    assert 0 < difference <= 1 / 255


def test_a_grey_float_tensor_is_shown_grey() -> None:
    grey = torch.linspace(0, 1, 1200).reshape(1, 40, 30)
    assert torch.equal(model_input(grey), model_input(grey.expand(3, -1, -1)))


def test_the_given_picture_is_left_alone(photo: np.ndarray) -> None:
    before = photo.copy()
    given_picture(photo).pixels.zero_()
    tensor = torch.zeros(3, 4, 4, requires_grad=True)
    given_picture(tensor).pixels.add_(1)
    assert (photo == before).all()
    assert not tensor.any()


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((3, 40, 30), np.uint8), r"3 x 40 x 30 has its colours first: .*transpose\(1, 2, 0\)"),
        (np.zeros((40, 30, 3), np.float32), r"array of float32 is no picture: give uint8"),
        (np.zeros((40, 30, 3), np.int64), r"array of int64 is no picture"),
        (np.zeros((2, 40, 30, 3), np.uint8), r"2 x 40 x 30 x 3 is no picture: .*or a list"),
        (np.zeros((40, 30, 2), np.uint8), r"40 x 30 x 2 is no picture"),
        (np.zeros((0, 30, 3), np.uint8), r"0 x 30 x 3 is empty"),
        (np.zeros((), np.uint8), r"no axes is no picture"),
        (torch.full((3, 4, 4), 200.0), r"from 0 to 1, this one from 200 to 200; divide it by 255"),
        (torch.full((3, 4, 4), -0.5), r"from 0 to 1, this one from -0.5 to -0.5$"),
        (torch.full((3, 4, 4), float("nan")), r"this one from nan to nan"),
        (torch.full((3, 4, 4), float("inf")), r"this one from inf to inf"),
        (torch.zeros(3, 4, 4, dtype=torch.uint8), r"tensor of uint8 is no picture: .*tensor / 255"),
        (torch.zeros(1, 3, 4, 4), r"tensor of 1 x 3 x 4 x 4 is no picture: give 3 x H x W, or a list"),
        (torch.zeros(4, 4, 3), r"permute\(2, 0, 1\)"),
        (torch.zeros(3, 0, 4), r"3 x 0 x 4 is empty"),
        (Image.new("RGB", (0, 3)), r"0 x 3 pixels is empty"),
        ({"picture": 1}, r"a dict is no picture: give a path"),
        (None, r"a NoneType is no picture"),
    ],
)
def test_what_is_no_picture_gets_one_line(image: object, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        given_picture(image)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("image", ["photo.png", Image.new("RGB", (3, 3)), torch.zeros(3, 4, 4)])
def test_bgr_says_nothing_of_what_is_no_array(image: object) -> None:
    with pytest.raises(DataError, match=r"bgr=True says how the colours of an array lie"):
        pictures_of(image, TRANSFORM, (), bgr=True)  # type: ignore[arg-type]


def test_a_damaged_file_of_pil_gets_one_line(photo: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(photo).save(path)
    path.write_bytes(path.read_bytes()[:200])
    with Image.open(path) as opened, pytest.raises(DataError, match=r"the picture of PIL cannot be read"):
        given_picture(opened)


def test_a_pil_picture_is_called_by_its_file(photo: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(photo).save(path)
    assert pictures_of(Image.open(path), TRANSFORM, ()).key(0) == "photo.png"
    assert pictures_of(photo, TRANSFORM, ()).key(0) == "picture"


def test_the_fingerprint_of_pictures_tells_pixels_apart(photo: np.ndarray) -> None:
    def fingerprint(*arrays: np.ndarray) -> str:
        return PictureList([given_picture(array) for array in arrays], TRANSFORM, ()).fingerprint()

    other = photo.copy()
    other[0, 0, 0] ^= 1
    assert fingerprint(photo, photo) == fingerprint(photo, photo.copy())
    assert fingerprint(photo) != fingerprint(other)
    assert fingerprint(photo) != fingerprint(photo, photo)
    assert fingerprint(photo) != fingerprint(photo.transpose(1, 0, 2))


def test_pictures_of_one_name_are_numbered(photo: np.ndarray) -> None:
    pictures = PictureList([given_picture(photo), given_picture(photo)], TRANSFORM, ())
    assert [pictures.key(number) for number in range(2)] == ["picture 1", "picture 2"]
    assert pictures.index_of("picture 2") == 1
    with pytest.raises(DataError, match=r"no sample 2; it has 2 samples"):
        pictures[2]


def test_read_picture_and_given_picture_agree(photo: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(photo).save(path)
    assert torch.equal(read_picture(path, oriented=True), given_picture(photo).pixels)


@pytest.mark.parametrize("tensor", [torch.zeros(3, 4, 4, device="meta"), torch.ones(3, 4, 4).to_sparse()])
def test_tensors_without_values_in_memory_are_refused(tensor: torch.Tensor) -> None:
    with pytest.raises(DataError, match=r"a tensor of 3 x 4 x 4 without values in memory"):
        given_picture(tensor)


def test_floating_point_files_are_refused_for_nobody_knows_their_range(tmp_path: Path) -> None:
    path = tmp_path / "float.tiff"
    Image.fromarray(np.full((4, 4), 0.5, dtype=np.float32)).save(path)  # once read as black
    with pytest.raises(DataError, match="it holds floating point numbers; save it with 8 or 16 bits"):
        read_picture(path, oriented=True)
    with pytest.raises(DataError, match="it holds floating point numbers"):
        given_picture(Image.open(path))
