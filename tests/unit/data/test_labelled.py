"""Every layout gives the same objects, and what is odd costs itself alone and is said."""

import json
import re
from pathlib import Path

import labelled_sets as sets
import numpy as np
import pytest
import torch
from PIL import ExifTags, Image
from pycocotools.coco import COCO

from lcrp.data.labelled.layouts import coco, masks, voc, yolo
from lcrp.data.transforms import InputTransform
from lcrp.errors import DataError

TRANSFORM = InputTransform(48, 64, "none")


def check(dataset, *, has_outline: bool) -> None:
    """Whether boxes and labels are those that were written."""
    assert set(dataset.class_names) == set(sets.NAMES)
    assert len(dataset) == len(sets.BOXES)
    for key, objects in sets.BOXES.items():
        index = next(number for number in range(3) if re.sub(r"\.\w+$", "", dataset.key(number)) == key)
        annotation = dataset[index].annotation
        expected = [(sets.NAMES[label], box) for label, box in objects]
        if key == "a" and has_outline:
            expected.append(("vest", (10, 10, 30, 30)))
        assert [dataset.class_names[label] for label in annotation.labels.tolist()] == [name for name, _ in expected]
        np.testing.assert_allclose(
            annotation.boxes.numpy().reshape(-1, 4), np.array([box for _, box in expected]).reshape(-1, 4), atol=1e-4
        )
        for mask, (_, box) in zip(annotation.masks, objects, strict=False):
            left, top, right, bottom = box
            drawn = torch.zeros(sets.SIZE, dtype=torch.bool)
            drawn[top:bottom, left:right] = True
            assert torch.equal(mask, drawn)


def test_yolo(tmp_path):
    dataset = yolo(sets.write_yolo(tmp_path), TRANSFORM)
    check(dataset, has_outline=True)
    assert dataset.reading.num_objects == 4
    assert dataset.reading.num_outlined == 1
    assert "1 pictures without any" in dataset.reading.text()


def test_a_set_is_called_as_its_folder_and_is_the_same_wherever_it_lies(tmp_path):
    """Figures said 'yolo' of every set; a name that a person gave counts."""
    here, there = (yolo(sets.write_yolo(tmp_path / name), TRANSFORM) for name in ("my boats", "moved"))
    assert (here.name, there.name) == ("my boats", "moved")
    assert here.fingerprint() == there.fingerprint()
    assert yolo(tmp_path / "moved/data.yaml", TRANSFORM, name="mine").name == "mine"
    assert coco(sets.write_coco(tmp_path / "c"), tmp_path / "c/images", TRANSFORM).name == "c"
    assert voc(sets.write_voc(tmp_path / "v"), TRANSFORM).name == "v"


def test_sizes_of_pictures_are_told_by_their_heads(tmp_path, monkeypatch):
    """To cut large photographs into tiles, every one of a YOLO set was decoded at each start."""
    path = sets.write_yolo(tmp_path)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.new("RGB", (64, 48)).save(tmp_path / "images/val/a.jpg", exif=exif)
    (tmp_path / "images/val/a.png").unlink()
    dataset = yolo(path, TRANSFORM)
    monkeypatch.setattr("lcrp.data.labelled.dataset.read_picture", None)
    assert [dataset.picture_size(number) for number in range(3)] == [(64, 48), (48, 64), (48, 64)]


def test_a_changed_file_changes_the_fingerprint_and_its_folder_need_not(tmp_path):
    """Written in place, a file leaves its folder's time as it was: nothing but the file itself may be trusted."""
    path = sets.write_yolo(tmp_path)
    before, folder = yolo(path, TRANSFORM).fingerprint(), (tmp_path / "images/val").stat().st_mtime_ns
    with (tmp_path / "images/val/a.png").open("ab") as file:
        file.write(b"more")
    assert (tmp_path / "images/val").stat().st_mtime_ns == folder
    assert yolo(path, TRANSFORM).fingerprint() != before


@pytest.mark.parametrize(
    "yaml",
    [
        "val: images/val\nnames: {0: helmet, 1: vest, 2: boat}\n",
        "path: /content/elsewhere\nval: images/val\nnames: [helmet, vest, boat]\nnc: 3\n",
        "val: ../images/val\nnames: [helmet, vest, boat]\n",
        "val: [images/val]\nnames:\n- helmet\n- vest\n- boat\n",
        "val: images\\val\r\nnames: [helmet, vest, boat]\r\n",
        "valid: images/val\nnames: ['helmet', vest, boat]\n",
        "\ufeffval: images/val\nnames: [helmet, vest, boat]\n",
        "val: val.txt\nnames: [helmet, vest, boat]\n",
        "val: images/val\nnames: [helmet, vest, boat]\nnc: '3'\n",
    ],
    ids=["dict", "path elsewhere", "roboflow", "list", "windows", "valid", "mark", "list file", "nc in quotes"],
)
def test_yolo_yaml(tmp_path, yaml):
    (tmp_path / "val.txt").write_text("./images/val/a.png\r\n\r\nimages\\val\\deep\\b.png\r\nimages/val/c.png")
    check(yolo(sets.write_yolo(tmp_path, yaml), TRANSFORM), has_outline=True)


def test_yolo_lines_of_windows_and_marks(tmp_path):
    check(yolo(sets.write_yolo(tmp_path, end="\r\n", begin="\ufeff"), TRANSFORM), has_outline=True)


def test_yolo_flaws_cost_themselves_and_are_said(tmp_path):
    path = sets.write_yolo(tmp_path)
    file = tmp_path / "labels/val/a.txt"
    flaws = [
        "3 .5 .5 .1 .1",
        "0.5 .5 .5 .1 .1",
        "-1 .5 .5 .1 .1",
        "0 5 5 1 1",
        "0 .5 .5 nan .1",
        "a b c d e",
        "0 .5",
        "0 .5 .5 0 .1",
    ]
    file.write_text("\n".join([*file.read_text().splitlines(), *flaws, "0 .1 .1 .2 .2 .3", "0 .1 .1 .2 .1 .3 .1"]))
    (tmp_path / "labels/val/c.txt").unlink()
    (tmp_path / "labels/val/alone.txt").write_text("")
    dataset = yolo(path, TRANSFORM)
    check(dataset, has_outline=True)
    told = dataset.reading.text()
    assert "1 objects are left out, whose class is not among the 3 names: a.txt line 4" in told
    assert "2 objects are left out, whose class is no whole number from 0 on" in told
    assert "2 objects are left out, whose coordinates are no fractions of the picture" in told
    assert "whose box has no area: a.txt line 11" in told
    assert "whose outline has no area: a.txt line 13" in told
    assert "1 pictures have no label file, 0 an empty one" in told
    assert "1 label files have no picture in this split: alone.txt" in told


@pytest.mark.parametrize(
    ("yaml", "reason"),
    [
        ("val: images/val\n", "its 'names' are neither"),
        ("names: [a]\n", "it names no 'train'"),
        ("val: images/val\nnames: [helmet, helmet]\n", "it names 'helmet' twice"),
        ("val: images/val\nnames: [a]\nnc: 2\n", "nc is 2, but it has 1 names"),
        ("val: images/val\nnames: {1: a}\n", "not numbered from 0 on"),
        ("val: elsewhere\nnames: [a]\n", "names 'elsewhere', and .* is not there"),
        ("train: images/val\nnames: [a]\n", "no pictures for split 'val'; it has 'train'"),
        ("- a\n", "no mapping of settings"),
        ("a: [\n", "is no YAML of a YOLO set"),
    ],
)
def test_yolo_files_that_are_refused(tmp_path, yaml, reason):
    with pytest.raises(DataError, match=reason):
        yolo(sets.write_yolo(tmp_path, yaml), TRANSFORM)


def test_coco(tmp_path):
    check(coco(sets.write_coco(tmp_path), tmp_path / "images", TRANSFORM), has_outline=True)


def altered(name):
    content = sets.coco(0 if name == "from 0" else 1)
    if name == "restarting ids":
        for one in content["annotations"]:
            one["id"] = 0
    elif name == "text ids":
        for one in content["images"]:
            one["id"] = f"p{one['id']}"
        for one in content["annotations"]:
            one["image_id"] = f"p{one['image_id']}"
    elif name == "digits":
        for one in content["annotations"]:
            one["image_id"] = str(one["image_id"])
    elif name == "gaps":
        for one in [*content["annotations"], *content["categories"]]:
            key = "category_id" if "category_id" in one else "id"
            one[key] = {1: 7, 2: 40, 3: 1000}[one[key]]
    elif name == "root":
        content["categories"] = [{"id": 0, "name": "safety", "supercategory": "none"}] + [
            {**one, "supercategory": "safety"} for one in content["categories"]
        ]
    elif name == "floats":
        for one in content["images"]:
            one["height"] = float(one["height"])
    elif name == "backslashes":
        for one in content["images"]:
            one["file_name"] = one["file_name"].replace("/", "\\")
    elif name == "annotations first":
        content = {key: content[key] for key in ("annotations", "categories", "images")}
    return content


@pytest.mark.parametrize(
    "name",
    ["from 0", "restarting ids", "text ids", "digits", "gaps", "root", "floats", "backslashes", "annotations first"],
)
def test_coco_of_every_kind(tmp_path, name):
    dataset = coco(sets.write_coco(tmp_path, altered(name)), tmp_path / "images", TRANSFORM)
    check(dataset, has_outline=True)
    assert ("'safety' has no objects" in dataset.reading.text()) == (name == "root")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_coco_in_other_encodings(tmp_path, encoding):
    check(coco(sets.write_coco(tmp_path, encoding=encoding), tmp_path / "images", TRANSFORM), has_outline=True)


def test_coco_without_sizes_of_pictures_is_refused(tmp_path):
    content = sets.coco()
    del content["images"][1]["height"], content["images"][1]["width"]
    with pytest.raises(DataError, match="image 2 has no width and height, in pixels"):
        coco(sets.write_coco(tmp_path, content), tmp_path / "images", TRANSFORM)


def test_two_pictures_of_one_id_are_refused(tmp_path):
    content = sets.coco()
    content["images"][1]["id"] = "1"
    with pytest.raises(DataError, match="have one id"):
        coco(sets.write_coco(tmp_path, content), tmp_path / "images", TRANSFORM)


def test_voc(tmp_path):
    dataset = voc(sets.write_voc(tmp_path), TRANSFORM)
    check(dataset, has_outline=False)
    assert dataset.class_names == ("boat", "helmet", "vest")


def test_voc_boxes_from_zero_are_edges(tmp_path):
    path = sets.write_voc(tmp_path) / "Annotations/a.xml"
    path.write_text(path.read_text().replace("<xmin>3</xmin><ymin>3</ymin>", "<xmin>0</xmin><ymin>3</ymin>"))
    dataset = voc(tmp_path, TRANSFORM)
    assert dataset[dataset.index_of("a")].annotation.boxes[0].tolist() == [0, 3, 12, 12]
    assert "coordinates are edges, from 0 on" in dataset.reading.text()


@pytest.mark.parametrize("lines", ["my a\ndeep/b\n", "my a.png\r\ndeep\\b.png\r\n", "my a  1\ndeep/b -1\n"])
def test_lines_of_voc_lists_mean_what_is_there(tmp_path, lines):
    """Before, a name ended where its first space is."""
    root = sets.write_voc(tmp_path)
    (root / "JPEGImages/a.png").rename(root / "JPEGImages/my a.png")
    (root / "Annotations/a.xml").rename(root / "Annotations/my a.xml")
    (root / "ImageSets/Main").mkdir(parents=True)
    (root / "ImageSets/Main/val.txt").write_bytes(lines.encode())
    dataset = voc(root, TRANSFORM, split="val")
    assert dataset.keys == ["my a", "deep/b"]
    assert [len(dataset[index].annotation.labels) for index in range(2)] == [2, 1]
    (root / "ImageSets/Main/val.txt").write_text("elsewhere\nx\n")
    with pytest.raises(DataError, match=r"val\.txt names no picture in .*: 'elsewhere' and what else it names is not"):
        voc(root, TRANSFORM, split="val")


def test_rare_objects_in_masks_are_no_void(tmp_path, monkeypatch):
    """Before, what 255 means was told by some of the masks: where all these were empty, objects became void."""
    monkeypatch.setattr("lcrp.data.labelled.masks._LOOKED_AT", 2)
    for number in range(9):
        for folder in ("images", "masks"):
            (tmp_path / folder).mkdir(exist_ok=True)
            pixels = np.zeros(sets.SIZE, dtype=np.uint8)
            pixels[:10] = 255 * (number == 3 and folder == "masks")
            Image.fromarray(pixels).save(tmp_path / folder / f"{number}.png")
    found = masks(tmp_path / "images", tmp_path / "masks", TRANSFORM, class_names=["crack"], segmentation=True)
    assert found.class_names == ("background", "crack")
    assert found[3].annotation.class_mask.unique().tolist() == [0, 1]


def test_masks_of_every_kind(tmp_path):
    sets.draw(tmp_path / "images")
    mask = np.zeros(sets.SIZE, dtype=np.uint8)
    mask[2:12, 2:12], mask[20:40, 30:50] = 1, 1
    for kind, pixels in (("index", mask), ("binary", mask * 255), ("colours", mask[..., None] * np.uint8([128, 0, 0]))):
        for key in sets.BOXES:
            path = tmp_path / kind / f"{key}_mask.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
        palette = [[0, 0, 0], [128, 0, 0]] if kind == "colours" else []
        names, folders = ["background", "boat"], (tmp_path / "images", tmp_path / kind)
        found = masks(*folders, TRANSFORM, class_names=names, palette=palette, segmentation=True)
        assert found.class_names == ("background", "boat")
        assert np.array_equal(found[0].annotation.class_mask.numpy(), mask), kind
        boxes = masks(*folders, TRANSFORM, class_names=names, palette=palette)
        assert boxes.class_names == ("boat",)
        assert boxes[0].annotation.boxes.tolist() == [[2, 2, 12, 12], [30, 20, 50, 40]]
        assert boxes[0].annotation.labels.tolist() == [0, 0]


def test_voc_masks_are_called_as_the_label_map_says(tmp_path):
    """As CVAT writes them: colours, and a list of splits."""
    root = sets.write_voc(tmp_path)
    (root / "SegmentationClass/deep").mkdir(parents=True)
    (root / "ImageSets/Segmentation").mkdir(parents=True)
    (root / "ImageSets/Segmentation/val.txt").write_text("\ufeffdeep/b\n\na\n", "utf-8")
    (root / "labelmap.txt").write_text("# label:color_rgb:parts:actions\nbackground:0,0,0::\nboat:0,64,128::\n")
    pixels = np.zeros((*sets.SIZE, 3), dtype=np.uint8)
    pixels[2:12, 2:12] = (0, 64, 128)
    for key in sets.BOXES:
        Image.fromarray(pixels).save(root / f"SegmentationClass/{key}.png")
    dataset = voc(root, TRANSFORM, split="val", segmentation=True)
    assert (dataset.class_names, dataset.keys) == (("background", "boat"), ("deep/b", "a"))
    assert np.array_equal(dataset[0].annotation.class_mask.numpy(), pixels[..., 2] // 128)
    assert voc(root, TRANSFORM, split=None)[0].annotation.labels.numel() == 2  # boxes of the XML files
    with pytest.raises(DataError, match=r"has no list ImageSets/Segmentation/test\.txt; there are 'val'"):
        voc(root, TRANSFORM, split="test", segmentation=True)


@pytest.mark.parametrize("turned", [3, 6])
def test_yolos_labels_belong_to_the_picture_as_shown(tmp_path, turned):
    path = sets.write_yolo(tmp_path)
    exif = Image.Exif()
    exif[274] = turned
    sets.draw(tmp_path / "images/val", sets.SIZE[::-1] if turned == 6 else sets.SIZE, exif=exif)
    dataset = yolo(path, TRANSFORM)
    check(dataset, has_outline=True)
    assert "taken as shown: 3 because nothing speaks against it" in dataset.reading.frame


def test_objects_are_drawn_for_segmenters(tmp_path):
    dataset = yolo(sets.write_yolo(tmp_path), TRANSFORM, segmentation=True)
    assert dataset.class_names == ("background", *sets.NAMES)
    annotation = dataset[dataset.index_of("a.png")].annotation
    assert annotation.class_mask[5, 5] == 1
    assert annotation.class_mask[25, 40] == 2
    assert annotation.class_mask[45, 60] == 0
    assert "of 3 without an outline the box stands for the mask" in dataset.reading.text()


def test_many_objects_of_a_large_picture_are_drawn_part_by_part(tmp_path, monkeypatch):
    dataset = yolo(sets.write_yolo(tmp_path), InputTransform(24, 32))
    whole = [dataset[index].annotation for index in range(3)]
    monkeypatch.setattr("lcrp.data.labelled.dataset._MOST_PIXELS", 1)
    for index, expected in enumerate(whole):
        found = dataset[index].annotation
        assert len(found.labels) == len(sets.BOXES[re.sub(r"\.png$", "", dataset.key(index))]) + (index == 0)
        for name in ("boxes", "labels", "masks"):
            assert torch.equal(getattr(found, name), getattr(expected, name))


@pytest.mark.parametrize("stored", [True, False])
def test_turned_pictures_are_read_as_their_annotation_fits(tmp_path, stored):
    path = sets.write_coco(tmp_path)
    exif = Image.Exif()
    exif[274] = 6  # shown turned by 90 degrees
    size = sets.SIZE if stored else sets.SIZE[::-1]
    sets.draw(tmp_path / "images", size, exif=exif)
    dataset = coco(path, tmp_path / "images", TRANSFORM)
    assert dataset[0].image.shape[-2:] == sets.SIZE
    told = dataset.reading.frame
    assert "of 3 pictures looked at 3 are turned by EXIF" in told
    assert ("as stored" in told) == stored


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools with numpy 2
@pytest.mark.parametrize("year", ["2014", "2017"])
def test_photographs_have_the_objects_of_pycocotools(shared, year, capsys):
    """Object by object, boxes and masks, all of them."""
    root = shared / f"data/coco{year}"
    path = root / f"annotations/instances_val{year}.json"
    theirs = COCO(str(path))
    capsys.readouterr()
    images = {one["file_name"]: one for one in theirs.loadImgs(theirs.getImgIds())}
    dataset = coco(path, root / f"val{year}", InputTransform(640, 640))
    names = {one["id"]: one["name"] for one in theirs.loadCats(theirs.getCatIds())}
    count = 0
    for index in range(len(dataset)):
        image = images[dataset.key(index)]
        objects = [one for one in theirs.loadAnns(theirs.getAnnIds(imgIds=image["id"])) if not one["iscrowd"]]
        found = dataset.annotation(index, (image["height"], image["width"]))
        assert [dataset.class_names[label] for label in found.labels.tolist()] == [
            names[one["category_id"]] for one in objects
        ]
        for box, mask, one in zip(found.boxes, found.masks, objects, strict=True):
            left, top, width, height = one["bbox"]
            edges = [left, top, min(left + width, image["width"]), min(top + height, image["height"])]
            np.testing.assert_allclose(box.numpy(), edges, atol=1e-3)
            assert np.array_equal(mask.numpy(), theirs.annToMask(one).astype(bool))
            count += 1
    assert count == dataset.reading.num_objects > 100


@pytest.mark.parametrize("name", ["good", "restart"])
def test_objects_belong_to_their_pictures_whatever_their_ids(shared, name):
    folder = shared / "cases/duplicate_annotation_ids"
    raw = json.loads((folder / f"{name}.json").read_text())
    dataset = coco(folder / f"{name}.json", folder / "pics", InputTransform(256, 256))
    for index, image in enumerate(raw["images"]):
        found = dataset[index].annotation.boxes[:, :2].tolist()
        assert found == [one["bbox"][:2] for one in raw["annotations"] if one["image_id"] == image["id"]]


def test_flawed_outlines_cost_no_picture(shared):
    folder = shared / "cases/flawed_outline_drops_picture"
    dataset = coco(folder / "flat_polygon_not_nested.json", folder / "pics", InputTransform(48, 64))
    assert [dataset[index].annotation.labels.tolist() for index in range(2)] == [[0], [2]]
    assert dataset[0].annotation.boxes.tolist() == [[2, 2, 12, 12]]


def test_own_categories_are_called_as_the_file_calls_them(shared):
    folder: Path = shared / "cases/own_categories"
    expected = {"own_categories_from_1": ("helmet", "vest"), "coco80_ids_1_to_80_renumbered": ("person", "dog")}
    for name, names in expected.items():
        dataset = coco(folder / f"{name}.json", folder / "pics", InputTransform(48, 64))
        assert dataset.class_names == names
        assert [dataset[index].annotation.labels.tolist() for index in range(2)] == [[0], [1]]
