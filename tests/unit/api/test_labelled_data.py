"""Labelled data as a person gives it in Python: by path alone."""

import logging
from pathlib import Path

import pytest
from PIL import Image

import lcrp
from lcrp.data.scenes import draw, plan
from lcrp.data.scenes.names import CLASS_NAMES
from lcrp.errors import ConfigError

LAYER = "backbone.ERBlock_4.0.rbr_dense.conv"


@pytest.fixture
def boats(tmp_path: Path) -> Path:
    """A YOLO data set of three scenes, with the classes in another order and one that no network knows."""
    names = [*reversed(CLASS_NAMES), "lighthouse"]
    for index in range(3):
        drawing = draw(plan("val", index))
        for folder in ("images", "labels"):
            (tmp_path / folder).mkdir(exist_ok=True)
        Image.fromarray(drawing.image).save(tmp_path / f"images/{index}.png")
        lines = [f"{len(names) - 1} .1 .1 .1 .1"]
        for label, (left, top, right, bottom) in zip(drawing.labels, drawing.boxes, strict=True):
            place = ((left + right) / 512, (top + bottom) / 512, (right - left) / 256, (bottom - top) / 256)
            lines.append(f"{names.index(CLASS_NAMES[label])} " + " ".join(map(str, place)))
        (tmp_path / f"labels/{index}.txt").write_text("\n".join(lines))
    (tmp_path / "data.yaml").write_text(f"val: images\nnames: [{', '.join(names)}]\n")
    return tmp_path


def test_statistics_of_a_labelled_set_are_those_of_the_same_scenes(
    boats: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Classes in another order were other classes."""
    monkeypatch.chdir(boats)
    explainer = lcrp.load("embedded:yolov6_scenes")
    with caplog.at_level(logging.INFO):
        found = lcrp.statistics(explainer, "data.yaml", layers=[LAYER])
    scenes = lcrp.statistics(explainer, "scenes", layers=[LAYER], num_samples=3)
    assert found.value.class_names == scenes.value.class_names
    known = (
        f"{len(CLASS_NAMES)} of {len(CLASS_NAMES) + 1} classes of the data are known to the network; not: lighthouse"
    )
    assert any(known in line for line in caplog.messages)
    assert known in found.value.reading
    for concept in (3, 21):
        ours, theirs = (one.concept(LAYER, concept) for one in (found, scenes))
        assert ours.count == theirs.count
        assert ours.mean == pytest.approx(theirs.mean)
    again = lcrp.statistics(explainer, boats, layers=[LAYER])
    assert again.path == found.path


def test_classes_without_a_common_name_are_told_with_the_mend(boats: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(boats)
    (boats / "data.yaml").write_text(
        f"val: images\nnames: [{', '.join(f'c{n}' for n in range(len(CLASS_NAMES) + 1))}]\n"
    )
    explainer = lcrp.load("embedded:yolov6_scenes")
    with pytest.raises(
        ConfigError, match=r"\w+ is annotated with 7 classes \(c0, c1, c2, \.\.\.\), but .* say which is"
    ):
        lcrp.statistics(explainer, "data.yaml", layers=[LAYER])
    mapped = {"name": "yolo", "path": "data.yaml", "class_map": {f"c{len(CLASS_NAMES) - 1}": CLASS_NAMES[0]}}
    found = lcrp.statistics(explainer, mapped, layers=[LAYER])
    assert set(found.value.class_names) == set(CLASS_NAMES)


def test_boxes_stand_for_masks_where_a_segmenter_explains(boats: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(boats)
    explainer = lcrp.load("embedded:unet_scenes")
    found = lcrp.statistics(explainer, "data.yaml", layers=["encoder.features.15"])
    assert "class masks are drawn from the objects" in found.value.reading
    assert found.num_samples == 3
