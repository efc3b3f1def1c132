"""A page of what is read, and a sheet of pictures with their annotation."""

import logging
from pathlib import Path

import labelled_sets as sets
import matplotlib.image
import pytest

from lcrp.data.labelled.layouts import masks, yolo
from lcrp.data.transforms import InputTransform
from lcrp.errors import ConfigError, DataError
from lcrp.runs.run import Run
from lcrp.stages.inspect import InspectSettings, inspect

TRANSFORM = InputTransform(96, 96)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "run").mkdir()
    return Run(folder=tmp_path / "run", output_root=tmp_path)


def test_what_is_read_is_told_and_drawn(tmp_path: Path, run: Run, caplog: pytest.LogCaptureFixture) -> None:
    dataset = yolo(sets.write_yolo(tmp_path), TRANSFORM)
    with caplog.at_level(logging.INFO):
        page, figure = inspect(dataset, InspectSettings(num_pictures=24), run)
    text = page.read_text(encoding="utf-8")
    assert "YOLO, split 'val', data.yaml: 3 pictures, 4 objects (1 with outlines), 1 pictures without any" in text
    assert "objects of each class: vest 2, helmet 1, boat 1" in text
    assert "without an object" not in text
    assert text.splitlines() == caplog.messages
    pixels = matplotlib.image.imread(figure)[..., :3]
    of_vest = abs(pixels - [0, 0xC2 / 255, 0xD1 / 255]).max(axis=-1) < 0.02
    assert of_vest.sum() > 200  # its box, in its colour


def test_classes_without_an_object_are_told_apart(tmp_path: Path, run: Run) -> None:
    """Of 80 classes they filled the list, and hid what was there."""
    dataset = yolo(sets.write_yolo(tmp_path), TRANSFORM, class_names=["helmet", "vest", "boat", "kite", "buoy"])
    text = inspect(dataset, InspectSettings(num_pictures=1), run)[0].read_text(encoding="utf-8")
    assert "objects of each class: vest 2, helmet 1, boat 1\n2 classes without an object: kite, buoy\n" in text


def test_class_masks_are_drawn(tmp_path: Path, run: Run) -> None:
    sets.draw(tmp_path / "images")
    sets.draw(tmp_path / "masks")
    for path in (tmp_path / "masks").rglob("*.png"):
        sets.Image.new("L", sets.SIZE[::-1], 1).save(path)
    dataset = masks(
        tmp_path / "images", tmp_path / "masks", TRANSFORM, class_names=["background", "sea"], segmentation=True
    )
    page, figure = inspect(dataset, InspectSettings(num_pictures=2), run)
    assert figure.stat().st_size > 1000
    assert "masks hold numbers: 0 is 'background', 1 is 'sea'" in page.read_text(encoding="utf-8")


def test_pictures_that_cannot_be_read_are_listed(tmp_path: Path, run: Run) -> None:
    path = sets.write_yolo(tmp_path)
    (tmp_path / "images/val/a.png").write_bytes(b"none")
    dataset = yolo(path, TRANSFORM)
    page, _ = inspect(dataset, InspectSettings(num_pictures=24), run)
    assert "cannot be read: sample 0 'a.png': picture a.png cannot be read" in page.read_text(encoding="utf-8")
    (tmp_path / "images/val/deep/b.png").write_bytes(b"none")
    with pytest.raises(DataError, match=r"none of the pictures looked at can be read: sample 0 'a\.png'"):
        inspect(dataset, InspectSettings(num_pictures=24), run)


def test_at_least_one_picture_is_asked_for() -> None:
    with pytest.raises(ConfigError, match="num_pictures=0 is too small"):
        InspectSettings(num_pictures=0)
