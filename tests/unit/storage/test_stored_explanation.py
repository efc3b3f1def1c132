"""Explanations come back as they were, but for pictures, which are rounded to 8 bits."""

import json
from dataclasses import fields, replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from lcrp.errors import StoreError
from lcrp.storage.explanation import read_explanation, write_explanation
from lcrp.storage.explanation_json import explanation_json
from lcrp.values.explanation import Annotated, ConceptExplanation, Explanation, Lost, OtherDecision, Reference
from lcrp.values.geometry import Geometry
from lcrp.values.target import ExplainedTarget, Target

HEIGHT, WIDTH = 6, 8


def explanation() -> Explanation:
    rng = np.random.default_rng(0)
    references = tuple(
        Reference(
            key=f"{sample}.jpg",
            sample=sample,
            class_name="boat",
            score=0.25 / (sample + 1),
            picture=rng.random((HEIGHT, WIDTH, 3), dtype=np.float32),
            heatmap=rng.standard_normal((HEIGHT, WIDTH)).astype(np.float32),
            pixel_aspect=1.5,
            is_explained_picture=sample == 0,
        )
        for sample in range(11)
    )
    concepts = tuple(
        ConceptExplanation(
            concept=17 - rank,
            share=-0.1 * rank,
            heatmap=rng.standard_normal((HEIGHT, WIDTH)).astype(np.float32),
            outside=0.3,
            references=references if rank == 0 else (),
            lost=Lost(unreadable=rank, not_found=2),
        )
        for rank in range(2)
    )
    return Explanation(
        title="yolov6 on scenes, epsilon_gamma_flat",
        mode="relevance",
        layer="backbone.conv",
        explained=ExplainedTarget(
            target=Target(sample=4, class_id=1, item=2),
            key="val/4",
            score=0.91,
            confidence=0.83,
            box=(1.0, 2.0, 5.5, 4.0),
            row=321,
        ),
        class_name="Käfer",
        picture=rng.random((HEIGHT, WIDTH, 3), dtype=np.float32),
        source="4.png",
        geometry=Geometry(
            picture_size=(12, 12), input_size=(6, 8), scale=(0.5, 0.5), offset=(0.0, 1.0), resize="letterbox"
        ),
        rank=0,
        layer_share=0.4,
        num_concepts=32,
        others=(OtherDecision(class_name="Käfer", confidence=0.5, box=(0.0, 1.0, 2.0, 3.0), share=0.1),),
        runners_up=(("boat", 0.2),),
        annotated=Annotated(verdict="hit", class_name="Käfer", overlap=0.75),
        mask=rng.random((HEIGHT, WIDTH)) > 0.5,
        heatmap=rng.standard_normal((HEIGHT, WIDTH)).astype(np.float32),
        outside=0.4,
        outside_area=0.9,
        concepts=concepts,
    )


def assert_rounded(found: np.ndarray, picture: np.ndarray) -> None:
    assert found.dtype == np.float32
    assert np.abs(found - picture).max() <= 0.5 / 255 + 1e-6


def test_everything_comes_back(tmp_path: Path) -> None:
    path, given = tmp_path / "x.h5", explanation()
    write_explanation(path, given)
    found = read_explanation(path)
    compared = ("picture", "mask", "heatmap", "concepts")
    for name in (field.name for field in fields(Explanation) if field.name not in compared):
        assert getattr(found, name) == getattr(given, name), name
    assert_rounded(found.picture, given.picture)
    np.testing.assert_array_equal(found.mask, given.mask, strict=True)
    np.testing.assert_array_equal(found.heatmap, given.heatmap, strict=True)
    for ours, theirs in zip(found.concepts, given.concepts, strict=True):
        assert (ours.concept, ours.share, ours.outside) == (theirs.concept, theirs.share, theirs.outside)
        np.testing.assert_array_equal(ours.heatmap, theirs.heatmap, strict=True)
        for reference, expected in zip(ours.references, theirs.references, strict=True):
            for name in ("key", "sample", "class_name", "score", "pixel_aspect", "is_explained_picture"):
                assert getattr(reference, name) == getattr(expected, name), name
            assert_rounded(reference.picture, expected.picture)
            np.testing.assert_array_equal(reference.heatmap, expected.heatmap, strict=True)


def test_what_was_read_is_written_to_the_same_bytes(tmp_path: Path) -> None:
    write_explanation(tmp_path / "a.h5", explanation())
    write_explanation(tmp_path / "b.h5", read_explanation(tmp_path / "a.h5"))
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_a_mask_target_has_an_area_and_no_box(tmp_path: Path) -> None:
    target = ExplainedTarget(target=Target(sample=4, class_id=1), key="4", score=3.5, confidence=0.5, area=0)
    write_explanation(tmp_path / "x.h5", replace(explanation(), explained=target))
    assert read_explanation(tmp_path / "x.h5").explained == target


def test_the_class_that_is_contrasted_is_kept(tmp_path: Path) -> None:
    given = explanation()
    asked = replace(given.explained, instead="kite", instead_confidence=0.25)
    write_explanation(tmp_path / "x.h5", replace(given, explained=asked))
    found = read_explanation(tmp_path / "x.h5")
    assert found.explained == asked
    assert explanation_json(found)["instead"] == {"class": "kite", "confidence": 0.25}
    assert explanation_json(given)["instead"] is None


def test_a_side_that_is_linearised_is_kept_as_such(tmp_path: Path) -> None:
    given = explanation()
    asked = replace(given, explained=replace(given.explained, read="left", is_linearised=True))
    write_explanation(tmp_path / "x.h5", asked)
    assert read_explanation(tmp_path / "x.h5").explained == asked.explained
    assert [explanation_json(one)["is_linearised"] for one in (asked, given)] == [True, False]


def test_json_holds_the_numbers() -> None:
    content = json.loads(json.dumps(explanation_json(explanation()), allow_nan=False))
    assert list(content) == [
        *("title", "source", "sample", "key", "mode", "class", "class_id", "item", "rank", "score", "confidence"),
        *(
            "read",
            "is_linearised",
            "instead",
            "box",
            "area",
            "picture_size",
            "input",
            "outside",
            "outside_area",
            "against",
            "layer",
            "layer_share",
            "coverage",
        ),
        *("ledger", "concepts", "others", "runners_up", "annotated"),
    ]
    assert (content["class"], content["class_id"], content["item"], content["area"]) == ("Käfer", 1, 2, None)
    assert [concept["concept"] for concept in content["concepts"]] == [17, 16]
    assert content["concepts"][0]["references"][2]["key"] == "2.jpg"
    assert content["concepts"][1]["lost"] == {"unreadable": 1, "not_found": 2}
    assert content["runners_up"] == [{"class": "boat", "confidence": 0.2}]
    assert content["annotated"] == {"verdict": "hit", "class": "Käfer", "overlap": 0.75}
    assert (content["layer_share"], content["coverage"]) == (0.4, 0.1)


def test_boxes_in_json_are_the_photographs_and_the_input_is_told() -> None:
    content = explanation_json(explanation())
    assert content["box"] == (0.0, 4.0, 9.0, 8.0)  # (1, 2, 5.5, 4) in the input, which is half as large and one right
    assert content["picture_size"] == (12, 12)
    assert content["input"] == {
        "height": 6,
        "width": 8,
        "resize": "letterbox",
        "scale": (0.5, 0.5),
        "offset": (0.0, 1.0),
    }
    assert content["others"] == [
        {"class": "Käfer", "confidence": 0.5, "box": (0.0, 2.0, 2.0, 6.0), "share": 0.1}  # its left part is in a bar
    ]


def test_files_hold_both_frames_and_say_so(tmp_path: Path) -> None:
    write_explanation(tmp_path / "x.h5", explanation())
    with h5py.File(tmp_path / "x.h5") as file:
        assert "picture_box" in file.attrs["frame"]
        for group, box, moved in (
            (file["target"], (1.0, 2.0, 5.5, 4.0), (0.0, 4.0, 9.0, 8.0)),
            (file["others/0000"], (0.0, 1.0, 2.0, 3.0), (0.0, 2.0, 2.0, 6.0)),
        ):
            assert tuple(group.attrs["box"]) == box
            assert tuple(group.attrs["picture_box"]) == moved


def test_areas_of_masks_are_the_photographs() -> None:
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[2:4, 1:3] = mask[:, 0] = True  # four pixels of the picture, and a bar
    target = ExplainedTarget(target=Target(sample=4, class_id=1), key="4", score=3.5, confidence=0.5, area=10)
    content = explanation_json(replace(explanation(), explained=target, mask=mask))
    assert (content["box"], content["area"]) == (None, 16)


def test_what_was_not_measured_is_null() -> None:
    content = explanation_json(replace(explanation(), layer_share=float("nan"), annotated=None))
    assert (content["layer_share"], content["annotated"]) == (None, None)


def test_numbers_from_numpy_are_plain() -> None:
    given = explanation()
    concept = replace(given.concepts[0], concept=int(np.int64(3)), share=np.float32(0.5))
    json.dumps(explanation_json(replace(given, concepts=(concept,), outside=np.float64(0.25))))


def test_another_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no file"):
        read_explanation(tmp_path / "absent.h5")
    path = tmp_path / "x.h5"
    write_explanation(path, explanation())
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(StoreError, match="truncated file"):
        read_explanation(path)
