"""Labels that say what can hardly be meant: each was read without a word, with wrong numbers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import labelled_sets as sets
import numpy as np
import pytest
from PIL import ExifTags, Image

from lcrp.data.labelled.layouts import coco, masks, voc, yolo
from lcrp.data.labelled.masks import colours_of
from lcrp.data.labelled.objects import ObjectsInReading
from lcrp.data.labelled.oddities import BESIDE, NO_AREA, odd_outlines
from lcrp.data.labelled.yolo_yaml import read_yaml
from lcrp.data.pictures import read_picture
from lcrp.data.transforms import InputTransform
from lcrp.errors import DataError

TRANSFORM = InputTransform(48, 64, "none")
TRIANGLE = [10, 10, 30, 10, 20, 30]


def of_coco(folder: Path, *things: Mapping[str, object]) -> Any:
    content = sets.coco()
    content["annotations"] = [{"id": 1, "image_id": 1, "category_id": 1, **thing} for thing in things]
    return coco(sets.write_coco(folder, content), folder / "images", TRANSFORM)


def areas(dataset: Any, index: int = 0) -> list[int]:
    return [int(mask.sum()) for mask in dataset[index].annotation.masks]


@pytest.mark.parametrize(
    ("outline", "told"),
    [
        ([TRIANGLE], ""),
        ({"size": [48, 64], "counts": [48 * 64]}, "neither polygons nor run lengths"),  # no pixel at all
        ([[10, 10, 30, 30, 30, 10, 10, 30]], ""),  # crosses itself
        ([[10, 10, 20, 20, 30, 30]], "for they have no area"),
        ([[100, 100, 120, 100, 120, 120]], "for they lie beside their box"),
        ([[40, 32, 50, 32, 50, 40]], "for they lie beside their box"),
        ({"size": [48, 64], "counts": [48 * 50, 5, 48 * 14 - 5]}, "for they lie beside their box"),
        ({"size": [48, 64], "counts": [48.0 * 20, 48.0 * 2, 48.0 * 42]}, ""),  # whole numbers all the same
    ],
)
def test_an_outline_that_is_not_the_boxs_object(tmp_path: Path, outline: object, told: str) -> None:
    """The mask was empty, or elsewhere: all relevance lay 'outside' of it."""
    dataset = of_coco(tmp_path, {"bbox": [10, 10, 20, 20], "segmentation": outline})
    assert (areas(dataset) == [20 * 20]) == bool(told)  # the box stands for it
    assert told in "\n".join(dataset.reading.warnings())
    assert bool(list(dataset.reading.warnings())) == bool(told)


def test_polygons_are_measured_as_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lcrp.data.labelled.oddities._AT_A_TIME", 7)  # a few polygons at a time
    drawn = np.random.default_rng(4)
    objects, flat, beside = ObjectsInReading(), [], []
    for number in range(60):
        polygons = [drawn.uniform(0, 9, (drawn.integers(3, 12), 2)) for _ in range(drawn.integers(0, 4))]
        if number % 7 == 0:
            polygons = [np.outer([1, 2, 3, 4], [1, 2])] * len(polygons)
        left, top = drawn.uniform(0, 12, 2)
        objects.add(0, 0, (left, top, left + 1, top + 1), [one.ravel().tolist() for one in polygons])
        points = np.concatenate(polygons) if polygons else np.zeros((0, 2))
        area = sum(
            abs(np.linalg.det([one[k] - one[0], one[k + 1] - one[0]])) for one in polygons for k in range(len(one) - 1)
        )
        flat.append(bool(polygons) and area < 1e-9)
        box = np.float32([left, top]), np.float32([left + 1, top + 1])
        is_apart = bool(polygons) and bool(((points.min(0) > box[1]) | (points.max(0) < box[0])).any())
        beside.append(is_apart and not flat[-1])
    columns = objects.columns()
    found = odd_outlines(columns.outlines, columns.boxes)
    assert found[NO_AREA].tolist() == flat
    assert found[BESIDE].tolist() == beside
    assert sum(flat) > 2
    assert sum(beside) > 2


def test_boxes_in_fractions_or_corners_are_not_taken_for_pixels(tmp_path: Path) -> None:
    fractions = {"bbox": [0.1, 0.1, 0.5, 0.5]}
    with pytest.raises(DataError, match=r"all boxes lie within the first pixel .* seem to be fractions"):
        of_coco(tmp_path / "all", fractions, fractions)
    told = "\n".join(of_coco(tmp_path / "one", fractions, {"bbox": [5, 5, 9, 9]}).reading.warnings())
    assert told.startswith("1 boxes lie within the first pixel of their picture")
    told = "\n".join(of_coco(tmp_path / "corners", {"bbox": [30, 20, 60, 40]}).reading.warnings())
    assert told == (
        "1 of 1 boxes reach out of their picture, and end where it does: annotation 1; they are read as x, y, width, "
        "height: are they something else?"
    )
    slips = of_coco(tmp_path / "slips", {"bbox": [30, 20, 35, 29]})  # a pixel
    assert not list(slips.reading.warnings())


@pytest.mark.parametrize(("value", "count"), [(0, 1), ("0", 1), (None, 1), (False, 1), (1, 0), ("1", 0), (True, 0)])
def test_crowds_are_told_by_meaning(tmp_path: Path, value: object, count: int) -> None:
    """The text '0' was a crowd, and its object lost."""
    dataset = of_coco(tmp_path, {"bbox": [1, 1, 9, 9], "iscrowd": value}, {"bbox": [5, 5, 9, 9]})
    assert len(dataset[0].annotation.boxes) == 1 + count
    assert dataset.reading.num_crowds == 1 - count


def test_yolo_files_of_two_pictures_and_boxes_out_of_theirs_are_told(tmp_path: Path) -> None:
    path = sets.write_yolo(tmp_path)
    Image.new("RGB", (64, 48)).save(tmp_path / "images/val/a.jpg")
    (tmp_path / "labels/val/c.txt").write_text("0 .9 .9 .9 .9\n1 .1 .1 .5 .5 .9 .9\n")
    told = list(yolo(path, TRANSFORM).reading.warnings())
    assert told == [
        "1 outlines are left out, their boxes stand for them, for they have no area: c.txt",
        "1 of 9 boxes reach out of their picture, and end where it does: c.txt; they are read as class, x and y of the "
        "centre, width, height: are they something else?",
        "1 label files belong to several pictures each, which get the same objects: a.txt",
    ]


def test_voc_files_in_a_namespace_of_others_and_of_two_pictures(tmp_path: Path) -> None:
    """Objects in a namespace were none, and the last of two pictures of one name had the objects."""
    root = sets.write_voc(tmp_path)
    text = (root / "Annotations/a.xml").read_text()
    (root / "Annotations/a.xml").write_text(text.replace("<annotation>", "<annotation xmlns='http://x'>"))
    (root / "Annotations/c.xml").write_text("<annotation><filename>b.png</filename></annotation>")
    (root / "Annotations/deep/b.xml").write_text("<html/>")
    Image.new("RGB", (64, 48)).save(root / "JPEGImages/a.jpg")
    dataset = voc(root, TRANSFORM)
    assert areas(dataset) == [100, 400]
    assert list(dataset.reading.warnings()) == [
        "1 objects are left out, whose file is not VOC's: deep/b.xml <html>",
        "1 files are called like another one but for the ending, and left out: a.png (beside a.jpg)",
    ]
    assert "1 XML files name another picture (filename): that of their own name is taken" in dataset.reading.text()


def of_masks(folder: Path, pixels: Sequence[np.ndarray], ending: str = "png", **picture: object) -> Any:
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for number, one in enumerate(pixels):
        Image.new("RGB", one.shape[::-1]).save(folder / f"images/{number}.jpg", **picture)  # type: ignore[arg-type]
        Image.fromarray(one).save(folder / f"masks/{number}.{ending}")
    return masks(folder / "images", folder / "masks", TRANSFORM, class_names=["background", "boat"])


def square(value: int) -> np.ndarray:
    pixels = np.zeros((48, 64), dtype=np.uint8)
    pixels[10:20, 10:30] = value
    return pixels


def test_masks_of_two_kinds_are_told(tmp_path: Path) -> None:
    """An object of 255 was void beside masks of 0 and 1."""
    told = list(of_masks(tmp_path, [square(1), square(255)]).reading.warnings())
    assert told == ["1 of 2 masks hold 0 and 255, others 1: 1.png; their 255 is taken for no class"]


def test_masks_that_were_compressed_with_loss_are_refused(tmp_path: Path) -> None:
    """A class of 200 pixels had 216, elsewhere."""
    with pytest.raises(DataError, match=r"masks/0\.jpg is a JPEG, which keeps numbers only roughly: save it as PNG"):
        of_masks(tmp_path, [square(1)], "jpg")


def test_turned_pictures_of_masks_are_told(tmp_path: Path) -> None:
    """Of a square picture nobody knows which is meant: as shown, which was not said."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    reading = of_masks(tmp_path, [square(1)[:, :48]], exif=exif).reading
    assert "of 1 pictures looked at 1 are turned by EXIF; coordinates are taken as shown: 1 because" in reading.text()


def test_a_renumbered_mask_of_the_same_size_is_other_data(tmp_path: Path) -> None:
    """Files of one size gave one fingerprint: statistics of the old numbers were taken for these."""
    before = of_masks(tmp_path, [square(1)], "bmp").fingerprint()
    assert of_masks(tmp_path, [square(1)], "bmp").fingerprint() == before
    assert of_masks(tmp_path, [square(0)], "bmp").fingerprint() != before


def test_a_colour_of_two_classes_is_refused() -> None:
    with pytest.raises(DataError, match=r"dataset.palette has \[255, 0, 0\] twice"):
        colours_of([[0, 0, 0], [255, 0, 0], [255, 0, 0]])


@pytest.mark.parametrize(("text", "twice"), [("names: {0: a, 0: b}", "0"), ("names: [a]\nnames: [b]", "names")])
def test_keys_that_are_there_twice_are_refused(tmp_path: Path, text: str, twice: str) -> None:
    (tmp_path / "data.yaml").write_text(f"val: images\n{text}\n", encoding="utf-8")
    with pytest.raises(DataError, match=f"it says '{twice}' twice"):
        read_yaml(tmp_path / "data.yaml", tmp_path)


def test_pictures_of_32_bits_have_no_known_range(tmp_path: Path) -> None:
    """Of 16 bits the upper eight are what is seen; of 32 nobody knows."""
    Image.fromarray(np.full((4, 4), 200, dtype=np.int32)).save(tmp_path / "of32.tif")
    with pytest.raises(DataError, match="it holds numbers of 32 bits; save it with 8 or 16 bits"):
        read_picture(tmp_path / "of32.tif", oriented=True)
    for ending in ("png", "tif"):
        Image.fromarray(np.full((4, 4), 200 << 8, dtype=np.uint16)).save(tmp_path / f"of16.{ending}")
        assert read_picture(tmp_path / f"of16.{ending}", oriented=True).unique().tolist() == [200]
