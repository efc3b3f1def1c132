"""dataset=auto becomes the layout's name, and nothing knows of it from there on."""

from pathlib import Path

import labelled_sets as sets
import pytest

from lcrp.config.auto_data import known_layout, named_data, tell_layout
from lcrp.config.compose import composed
from lcrp.errors import ConfigError


def test_the_layout_takes_the_place_of_auto(tmp_path: Path) -> None:
    sets.write_yolo(tmp_path / "boats")
    given = ["model=yolov5", "dataset=auto", "dataset.path=boats", "dataset.split=train", "statistics.top_n=7"]
    expected = ["model=yolov5", "dataset=yolo", "dataset.path=boats/data.yaml", "dataset.split=train"]
    assert named_data(given, tmp_path) == [*expected, "statistics.top_n=7"]
    assert named_data(expected, tmp_path) == expected


def test_a_folder_of_one_split_has_no_list_of_it(tmp_path: Path) -> None:
    made = sets.write_voc(tmp_path / "made")
    (tmp_path / "set/train").mkdir(parents=True)
    (made / "Annotations/a.xml").rename(tmp_path / "set/train/a.xml")
    given = ["dataset=auto", "dataset.path=set", "dataset.split=train"]
    assert named_data(given, tmp_path) == ["dataset=voc", "dataset.root=set/train"]
    assert named_data(["dataset=auto", "dataset.path=made", "dataset.split=train"], tmp_path)[-1] == given[-1]


def test_both_ways_give_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sets.write_coco(tmp_path / "it's [mine]")
    found = composed(["model=yolov5", "dataset=auto", "dataset.path='it\\'s [mine]'"])
    assert (found.dataset.name, vars(found.dataset)["images"]) == ("coco", "it's [mine]/images")
    named = ["dataset=coco", "dataset.annotations='it\\'s [mine]/labels.json'", "dataset.images='it\\'s [mine]/images'"]
    assert found == composed(["model=yolov5", *named])


def test_pictures_without_labels_are_explained_as_predicted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sets.draw(tmp_path / "photos")
    found = composed(["dataset=auto", "dataset.path=photos"])
    assert (found.dataset.name, found.statistics.targets) == ("folder", "predicted")
    with pytest.raises(ConfigError, match="class_names says nothing to pictures without labels"):
        composed(["dataset=auto", "dataset.path=photos", "dataset.class_names=[a]"])


def test_a_class_map_is_written_as_the_help_says() -> None:
    """It was refused, for OmegaConf knew no such keys."""
    given = ["dataset=yolo", "dataset.path=data.yaml"]
    found = composed([*given, "dataset.class_map={pedestrian: person, a b: c}"])
    assert found.dataset.names_by_data() == {"pedestrian": "person", "a b": "c"}
    assert composed(given).dataset.names_by_data() == {}
    with pytest.raises(
        ConfigError, match=r"^dataset\.class_map=5 is no mapping of names; write 'dataset\.class_map=\{"
    ):
        composed([*given, "dataset.class_map=5"])


def test_what_is_said_can_be_typed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It named the files alone: 'dataset.path=data.yaml' of another folder."""
    sets.write_yolo(tmp_path / "my boats")
    with caplog.at_level("INFO"):
        tell_layout("my boats", known_layout("my boats", None, tmp_path), tmp_path)
    told = "my boats is a YOLO data set, by data.yaml: dataset=yolo 'dataset.path=my boats/data.yaml'"
    assert caplog.messages == [told]
