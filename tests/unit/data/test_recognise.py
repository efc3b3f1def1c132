"""What a path is taken for, and by what."""

import json

import labelled_sets as sets
import pytest

from lcrp.data.labelled.recognise import recognised
from lcrp.errors import DataError


def test_yolo(tmp_path):
    path = sets.write_yolo(tmp_path)
    for given in (path, tmp_path):
        found = recognised(given)
        assert (found.name, found.sign in ("a YAML file", "data.yaml")) == ("yolo", True)
        assert dict(found.settings) == {"path": str(path)}


@pytest.mark.parametrize(
    ("file", "images"),
    [
        ("labels.json", "."),
        ("labels.json", "images"),
        ("annotations/instances_val2017.json", "val2017"),
        ("annotations/instances_default.json", "images"),
        ("valid/_annotations.coco.json", "valid"),
    ],
)
def test_coco(tmp_path, file, images):
    made = sets.write_coco(tmp_path / "made")
    (tmp_path / "set" / file).parent.mkdir(parents=True)
    made.rename(tmp_path / "set" / file)
    (tmp_path / "set" / images).mkdir(parents=True, exist_ok=True)
    for one in (tmp_path / "made/images").iterdir():
        one.rename(tmp_path / "set" / images / one.name)
    expected = {"annotations": str(tmp_path / "set" / file), "images": str(tmp_path / "set" / images)}
    for given in (tmp_path / "set", tmp_path / "set" / file):
        found = recognised(given)
        assert found.name == "coco"
        assert {key: str(tmp_path / value) for key, value in found.settings.items()} == expected


def test_voc_and_masks_and_pictures(tmp_path):
    assert recognised(sets.write_voc(tmp_path / "voc")).name == "voc"
    sets.draw(tmp_path / "m/images")
    sets.draw(tmp_path / "m/masks")
    assert recognised(tmp_path / "m").name == "masks"
    assert recognised(tmp_path / "m/images").name == "folder"
    assert recognised(tmp_path / "m/images/a.png").name == "folder"


def test_xml_files_of_splits_as_roboflow_has_them(tmp_path):
    """Before, these were pictures without labels."""
    made = sets.write_voc(tmp_path / "made")
    for split in ("train", "valid"):
        (tmp_path / "set" / split).mkdir(parents=True)
        for one in (made / "Annotations/a.xml", made / "JPEGImages/a.png"):
            (tmp_path / "set" / split / one.name).write_bytes(one.read_bytes())
    for split, folder in ((None, "valid"), ("val", "valid"), ("train", "train")):
        found = recognised(tmp_path / "set", split)
        assert (found.name, found.sign, found.is_of_split) == ("voc", f"{folder}/a.xml", True)
        assert dict(found.settings) == {"root": str(tmp_path / "set" / folder)}
    assert recognised(tmp_path / "set", "test").name == "folder"


def test_labels_of_splits_without_names_are_asked_for(tmp_path):
    """Before, these were pictures without labels."""
    sets.draw(tmp_path / "valid/images")
    (tmp_path / "valid/labels").mkdir()
    with pytest.raises(DataError, match=r"holds labels like YOLO's, and no data\.yaml that names their classes"):
        recognised(tmp_path)


def test_labels_without_names_are_asked_for(tmp_path):
    sets.write_yolo(tmp_path).unlink()
    with pytest.raises(DataError, match=r"holds labels like YOLO's, and no data\.yaml that names their classes"):
        recognised(tmp_path)


def test_labelmes_files_are_told(tmp_path):
    """Before, they were taken for COCO's, without pictures."""
    sets.draw(tmp_path)
    content = {"version": "5.0.1", "flags": {}, "shapes": [{"label": "boat", "points": [[1, 2], [3, 4]]}]}
    (tmp_path / "a.json").write_text(json.dumps(content | {"imagePath": "a.png", "imageData": "A" * 5_000_000}))
    with pytest.raises(DataError, match=r"a\.json is LabelMe's JSON, which is not read: export COCO's format"):
        recognised(tmp_path)


def test_a_json_whose_pictures_are_nowhere_is_told(tmp_path):
    path = sets.write_coco(tmp_path)
    (tmp_path / "images").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"'a\.png' of it is neither beside it nor in images/: write dataset=coco"):
        recognised(path)


def test_what_is_not_there_or_no_labels_is_not_called_pictures(tmp_path):
    """It was said to be pictures without labels, and then not to be there."""
    (tmp_path / "boats").mkdir()
    with pytest.raises(DataError, match=r"boat' is not there; .*Nearest .*'boats'"):
        recognised(tmp_path / "boat")
    (tmp_path / "labels.csv").write_text("a,b")
    with pytest.raises(DataError, match=r"labels\.csv is neither YOLO's YAML, COCO's JSON, VOC's XML nor a picture"):
        recognised(tmp_path / "labels.csv")
    assert recognised(tmp_path / "*.jpg").name == "folder"
