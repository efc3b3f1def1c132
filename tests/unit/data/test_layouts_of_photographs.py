"""Every layout of the same photographs gives the objects that pycocotools reads, one by one, all of them."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import photograph_sets as sets
import pytest
from PIL import Image
from scipy import ndimage

from lcrp.data.dataset import Dataset
from lcrp.data.labelled.dataset import LabelledDataset
from lcrp.data.labelled.layouts import coco, masks, voc, yolo
from lcrp.data.labelled.recognise import recognised
from lcrp.data.transforms import InputTransform
from lcrp.values.sample import VOID

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools, numpy 2

TRANSFORM = InputTransform(320, 320)
FLOAT32 = 1e-4  # pixels, of boxes in pictures of up to 1000
DECIMALS = 6  # of fractions, as most tools write them
NOTHING_LOST = 17  # decimals
MARK = "\ufeff"


@pytest.fixture(scope="module")
def photos(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> list[sets.Photograph]:
    return sets.photographs(shared, tmp_path_factory.mktemp("truth"))


@pytest.fixture(scope="module")
def names(photos: Sequence[sets.Photograph]) -> list[str]:
    return sets.class_names(photos)


def of_photograph(dataset: Dataset, name: str) -> int:
    """The one sample of a photograph."""
    (index,) = (number for number in range(len(dataset)) if Path(dataset.key(number)).stem == name)
    return index


def check(
    dataset: LabelledDataset,
    photos: Sequence[sets.Photograph],
    tolerance: Callable[[int], float] = lambda _: FLOAT32,
    *,
    has_outlines: bool = True,
) -> None:
    """Whether classes, boxes and masks of all objects are those of pycocotools, and pictures can be read.

    Args:
        dataset: what was read.
        photos: what is there.
        tolerance: of a box's edges in pixels, by the picture's side.
        has_outlines: whether masks are to be those of the outlines.
    """
    assert len(dataset) == len(photos)
    for photo in photos:
        index = of_photograph(dataset, photo.name)
        found = dataset.annotation(index, photo.size)
        assert [dataset.class_names[label] for label in found.labels.tolist()] == [one.name for one in photo.things]
        assert found.masks is not None
        for box, mask, one in zip(found.boxes.numpy(), found.masks.numpy(), photo.things, strict=True):
            assert np.abs(box[::2] - one.box[::2]).max() <= tolerance(photo.size[1])
            assert np.abs(box[1::2] - one.box[1::2]).max() <= tolerance(photo.size[0])
            left, top, right, bottom = (float(side) for side in box)
            expected = one.mask
            if not has_outlines:
                expected = sets.filled([[left, top, right, top, right, bottom, left, bottom]], photo.size)
            assert np.array_equal(mask, expected)
        sample = dataset[index]
        assert sample.geometry.picture_size == photo.size
        assert sample.annotation is not None
        assert len(sample.annotation.labels) == len(photo.things)


def written(decimals: int) -> Callable[[int], float]:
    """How far an edge may lie off where fractions have so many decimals: half a centre's and a quarter of a side's."""
    return lambda side: 0.75 * 10**-decimals * side + FLOAT32


# --- YOLO -------------------------------------------------------------------------------------------------------------

LISTED = "names: [{}]"


def as_list(names: Sequence[str]) -> str:
    return f"nc: {len(names)}\nnames: {json.dumps(list(names))}\n"


def as_items(names: Sequence[str]) -> str:
    return "names:\n" + "".join(f"- {name}\n" for name in names)


def as_dict(names: Sequence[str]) -> str:
    return "names:\n" + "".join(f"  {number}: {name}\n" for number, name in enumerate(names))


def as_quoted_dict(names: Sequence[str]) -> str:
    return "names:\n" + "".join(f"  '{number}': '{name}'\n" for number, name in reversed(list(enumerate(names))))


def write_yolo(
    root: Path,
    photos: Sequence[sets.Photograph],
    names: Sequence[str],
    *,
    yaml: str,
    place: sets.Place = lambda name: f"images/val/{name}",
    ending: str = ".jpg",
    end: str = "\n",
    begin: str = "",
    is_missing: bool = False,
) -> Path:
    """Pictures, label files beside them as Ultralytics looks for them, and data.yaml."""
    sets.copied(photos, root, place, ending)

    def beside(name: str) -> str:
        before, found, behind = place(name).rpartition("images/")
        return f"{before}labels/{behind}" if found else behind

    lines = {photo.name: sets.yolo_boxes(photo, names, NOTHING_LOST) for photo in photos}
    lines = {name: told for name, told in lines.items() if told or not is_missing}
    sets.write_labels(root, lines, beside, end, begin)
    path = root / "data.yaml"
    path.write_bytes(yaml.encode())
    return path


@pytest.mark.parametrize("decimals", [4, DECIMALS, NOTHING_LOST])
def test_yolo_boxes(tmp_path: Path, photos: list[sets.Photograph], names: list[str], decimals: int) -> None:
    path = write_yolo(tmp_path, photos, names, yaml="val: images/val\n" + as_list(names))
    lines = {photo.name: sets.yolo_boxes(photo, names, decimals) for photo in photos}
    sets.write_labels(tmp_path / "labels/val", lines)
    check(yolo(path, TRANSFORM), photos, written(decimals), has_outlines=False)


@pytest.mark.parametrize("decimals", [DECIMALS, NOTHING_LOST])
def test_yolo_outlines(tmp_path: Path, photos: list[sets.Photograph], names: list[str], decimals: int) -> None:
    """A line has one polygon: two of an object are two objects. Masks are those of the numbers that the text has."""
    path = write_yolo(tmp_path, photos, names, yaml="val: images/val\n" + as_list(names))
    sets.write_labels(
        tmp_path / "labels/val", {photo.name: sets.yolo_outlines(photo, names, decimals) for photo in photos}
    )
    dataset, num_same, count = yolo(path, TRANSFORM), 0, 0
    for photo in photos:
        height, width = photo.size
        found = dataset.annotation(of_photograph(dataset, photo.name), photo.size)
        parts = [(one.name, part) for one in photo.things for part in one.polygons]
        texts = sets.yolo_outlines(photo, names, decimals)
        assert [dataset.class_names[label] for label in found.labels.tolist()] == [name for name, _ in parts]
        assert found.masks is not None
        for box, mask, (_, part), text in zip(found.boxes, found.masks.numpy(), parts, texts, strict=True):
            points = np.array(text.split()[1:], dtype=np.float64).reshape(-1, 2) * [width, height]
            assert np.array_equal(mask, sets.filled([points.ravel().tolist()], photo.size))
            edges = [*points.min(axis=0), *points.max(axis=0)]
            np.testing.assert_allclose(box.numpy(), np.clip(edges, 0, [width, height] * 2), rtol=0, atol=FLOAT32)
            original = sets.filled([part], photo.size)
            around = ndimage.binary_dilation(original) ^ ndimage.binary_erosion(original)
            assert not ((mask != original) & ~around).any()  # fractions move an outline by less than a pixel
            num_same += np.array_equal(mask, original)
            count += 1
    assert num_same >= (0.8 if decimals == DECIMALS else 0.95) * count > 50


YAMLS = {
    "names as items": ("val: images/val\n", as_items),
    "names by number": ("val: images/val\n", as_dict),
    "names by quoted number, backwards": ("val: images/val\n", as_quoted_dict),
    "ultralytics": ("path: {root}\ntrain: images/val\nval: images/val\ntest:  # optional\n", as_dict),
    "ultralytics, path of the trainer's machine": (
        "path: ../datasets/coco8\ntrain: images/val\nval: images/val\n",
        as_dict,
    ),
    "path below the command's folder": ("path: {below}\nval: images/val\n", as_dict),
    "roboflow": (
        "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n\nroboflow:\n  version: 3\n",
        as_list,
    ),
    "roboflow, as it is exported now": (
        "path: .\ntrain: train/images\nval: valid/images\ntest: test/images\n",
        as_list,
    ),
    "absolute": ("val: {root}/images/val\n", as_list),
    "with a slash at the end": ("path: {root}/\nval: images/val/\n", as_list),
    "windows": ("path: C:\\data\\set\r\nval: images\\val\r\n", as_list),
    "windows, below its folder": ("path: .\\\r\nval: .\\images\\val\r\n", as_list),
    "mark": (MARK + "val: images/val\n", as_dict),
    "list of folders": ("val:\n- images/even\n- images/odd\n", as_dict),
    "list file": ("path: {root}\nval: val.txt\n", as_dict),
    "lists of lists": ("val: [half.txt, rest.txt]\n", as_dict),
    "list file of windows": ("val: windows.txt\n", as_dict),
    "absolute list": ("val: absolute.txt\n", as_dict),
    "augmented folders below it": ("val: images\n", as_dict),
}


@pytest.mark.parametrize("kind", YAMLS)
def test_yolo_yamls(tmp_path: Path, photos: list[sets.Photograph], names: list[str], kind: str) -> None:
    told, as_names = YAMLS[kind]
    root = tmp_path / "set"
    yaml = told.format(root=root, below="set") + as_names(names)
    folder = "valid/images" if "roboflow" in kind else "images/val"

    def place(name: str) -> str:
        return (
            f"images/{'odd' if int(name) % 2 else 'even'}/{name}" if kind == "list of folders" else f"{folder}/{name}"
        )

    path = write_yolo(root, photos, names, yaml=yaml, place=place)
    if "below the command's" in kind:
        path = path.rename(tmp_path / "elsewhere.yaml")
    lists = {
        "val": [f"./{folder}/{photo.path.name}\n" for photo in photos],
        "half": [f"{folder}/{photo.path.name}\n" for photo in photos[:3]],
        "rest": [f"{folder}/{photo.path.name}\n" for photo in photos[3:]],
        "windows": [f"{folder}/{photo.path.name}\r\n".replace("/", "\\") for photo in photos],
        "absolute": [f"{root}/{folder}/{photo.path.name}\n" for photo in photos],
    }
    for name, lines in lists.items():
        (root / f"{name}.txt").write_bytes(((MARK if name == "windows" else "") + "".join(lines)).encode())
    check(yolo(path, TRANSFORM, origin=tmp_path), photos, has_outlines=False)
    layout = recognised(root if path.parent == root else path)
    assert (layout.name, layout.settings["path"]) == ("yolo", str(path))


PLACES: dict[str, dict[str, Any]] = {
    "sub-folders": {"place": lambda name: f"images/val/{name[-1]}/deep/{name}"},
    "beside": {"place": lambda name: f"pictures/{name}"},
    "images above images": {"place": lambda name: f"images/of/images/{name}"},
    "capital endings": {"ending": ".JPG"},
    "crlf": {"end": "\r\n"},
    "mark": {"begin": MARK},
    "mark and crlf": {"begin": MARK, "end": "\r\n"},
    "no file without objects": {"is_missing": True},
    "spaces": {"place": lambda name: f"images/my val set/picture of {name}"},
    "other scripts": {"place": lambda name: f"images/\u691c\u8a3c/\u00fc{name}"},
}


@pytest.mark.parametrize("kind", PLACES)
def test_yolo_files(tmp_path: Path, photos: list[sets.Photograph], names: list[str], kind: str) -> None:
    folder = "pictures" if kind == "beside" else "images"
    path = write_yolo(tmp_path, photos, names, yaml=f"val: {folder}\n" + as_dict(names), **PLACES[kind])
    if kind == "beside":
        for file in tmp_path.glob("*.txt"):
            file.rename(tmp_path / "pictures" / file.name)
    if kind in ("spaces", "other scripts"):
        renamed = {photo.name: Path(PLACES[kind]["place"](photo.name)).name for photo in photos}
        shown = [
            sets.Photograph(path=photo.path.with_stem(renamed[photo.name]), size=photo.size, things=photo.things)
            for photo in photos
        ]
        photos = shown
    dataset = yolo(path, TRANSFORM)
    check(dataset, photos, has_outlines=False)
    empty = "1 pictures have no label file, 0 an empty" if kind == "no file without objects" else "0 pictures have no"
    assert empty in dataset.reading.text()


def test_pictures_of_one_name_in_two_folders_have_labels_of_their_own(
    tmp_path: Path, photos: list[sets.Photograph], names: list[str]
) -> None:
    for folder, photo in (("a", photos[0]), ("b", photos[1])):
        sets.copied([photo], tmp_path, lambda _, folder=folder: f"images/{folder}/0001")  # type: ignore[misc]
        lines = {photo.name: sets.yolo_boxes(photo, names, NOTHING_LOST)}
        sets.write_labels(tmp_path, lines, lambda _, folder=folder: f"labels/{folder}/0001")  # type: ignore[misc]
    (tmp_path / "data.yaml").write_text("val: images\n" + as_dict(names))
    dataset = yolo(tmp_path, TRANSFORM)
    assert dataset.keys == ["a/0001.jpg", "b/0001.jpg"]
    for index, photo in enumerate(photos[:2]):
        assert dataset[index].geometry.picture_size == photo.size
        boxes = dataset.annotation(index, photo.size).boxes.numpy()
        np.testing.assert_allclose(boxes, [one.box for one in photo.things], rtol=0, atol=FLOAT32)


@pytest.mark.parametrize("points", [2, 3])
def test_yolo_poses_give_their_boxes(
    tmp_path: Path, photos: list[sets.Photograph], names: list[str], points: int
) -> None:
    """Places of a body behind the box, two or three numbers each."""
    yaml = f"val: images/val\nkpt_shape: [17, {points}]\n" + as_dict(names)
    path = write_yolo(tmp_path, photos, names, yaml=yaml)
    pose = " " + " ".join(["0.5"] * 17 * points)
    lines = {one.name: [line + pose for line in sets.yolo_boxes(one, names, NOTHING_LOST)] for one in photos}
    sets.write_labels(tmp_path / "labels/val", lines)
    check(yolo(path, TRANSFORM), photos, has_outlines=False)


def test_yolo_lines_with_a_confidence_are_left_out(
    tmp_path: Path, photos: list[sets.Photograph], names: list[str]
) -> None:
    """Predictions are no labels."""
    path = write_yolo(tmp_path, photos, names, yaml="val: images/val\n" + as_dict(names))
    file = tmp_path / f"labels/val/{photos[0].name}.txt"
    file.write_text("".join(f"{line} 0.9\n" for line in file.read_text().splitlines()))
    dataset = yolo(path, TRANSFORM)
    kept = [photos[0].__class__(path=photos[0].path, size=photos[0].size, things=()), *photos[1:]]
    check(dataset, kept, has_outlines=False)
    assert f"{len(photos[0].things)} objects are left out, whose line has neither 5" in dataset.reading.text()


# --- COCO -------------------------------------------------------------------------------------------------------------


def _from_zero(content: dict[str, Any]) -> None:
    _numbered(content, images=lambda one: one - 1, categories=lambda one: one - 1, annotations=lambda one: one - 1)


def _with_gaps(content: dict[str, Any]) -> None:
    _numbered(content, images=lambda one: 1000 - 7 * one, categories=lambda one: 3 * one * one)


def _texts(content: dict[str, Any]) -> None:
    _numbered(
        content, images=lambda one: f"photo-{one}", categories=lambda one: f"c{one}", annotations=lambda _: "same"
    )


def _hashes(content: dict[str, Any]) -> None:
    _numbered(content, images=lambda one: f"{one * 0x9E3779B97F4A7C15 % 2**64:016x}")


def _repeated(content: dict[str, Any]) -> None:
    last, number = None, 0
    for one in content["annotations"]:
        number = number + 1 if one["image_id"] == last else 1
        last = one["image_id"]
        one["id"] = number


def _without_ids(content: dict[str, Any]) -> None:
    for one in content["annotations"]:
        del one["id"]


def _roboflow(content: dict[str, Any]) -> None:
    _numbered(content, images=lambda one: one - 1)
    for one in content["categories"]:
        one["supercategory"] = "things-x7Yz"
    content["categories"].insert(0, {"id": 0, "name": "things-x7Yz", "supercategory": "none"})


def _windows(content: dict[str, Any]) -> None:
    for one in content["images"]:
        one["file_name"] = one["file_name"].replace("/", "\\")


def _shuffled(content: dict[str, Any]) -> None:
    content["images"].reverse()
    content["categories"].reverse()
    content["annotations"].sort(key=lambda one: one["id"] % 5)


def _without_boxes(content: dict[str, Any]) -> None:
    for one in content["annotations"]:
        del one["bbox"]


def _with_crowds(content: dict[str, Any]) -> None:
    crowd = {"size": [10, 10], "counts": [0, 100]}
    for image in list(content["images"]):
        content["annotations"].insert(
            0,
            {
                "id": 7,
                "image_id": image["id"],
                "category_id": 1,
                "iscrowd": 1,
                "bbox": [0, 0, 9, 9],
                "segmentation": crowd,
            },
        )


def _numbered(content: dict[str, Any], **renamed: Callable[[int], object]) -> None:
    """Give images, categories or annotations other ids."""
    for kind, key in (("images", "image_id"), ("categories", "category_id"), ("annotations", "id")):
        new = renamed.get(kind, lambda one: one)
        for one in content[kind]:
            one["id"] = new(one["id"])
        for one in content["annotations"] if kind != "annotations" else ():
            one[key] = new(one[key])


COCOS: dict[str, Callable[[dict[str, Any]], None]] = {
    "as it is": lambda _: None,
    "ids from 0": _from_zero,
    "gaps": _with_gaps,
    "texts": _texts,
    "hashes": _hashes,
    "repeated ids": _repeated,
    "no ids": _without_ids,
    "roboflow": _roboflow,
    "windows": _windows,
    "in any order": _shuffled,
    "crowds": _with_crowds,
}


def write_coco(
    root: Path, photos: Sequence[sets.Photograph], names: Sequence[str], kind: str, outlines: str = "polygons"
) -> Path:
    """A COCO set, pictures in sub-folders."""
    files = sets.copied(photos, root / "images", lambda name: f"part{int(name) % 2}/{name}")
    content = sets.coco(photos, names, files, outlines)
    COCOS[kind](content)
    path = root / "annotations/instances.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content), "utf-8")
    return path


@pytest.mark.parametrize("outlines", ["polygons", "packed", "counted"])
@pytest.mark.parametrize("kind", COCOS)
def test_coco(tmp_path: Path, photos: list[sets.Photograph], names: list[str], kind: str, outlines: str) -> None:
    path = write_coco(tmp_path, photos, names, kind, outlines)
    if kind == "in any order":  # of a picture's objects
        photos = [
            sets.Photograph(path=one.path, size=one.size, things=tuple(things))
            for one, things in zip(photos, _sorted_things(photos), strict=True)
        ]
    dataset = coco(path, tmp_path / "images", TRANSFORM)
    assert set(dataset.class_names) == set(names)
    check(dataset, photos)
    assert dataset.reading.num_outlined == dataset.reading.num_objects == sum(len(one.things) for one in photos)
    layout = recognised(tmp_path)
    assert (layout.name, dict(layout.settings)) == (
        "coco",
        {"annotations": str(path), "images": str(tmp_path / "images")},
    )


def _sorted_things(photos: Sequence[sets.Photograph]) -> list[list[sets.Thing]]:
    """Objects in the order of `_shuffled`."""
    number, found = 0, []
    for photo in photos:
        numbered = [(number + place, one) for place, one in enumerate(photo.things, start=1)]
        number += len(photo.things)
        found.append([one for _, one in sorted(numbered, key=lambda pair: pair[0] % 5)])
    return found


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "crlf"])
def test_coco_in_other_encodings(
    tmp_path: Path, photos: list[sets.Photograph], names: list[str], encoding: str
) -> None:
    path = write_coco(tmp_path, photos, names, "as it is")
    text = json.dumps(json.loads(path.read_text("utf-8")), indent=1)
    path.write_bytes(text.replace("\n", "\r\n").encode("utf-8" if encoding == "crlf" else encoding))
    check(coco(path, tmp_path / "images", TRANSFORM), photos)


@pytest.mark.parametrize("outlines", ["polygons", "packed"])
def test_coco_without_boxes(tmp_path: Path, photos: list[sets.Photograph], names: list[str], outlines: str) -> None:
    """The box of an outline: of its points, or of its pixels as pycocotools has it."""
    path = write_coco(tmp_path, photos, names, "as it is", outlines)
    content = json.loads(path.read_text("utf-8"))
    _without_boxes(content)
    path.write_text(json.dumps(content), "utf-8")
    dataset = coco(path, tmp_path / "images", TRANSFORM)
    for photo in photos:
        found = dataset.annotation(of_photograph(dataset, photo.name), photo.size)
        for box, one in zip(found.boxes.numpy(), photo.things, strict=True):
            if outlines == "polygons":
                points = np.concatenate([np.reshape(part, (-1, 2)) for part in one.polygons])
                edges = [*points.min(axis=0), *points.max(axis=0)]
            else:
                rows, columns = (np.flatnonzero(one.mask.any(axis=axis)) for axis in (1, 0))
                edges = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
            np.testing.assert_allclose(box, np.clip(edges, 0, photo.size[::-1] * 2), rtol=0, atol=FLOAT32)


# --- VOC --------------------------------------------------------------------------------------------------------------

VOCS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "crlf": {"end": "\r\n"},
    "mark": {"begin": MARK},
    "declared": {"begin": '<?xml version="1.0" encoding="UTF-8"?>\n'},
    "sub-folders": {"place": lambda name: f"part{int(name) % 2}/{name}"},
}


@pytest.mark.parametrize("is_listed", [False, True])
@pytest.mark.parametrize("kind", VOCS)
def test_voc(tmp_path: Path, photos: list[sets.Photograph], names: list[str], kind: str, is_listed: bool) -> None:
    place = VOCS[kind].get("place", str)
    sets.copied(photos, tmp_path / "JPEGImages", place)
    sets.write_voc(tmp_path, photos, **VOCS[kind])
    (tmp_path / "ImageSets/Main").mkdir(parents=True)
    lines = "".join(f"{place(photo.name)}\r\n" for photo in photos)
    (tmp_path / "ImageSets/Main/val.txt").write_bytes((MARK + lines + "\r\n").encode())
    (tmp_path / "ImageSets/Main/person_val.txt").write_text("".join(f"{place(one.name)} -1\n" for one in photos))
    dataset = voc(tmp_path, TRANSFORM, split="val" if is_listed else None)
    assert isinstance(dataset, LabelledDataset)
    assert dataset.class_names == tuple(names)
    assert recognised(tmp_path).name == "voc"
    for photo in photos:
        index = of_photograph(dataset, photo.name)
        found = dataset.annotation(index, photo.size)
        assert [dataset.class_names[label] for label in found.labels.tolist()] == [one.name for one in photo.things]
        assert found.boxes.tolist() == [list(sets.voc_box(one)) for one in photo.things]
        assert dataset[index].geometry.picture_size == photo.size
        for box, one in zip(found.boxes.numpy(), photo.things, strict=True):
            assert np.abs(box - one.box).max() <= 1  # half a pixel, or one where the object has less than one


def test_voc_beside_pictures_in_fractions(tmp_path: Path, photos: list[sets.Photograph]) -> None:
    """Fractions are edges, from 0 on: of all files, for one tool wrote them."""
    sets.copied(photos, tmp_path)
    sets.write_voc(tmp_path, photos)
    for photo in photos:
        text = (tmp_path / f"Annotations/{photo.name}.xml").read_text()
        for one in photo.things:
            left, top, right, bottom = sets.voc_box(one)
            for side, whole, exact in zip(
                ("xmin", "ymin", "xmax", "ymax"), (left + 1, top + 1, right, bottom), one.box, strict=True
            ):
                text = text.replace(f"<{side}>{whole}</{side}>", f"<{side}>={exact}</{side}>", 1)
        text = text.replace(">=", ">")
        (tmp_path / f"{photo.name}.xml").write_text(text)
        (tmp_path / f"Annotations/{photo.name}.xml").unlink()
    (tmp_path / "Annotations").rmdir()
    dataset = voc(tmp_path, TRANSFORM)
    assert isinstance(dataset, LabelledDataset)
    assert "coordinates are edges, from 0 on" in dataset.reading.text()
    assert recognised(tmp_path).name == "voc"
    check(dataset, photos, has_outlines=False)


# --- masks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["index", "palette", "colours", "binary"])
@pytest.mark.parametrize("segmentation", [True, False])
def test_masks(tmp_path: Path, photos: list[sets.Photograph], names: list[str], kind: str, segmentation: bool) -> None:
    colours = [[0, 0, 0], *([37 * one % 256, 91 * one % 256, 255 - one] for one in range(1, len(names) + 1))]
    expected = {photo.name: sets.class_mask(photo, names) for photo in photos}
    shown = ["background", *names]
    if kind == "binary":
        expected, shown = {name: np.minimum(mask, 1) for name, mask in expected.items()}, ["background", "thing"]
    for name, mask in expected.items():
        pixels = {"colours": np.uint8(colours)[mask % len(colours)], "binary": mask * np.uint8(255)}.get(kind, mask)
        palette = [value for colour in colours for value in colour] if kind == "palette" else None
        sets.saved(pixels, tmp_path / f"masks/deep/{name}_mask.png", palette)
    sets.copied(photos, tmp_path / "images", lambda name: f"deep/{name}")
    dataset = masks(
        tmp_path / "images",
        tmp_path / "masks",
        TRANSFORM,
        class_names=shown,
        palette=colours if kind == "colours" else [],
        segmentation=segmentation,
    )
    assert recognised(tmp_path).name == "masks"
    check_masks(dataset, {name: mask.astype(np.int64) for name, mask in expected.items()}, segmentation=segmentation)


def check_masks(dataset: Dataset, expected: dict[str, Any], *, segmentation: bool) -> None:
    """Whether class masks are these, or every connected part of them has a box and a mask, as scipy finds them."""
    whole = {Path(dataset.key(index)).stem: index for index in range(len(dataset))}
    assert set(whole) == set(expected)
    for name, mask in expected.items():
        size = mask.shape
        placed = type(dataset).__getitem__
        dataset.transform, kept = InputTransform(*size, "none"), dataset.transform  # type: ignore[misc]
        found = placed(dataset, whole[name]).annotation
        dataset.transform = kept  # type: ignore[misc]
        assert found is not None
        if segmentation:
            assert found.class_mask is not None
            assert np.array_equal(found.class_mask.numpy(), mask)
            continue
        parts = []
        for class_id in np.unique(mask[(mask > 0) & (mask != VOID)]).tolist():
            numbered, count = ndimage.label(mask == class_id, structure=np.ones((3, 3)))
            parts += [(class_id, numbered == number) for number in range(1, count + 1)]
        assert found.masks is not None
        theirs = {(class_id, part.tobytes()) for class_id, part in parts}
        ours = {
            (label + 1, np.ascontiguousarray(part).tobytes())
            for label, part in zip(found.labels.tolist(), found.masks.numpy(), strict=True)
        }
        assert len(found.labels) == len(parts)
        assert ours == theirs
        for box, part in zip(found.boxes.tolist(), found.masks.numpy(), strict=True):
            rows, columns = (np.flatnonzero(part.any(axis=axis)) for axis in (1, 0))
            assert box == [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


@pytest.mark.parametrize("segmentation", [True, False])
def test_masks_of_voc(shared: Path, segmentation: bool) -> None:
    """Palette indices as stored, 255 is void; pictures of the list alone."""
    root = shared / "data/voc2012"
    names = ["background", *(f"class {number}" for number in range(1, 21))]
    dataset = voc(root, TRANSFORM, split="val", class_names=names, segmentation=segmentation)
    folder = root / "VOCdevkit/VOC2012"
    if not segmentation and (folder / "Annotations").is_dir():
        pytest.skip("boxes are those of the XML files")
    listed = (folder / "ImageSets/Segmentation/val.txt").read_text().split()
    expected = {
        name: np.array(Image.open(folder / f"SegmentationClass/{name}.png")).astype(np.int64) for name in listed
    }
    check_masks(dataset, expected, segmentation=segmentation)
