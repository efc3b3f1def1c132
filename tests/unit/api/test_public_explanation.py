"""Explanations as a person meets them; made up, so that every number is known."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import lcrp
from lcrp.errors import ConfigError, StoreError
from lcrp.values import explanation as values
from lcrp.values.geometry import Geometry
from lcrp.values.target import ExplainedTarget, Target

LETTERBOXED = Geometry(
    picture_size=(20, 40), input_size=(80, 80), scale=(2.0, 2.0), offset=(20.0, 0.0), resize="letterbox"
)


@pytest.fixture
def explanation() -> lcrp.Explanation:
    """A box in a letterboxed photograph, which the input shows twice as large between two bars."""
    generator = np.random.default_rng(0)
    mask = np.zeros((80, 80), dtype=bool)
    mask[30:50, 10:30] = True
    concept = values.ConceptExplanation(
        concept=21, share=0.125, heatmap=generator.normal(size=(80, 80)), outside=0.25, references=()
    )
    value = values.Explanation(
        title="yolov6 · best.pt",
        mode="relevance",
        layer="backbone.conv",
        explained=ExplainedTarget(
            target=Target(sample=3, class_id=2, item=1),
            key="photo.png",
            score=0.97,
            confidence=0.934,
            box=(10.0, 30.0, 30.0, 50.0),
        ),
        class_name="boat",
        picture=generator.random((80, 80, 3)),
        source="photo.png",
        geometry=LETTERBOXED,
        rank=0,
        layer_share=0.62,
        num_concepts=64,
        mask=mask,
        heatmap=generator.normal(size=(80, 80)),
        outside=0.41,
        outside_area=0.78,
        concepts=(concept,),
        others=(values.OtherDecision(class_name="car", confidence=0.5, box=(0.0, 20.0, 10.0, 40.0), share=0.1),),
    )
    return lcrp.Explanation(value)


def test_it_says_itself_in_a_line(explanation: lcrp.Explanation) -> None:
    assert repr(explanation) == "boat 0.93: 41 % of the relevance lies outside; concepts 21"
    assert repr(explanation.concepts[0]) == "concept 21: 12.5 %, 25 % of it outside"
    value = explanation.concepts[0].value
    empty = replace(explanation.value, concepts=(replace(value, heatmap=np.zeros((80, 80))),))
    assert repr(lcrp.Explanation(empty).concepts[0]) == "concept 21: 12.5 %, none of it in the picture"
    opposed = replace(explanation.value, heatmap=np.where(explanation.value.mask, 1.0, -9.0), concepts=())
    assert repr(lcrp.Explanation(opposed)).startswith(
        "boat 0.93: 98 % of the relevance speaks against it, 41 % of the rest lies outside"
    )


def test_attributes_have_the_names_of_the_json(explanation: lcrp.Explanation) -> None:
    told = explanation.to_dict()
    for name in ("source", "class_id", "item", "rank", "score", "confidence", "outside", "layer", "layer_share"):
        assert getattr(explanation, name) == told[name]
    assert explanation.class_name == told["class"]
    assert explanation.box == told["box"]
    assert explanation.picture_size == told["picture_size"] == (20, 40)
    concept = explanation.concepts[0]
    assert (concept.id, concept.share, concept.outside, concept.references) == (21, 0.125, 0.25, ())


def test_boxes_and_masks_are_the_photographs(explanation: lcrp.Explanation) -> None:
    assert explanation.box == (5.0, 5.0, 15.0, 15.0)
    assert explanation.mask.shape == (20, 40)
    assert (np.argwhere(explanation.mask).min(axis=0) == (5, 5)).all()
    assert explanation.mask.sum() == 100
    assert explanation.others[0].box == (0.0, 0.0, 5.0, 10.0)


def test_maps_lie_on_the_input_and_go_to_the_photograph_without_loss(explanation: lcrp.Explanation) -> None:
    assert explanation.heatmap.shape == (80, 80)
    for one in (explanation, explanation.concepts[0]):
        moved = one.on_picture()
        assert moved.values.shape == (20, 40)
        assert moved.values.sum() + moved.beside == pytest.approx(one.heatmap.sum())


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf", ".json", ".h5", ".PNG"])
def test_it_is_saved_by_suffix(suffix: str, explanation: lcrp.Explanation, tmp_path: Path) -> None:
    path = explanation.save(str(tmp_path / f"boat{suffix}"))
    assert path == tmp_path / f"boat{suffix}"
    assert path.stat().st_size > 0


def test_other_suffixes_are_refused(explanation: lcrp.Explanation, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be written as '.jpg' \(boat.jpg\); suffixes: .*'.png'"):
        explanation.save(tmp_path / "boat.jpg")
    assert not list(tmp_path.iterdir())


def test_what_was_saved_is_read_again(explanation: lcrp.Explanation, tmp_path: Path) -> None:
    again = lcrp.read_explanation(explanation.save(tmp_path / "boat.h5"))
    assert repr(again) == repr(explanation)
    assert np.array_equal(again.heatmap, explanation.heatmap)
    assert again.to_dict() == explanation.to_dict()
    assert json.loads(explanation.save(tmp_path / "boat.json").read_text())["box"] == [5.0, 5.0, 15.0, 15.0]


def test_a_frame_has_one_row_a_concept(explanation: lcrp.Explanation) -> None:
    pytest.importorskip("pandas")
    row = explanation.to_dataframe().to_dict("records")
    assert [(one["concept"], one["class_name"], one["share"]) for one in row] == [(21, "boat", 0.125)]


def test_a_frame_without_pandas_gets_one_line(explanation: lcrp.Explanation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ConfigError, match=r"^data frames need pandas: pip install pandas$"):
        explanation.to_dataframe()


def test_a_notebook_shows_the_figure(explanation: lcrp.Explanation) -> None:
    shown = explanation._repr_png_()
    assert shown.startswith(b"\x89PNG")
    assert type(explanation.plot()).__name__ == "Figure"


def test_a_figure_has_room_for_the_references_that_were_asked_for(
    explanation: lcrp.Explanation, tmp_path: Path
) -> None:
    def width(made: object) -> float:
        return float(made.get_size_inches()[0])  # type: ignore[attr-defined]

    assert width(lcrp.figure(explanation, num_references=12)) > width(lcrp.figure(explanation))
    asked = lcrp.Explanation(explanation.value, num_references=12)
    assert width(asked.plot()) == width(lcrp.figure(explanation, num_references=12))
    lcrp.draw_explanation(asked, [tmp_path / "a.png", tmp_path / "a.svg"])
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "a.svg"}


@pytest.mark.parametrize("name", ["explained.png", "explained.svg", "explained.json", "explained.h5"])
def test_saving_makes_the_folder(explanation: lcrp.Explanation, own_folder: Path, name: str) -> None:
    assert explanation.save(own_folder / "new" / "deeper" / name).is_file()


@pytest.mark.parametrize("suffix", [".png", ".json", ".h5"])
def test_what_cannot_be_written_is_said_in_one_line(
    explanation: lcrp.Explanation, own_folder: Path, suffix: str
) -> None:
    (own_folder / "file").write_text("no folder")
    with pytest.raises(StoreError, match=r"^cannot write '.*file/explained"):
        explanation.save(own_folder / "file" / f"explained{suffix}")


def test_drawing_makes_the_folder_and_takes_a_list(explanation: lcrp.Explanation, own_folder: Path) -> None:
    lcrp.draw_explanation(explanation, [own_folder / "drawn" / "explained.png"])
    assert (own_folder / "drawn" / "explained.png").is_file()
    with pytest.raises(ConfigError, match=r"is one path; write a list of them: \['explained.png'\]"):
        lcrp.draw_explanation(explanation, "explained.png")
