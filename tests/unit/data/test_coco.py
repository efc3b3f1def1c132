import json

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image
from pycocotools import mask as coding

from lcrp.data.coco import CATEGORY_IDS, CLASS_NAMES, CocoDataset
from lcrp.data.labelled.run_lengths import unpacked
from lcrp.data.transforms import InputTransform
from lcrp.errors import DataError

TRANSFORM = InputTransform(64, 64)


def annotation(number, image, category, box, **options):
    left, top, width, height = box
    right, bottom = left + width, top + height
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": list(box),
        "area": width * height,
        "iscrowd": 0,
        "segmentation": [[left, top, right, top, right, bottom, left, bottom]],
        **options,
    }


def crowd(number, image):
    counts = coding.encode(np.asfortranarray(np.ones((32, 64), dtype=np.uint8)))
    segmentation = {"size": [32, 64], "counts": counts["counts"].decode()}
    return annotation(number, image, 1, (0, 0, 64, 32), iscrowd=1, segmentation=segmentation)


@pytest.fixture
def root(tmp_path):
    (tmp_path / "val2017").mkdir()
    (tmp_path / "annotations").mkdir()
    names = ("000000000030.jpg", "000000000010.jpg", "000000000020.jpg")
    for name in names:
        Image.new("RGB", (64, 32), (10, 200, 30)).save(tmp_path / "val2017" / name)
    write(
        tmp_path,
        images=[{"id": int(name[:-4]), "file_name": name, "height": 32, "width": 64} for name in names],
        annotations=[
            annotation(1, 20, 90, (10, 4, 20, 8)),
            annotation(2, 20, 1, (40, 0, 20, 30)),
            crowd(3, 20),
            crowd(4, 10),
            annotation(5, 30, 13, (1, 1, 0, 5)),
        ],
    )
    return tmp_path


def write(root, **content):
    categories = [{"id": number, "name": name} for number, name in zip(CATEGORY_IDS, CLASS_NAMES, strict=True)]
    text = json.dumps({"categories": categories, **content})
    (root / "annotations" / "instances_val2017.json").write_text(text)


def test_categories_of_ones_own_are_called_as_the_file_calls_them(root):
    """A helmet was a person, and a picture that EXIF turns lay beside its boxes."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # stored 64x64, of which nobody knows which way is meant: as shown
    pixels = np.zeros((64, 64, 3), dtype=np.uint8)
    pixels[:, :32] = 255
    Image.fromarray(pixels).save(root / "val2017/a.jpg", exif=exif, quality=99)
    content = {
        "categories": [{"id": 1, "name": "helmet"}, {"id": 17, "name": "vest"}],
        "images": [{"id": 1, "file_name": "a.jpg", "height": 64, "width": 64}],
        "annotations": [annotation(1, 1, 17, (0, 0, 64, 32))],
    }
    (root / "annotations/instances_val2017.json").write_text(json.dumps(content))
    dataset = CocoDataset(root, TRANSFORM)
    assert dataset.class_names == ("helmet", "vest")
    sample = dataset[0]
    assert sample.annotation.labels.tolist() == [1]
    assert float(sample.image[:, sample.annotation.masks[0]].mean()) > 0.9
    assert "its categories are not COCO's" in dataset.reading.text()
    assert "taken as shown: 1 because nothing speaks against it" in dataset.reading.text()


def test_class_ids_skip_the_unused_categories():
    assert len(CLASS_NAMES) == len(CATEGORY_IDS) == 80
    names = dict(zip(CATEGORY_IDS, CLASS_NAMES, strict=True))
    assert [names[number] for number in (1, 13, 44, 90)] == ["person", "stop sign", "bottle", "toothbrush"]


def test_samples_are_sorted_by_file_and_objects_are_placed(root):
    pictures = CocoDataset(root, TRANSFORM)
    assert [pictures.key(index) for index in range(3)] == [f"0000000000{n}.jpg" for n in (10, 20, 30)]
    assert pictures.index_of("000000000020.jpg") == 1
    sample = pictures[1]
    assert sample.annotation.labels.tolist() == [79, 0]  # without the crowd
    assert sample.annotation.boxes.tolist() == [[10, 20, 30, 28], [40, 16, 60, 46]]
    for mask, (left, top, right, bottom) in zip(sample.annotation.masks, sample.annotation.boxes.int(), strict=True):
        expected = torch.zeros(64, 64, dtype=torch.bool)
        expected[top:bottom, left:right] = True
        assert torch.equal(mask, expected)


def test_pictures_without_objects_count(root):
    pictures = CocoDataset(root, TRANSFORM)
    for index in (0, 2):  # a crowd only, a box without area only
        assert pictures[index].annotation.boxes.shape == (0, 4)
        assert pictures[index].annotation.masks.shape == (0, 64, 64)


@pytest.mark.parametrize("outline", [{}, {"segmentation": []}])
def test_objects_without_an_outline_have_that_of_their_box(root, outline):
    boxed = {key: value for key, value in annotation(1, 20, 90, (10, 4, 20, 8)).items() if key != "segmentation"}
    images = [{"id": 20, "file_name": "000000000020.jpg", "height": 32, "width": 64}]
    write(root, images=images, annotations=[{**boxed, **outline}])
    expected = torch.zeros(64, 64, dtype=torch.bool)
    expected[20:28, 10:30] = True
    assert torch.equal(CocoDataset(root, TRANSFORM)[0].annotation.masks[0], expected)


def test_packed_run_lengths_are_those_of_pycocotools():
    generator = np.random.default_rng(0)
    for share in (0.001, 0.5, 0.99):
        mask = np.asfortranarray(generator.random((211, 307)) < share).astype(np.uint8)
        counts = unpacked(coding.encode(mask)["counts"])
        drawn = np.repeat(np.arange(len(counts)) % 2, counts)
        assert np.array_equal(drawn, mask.flatten(order="F"))


def test_objects_with_packed_outlines_are_drawn(root):
    mask = np.zeros((32, 64), dtype=np.uint8, order="F")
    mask[4:12, 10:30] = 1
    packed = {"size": [32, 64], "counts": coding.encode(mask)["counts"].decode()}
    images = [{"id": 20, "file_name": "000000000020.jpg", "height": 32, "width": 64}]
    write(root, images=images, annotations=[annotation(1, 20, 90, (10, 4, 20, 8), segmentation=packed)])
    assert CocoDataset(root, TRANSFORM)[0].annotation.masks.sum() == mask.sum()


def test_nothing_is_printed(root, capsys):
    CocoDataset(root, TRANSFORM)
    assert capsys.readouterr() == ("", "")


def test_missing_files_say_what_to_download(root):
    (root / "val2017").rename(root / "val")
    with pytest.raises(DataError, match=rf"misses .*val2017; download http.*val2017\.zip \(816 MB\).* into {root}"):
        CocoDataset(root, TRANSFORM)
    with pytest.raises(DataError, match=r"download http.*annotations_trainval2017\.zip \(253 MB\)"):
        CocoDataset(root / "val", TRANSFORM)


def test_a_missing_or_misfit_picture_is_a_broken_sample(root):
    pictures = CocoDataset(root, TRANSFORM)
    (root / "val2017" / "000000000010.jpg").unlink()
    Image.new("RGB", (32, 64)).save(root / "val2017" / "000000000030.jpg")
    with pytest.raises(DataError, match=r"000000000010\.jpg is missing"):
        pictures[0]
    misfit = r"000000000030\.jpg has 64x32 pixels, its annotation 32x64; download http.*val2017\.zip \(816 MB\) again"
    with pytest.raises(DataError, match=misfit):
        pictures[2]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"images": [], "annotations": []}, "it lists no images"),
        (
            {
                "images": [{"id": 1, "file_name": "a", "height": 9, "width": 9}],
                "annotations": [annotation(1, 1, 12, (0, 0, 1, 1))],
            },
            "whose category_id is not among the categories",
        ),
    ],
)
def test_other_annotations_are_refused(root, content, reason):
    write(root, **content)
    with pytest.raises(DataError, match=rf"not a COCO instances file: .*{reason}"):
        CocoDataset(root, TRANSFORM)


def test_damaged_annotations_are_refused(root):
    (root / "annotations" / "instances_val2017.json").write_text("[1, 2")
    with pytest.raises(DataError, match="not a COCO instances file"):
        CocoDataset(root, TRANSFORM)


def test_fingerprint_knows_the_annotations(root):
    before = CocoDataset(root, TRANSFORM).fingerprint()
    assert CocoDataset(root, TRANSFORM).fingerprint() == before
    write(root, images=[{"id": 30, "file_name": "000000000030.jpg", "height": 32, "width": 64}], annotations=[])
    assert CocoDataset(root, TRANSFORM).fingerprint() != before


def test_coco2014_has_names_of_its_own(root):
    options = {"images": "val2014", "annotations": "annotations/instances_val2014.json", "name": "coco2014"}
    with pytest.raises(DataError, match=r"coco2014 misses .*; download http.*annotations_trainval2014\.zip \(253 MB\)"):
        CocoDataset(root, TRANSFORM, **options)
    (root / "annotations/instances_val2017.json").rename(root / "annotations/instances_val2014.json")
    with pytest.raises(DataError, match=r"val2014\.zip \(6\.7 GB\) .*'lcrp stage=download dataset=coco2014 data"):
        CocoDataset(root, TRANSFORM, **options)
    (root / "val2017").rename(root / "val2014")
    assert CocoDataset(root, TRANSFORM, **options).name == "coco2014"
    options["annotations"] = "annotations/instances_minival2014.json"
    with pytest.raises(DataError, match=r"download http.*coco_minival2014\.tar\.gz and unpack it into .*annotations"):
        CocoDataset(root, TRANSFORM, **options)


@pytest.mark.parametrize(
    ("name", "images", "key"),
    [("coco2017", "val2017", "000000000139.jpg"), ("coco2014", "val2014", "COCO_val2014_000000000139.jpg")],
)
def test_real_pictures(shared, name, images, key):
    annotations = f"annotations/instances_{images}.json"
    folder = shared / "data" / name
    pictures = CocoDataset(folder, InputTransform(640, 640), images=images, annotations=annotations, name=name)
    sample = pictures[pictures.index_of(key)]
    assert sample.image.shape == (3, 640, 640)
    assert sample.annotation.labels.numel() == sample.annotation.masks.shape[0] > 0
    for mask, box in zip(sample.annotation.masks, sample.annotation.boxes, strict=True):
        rows, columns = torch.nonzero(mask, as_tuple=True)
        extent = torch.stack((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
        assert torch.allclose(extent.float(), box, atol=2.5)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools with numpy 2
def test_real_boxes_and_masks_stretched_for_ssd(shared):
    """Against the raw annotations: boxes scaled, masks the pixel under each centre."""
    folder, side = shared / "data/coco2014", 512
    annotations = folder / "annotations/instances_val2014.json"
    pictures = CocoDataset(
        folder, InputTransform(side, side, "stretch"), images="val2014", annotations=str(annotations), name="coco2014"
    )
    sample = pictures[pictures.index_of("COCO_val2014_000000000139.jpg")]
    raw = json.loads(annotations.read_text())
    (record,) = [one for one in raw["images"] if one["file_name"] == sample.key]
    objects = [one for one in raw["annotations"] if one["image_id"] == record["id"] and not one["iscrowd"]]
    height, width = record["height"], record["width"]
    corners = np.array([[x, y, x + w, y + h] for x, y, w, h in (one["bbox"] for one in objects)])
    expected = corners * (np.array([side, side] * 2) / np.array([width, height] * 2))
    np.testing.assert_allclose(sample.annotation.boxes.numpy(), expected, atol=1e-3)
    assert sample.annotation.labels.tolist() == [CATEGORY_IDS.index(one["category_id"]) for one in objects]
    rows, columns = ((2 * np.arange(side) + 1) * length // (2 * side) for length in (height, width))
    for mask, one in zip(sample.annotation.masks, objects, strict=True):
        outline = coding.merge(coding.frPyObjects(one["segmentation"], height, width))
        filled = coding.decode(outline)[np.ix_(rows, columns)]
        np.testing.assert_array_equal(mask.numpy(), filled.astype(bool))
