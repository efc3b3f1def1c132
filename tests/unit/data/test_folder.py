import re
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from lcrp.data.folder import FolderDataset
from lcrp.data.transforms import InputTransform
from lcrp.errors import DataError

TRANSFORM = InputTransform(32, 32, "stretch")


def save(path, mode="RGB", size=(32, 32), colour=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour if colour is not None else 0).save(path, **options)


def dataset(path, transform=TRANSFORM):
    return FolderDataset(path, transform, ("cat",))


def keys(pictures):
    return [pictures.key(index) for index in range(len(pictures))]


def test_order_is_natural_and_other_files_are_left_out(tmp_path):
    for name in ("10.png", "2.png", "b/1.png", "1.JPG", ".hidden.png"):
        save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    assert keys(dataset(tmp_path)) == ["1.JPG", "2.png", "10.png"]
    assert keys(dataset(tmp_path / "*.png")) == ["2.png", "10.png"]
    assert keys(dataset(tmp_path / "**" / "*.png")) == ["2.png", "10.png", "b/1.png"]
    assert keys(dataset(tmp_path / "2.png")) == ["2.png"]


def test_the_folder_is_named_but_for_the_home_and_identifies_nothing(tmp_path, monkeypatch):
    for folder in ("holiday", "me"):
        save(tmp_path / folder / "a.png")
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.chdir(tmp_path / "holiday")
    holiday, mine = dataset(tmp_path / "holiday"), dataset(tmp_path / "me" / "*.png")
    assert (holiday.name, dataset("a.png").name, dataset(".").name, mine.name) == (*["holiday"] * 3, "pictures")
    assert holiday.fingerprint() == mine.fingerprint()


def test_a_name_with_brackets_is_a_file_before_it_is_a_pattern(tmp_path):
    save(tmp_path / "cat [1].png")
    assert keys(dataset(tmp_path / "cat [1].png")) == ["cat [1].png"]


def test_samples_have_no_annotation(tmp_path):
    save(tmp_path / "a.png", colour=(255, 0, 51))
    sample = dataset(tmp_path)[0]
    assert sample.annotation is None
    assert sample.key == "a.png"
    assert sample.image[:, 5, 5].tolist() == pytest.approx([1, 0, 0.2])


def test_the_nearest_names_are_told_where_a_path_leads_nowhere(tmp_path, monkeypatch):
    save(tmp_path / "photos" / "photo.jpg")
    save(tmp_path / "photos" / "zebra.jpg")
    (tmp_path / "photos" / "photo.txt").touch()
    with pytest.raises(DataError, match=r"pattern\. Nearest in '.*photos': 'photo\.jpg', 'zebra\.jpg'$"):
        dataset(tmp_path / "photos" / "phto.jpg")
    with pytest.raises(DataError, match=r"pattern\. Nearest in '.*': 'photos'$"):
        dataset(tmp_path / "phtos" / "photo.jpg")
    monkeypatch.chdir(tmp_path / "photos")
    with pytest.raises(DataError, match=r"^'phto\.jpg' is not there; .*\. Nearest in '\.': 'photo\.jpg'"):
        dataset("phto.jpg")


def test_missing_pictures_are_errors(tmp_path):
    with pytest.raises(DataError, match=r"nowhere' is not there; give a picture, .* a glob pattern$"):
        dataset(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"holds no pictures among its 0 files; known are \.jpg"):
        dataset(tmp_path)
    with pytest.raises(DataError, match="holds no pictures"):
        dataset(tmp_path / "*.png")


def test_pictures_in_sub_folders_are_told_with_their_pattern(tmp_path):
    """'No pictures among its 1 files' was said of the folder of a YOLO data set."""
    (tmp_path / "images").mkdir()
    save(tmp_path / "images/boat.png")
    (tmp_path / "data.yaml").write_text("names: [boat]")
    with pytest.raises(
        DataError, match=r"its sub-folders do \(images/boat\.png\): give the pattern '.*/\*\*/\*\.png'.*auto"
    ):
        dataset(tmp_path)
    assert len(dataset(tmp_path / "**/*.png")) == 1


def test_keys_and_indices(tmp_path):
    save(tmp_path / "boat.png")
    save(tmp_path / "car.png")
    pictures = dataset(tmp_path)
    assert pictures.index_of("car.png") == 1
    with pytest.raises(DataError, match=r"no sample 'bote\.png'; nearest: 'boat\.png'"):
        pictures.index_of("bote.png")
    with pytest.raises(DataError, match="no sample 2; it has 2 samples"):
        pictures[2]


def test_exif_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying, to be turned by 90 degrees
    save(tmp_path / "upright.jpg", size=(40, 20), exif=exif)
    assert dataset(tmp_path)[0].geometry.picture_size == (40, 20)


@pytest.mark.parametrize(
    ("mode", "colour", "suffix", "expected"),
    [
        ("L", 51, ".png", (0.2, 0.2, 0.2)),
        ("LA", (0, 0), ".png", (1, 1, 1)),
        ("RGBA", (255, 0, 0, 255), ".png", (1, 0, 0)),
        ("RGBA", (255, 0, 0, 0), ".png", (1, 1, 1)),
        ("P", 0, ".png", (0, 0, 0)),
        ("1", 1, ".png", (1, 1, 1)),
        ("CMYK", (0, 255, 255, 0), ".tif", (1, 0, 0)),
    ],
)
def test_every_colour_mode_becomes_rgb(tmp_path, mode, colour, suffix, expected):
    save(tmp_path / f"a{suffix}", mode=mode, colour=colour)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = dataset(tmp_path)[0].image
    assert image.shape == (3, 32, 32)
    assert image[:, 0, 0].tolist() == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bits_are_scaled_not_clipped(tmp_path, suffix):
    values = np.full((32, 32), 0x8000, dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / f"deep{suffix}")
    image = dataset(tmp_path)[0].image
    assert torch.allclose(image, torch.tensor(128 / 255), atol=1e-6)


def test_broken_pictures_are_named(tmp_path):
    save(tmp_path / "whole.png", size=(200, 200))
    whole = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("hello")
    generator = np.random.default_rng(0)
    Image.fromarray(generator.integers(0, 255, (99, 99, 3), dtype=np.uint8)).save(tmp_path / "cut.jpg")
    cut = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(cut[: len(cut) // 2])
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    pictures = dataset(tmp_path)
    assert keys(pictures) == ["cut.jpg", "cut.png", "empty.png", "text.jpg", "whole.png"]
    for key in keys(pictures)[:-1]:
        with pytest.raises(DataError, match=rf"{re.escape(key)} cannot be read \("):
            pictures[pictures.index_of(key)]
    assert pictures[pictures.index_of("whole.png")].image.shape == (3, 32, 32)


def test_fingerprint_knows_names_sizes_and_transform_but_not_the_place(tmp_path):
    for place in ("here", "there"):
        save(tmp_path / place / "a.png")
    here, there = dataset(tmp_path / "here"), dataset(tmp_path / "there")
    assert here.fingerprint() == there.fingerprint()
    assert dataset(tmp_path / "here", InputTransform(32, 32)).fingerprint() != here.fingerprint()
    save(tmp_path / "there" / "b.png")
    assert dataset(tmp_path / "there").fingerprint() != here.fingerprint()
