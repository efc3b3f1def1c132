"""Names of concepts: as the explorer saves them, into figures and numbers; what is none of these is refused."""

import json
from dataclasses import replace
from pathlib import Path

import colour_world
import pytest

from lcrp.decisions.concept_choice import ConceptChoice
from lcrp.decisions.explained import explained
from lcrp.decisions.explainer import Explainer
from lcrp.decisions.selection import Selection
from lcrp.errors import ConfigError
from lcrp.figures import wording
from lcrp.figures.legible import legible
from lcrp.storage.explanation_json import explanation_json
from lcrp.values.explanation import Explanation

SELECTION = Selection(image=None, samples=None, class_name="boat", max_targets=1)
CHOICE = ConceptChoice(mode="relevance", layer="2", n_concepts=2, n_references=0)


def saved(folder: Path, **content: object) -> Path:
    path = folder / "names.json"
    known: dict[str, object] = {"format": "lcrp-names", "version": 1, "names": {"2": {"0": " red ", "3": ""}}}
    path.write_text(json.dumps(known | content), encoding="utf-8")
    return path


def explainer() -> Explainer:
    return colour_world.subject().explainer


def explanation(named: Explainer) -> Explanation:
    (found,) = explained(named, colour_world.Squares()[1], SELECTION, CHOICE)
    return found


def test_a_name_stands_in_figures_and_numbers_and_in_no_identity(tmp_path):
    named = explainer().with_names(saved(tmp_path))
    assert named.identity() == explainer().identity()
    found = explanation(named)
    assert [one.title for one in found.concepts] == ["red (concept 0)", "concept 3"]
    assert [one.title for one in explanation(explainer()).concepts] == ["concept 0", "concept 3"]
    assert [one["name"] for one in explanation_json(found)["concepts"]] == ["red", None]  # type: ignore[attr-defined]
    (title, _) = wording.concept_title(found.concepts[0], "relevance", "box", found.geometry)
    assert title == "red (concept 0)"


def test_names_are_drawn_on_one_line(tmp_path):
    hostile = {"2": {"0": "two\nlines"}}
    found = legible(explanation(explainer().with_names(saved(tmp_path, names=hostile))))
    assert found.concepts[0].title == "two lines (concept 0)"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"format": "coco"}, "is no file of names"),
        ({"names": {"2": ["red"]}}, "has no channels and their names for layer '2'"),
        ({"version": 2}, "is no file of names"),
        ({"names": ["red"]}, "is no file of names"),
        ({"names": {"conv9": {}}}, "names concepts of layer 'conv9', which is not in the network; nearest: '"),
        ({"names": {"2": {"-1": "none"}}}, "has '-1': 'none' for layer '2'; write a channel"),
        ({"names": {"2": {"0": 7}}}, "has '0': 7 for layer '2'; write a channel"),
    ],
)
def test_other_files_are_refused_in_a_line(tmp_path, content, message):
    with pytest.raises(ConfigError, match=message) as caught:
        explainer().with_names(saved(tmp_path, **content))
    assert "\n" not in str(caught.value)


def test_concepts_that_are_not_there_are_left_out_and_told(tmp_path, caplog):
    """One of them refused all the names of a layer that lost a channel."""
    names = {"2": {"0": "red", "4": "none", **{str(channel): "none" for channel in range(10, 18)}}}
    named = explainer().with_names(saved(tmp_path, names=names))
    assert named.concept_names == {"2": {0: "red"}}
    (line,) = caplog.messages
    assert line.endswith(
        "names concepts 4, 10, 11, 12, 13, 14 and 3 more of layer '2', which has 0 to 3: left out, the other names are "
        "taken"
    )


def test_names_of_another_layer_are_told_once(tmp_path, caplog):
    named = explainer().with_names(saved(tmp_path, names={"0": {"0": "red"}, "4": {}}))
    for _ in range(2):
        assert [one.title for one in explanation(named).concepts] == ["concept 0", "concept 3"]
    (told,) = (line for line in caplog.messages if "names" in line)
    assert told == "names are of concepts of layer '0', and not of '2', which is shown: none is applied here"


def test_names_of_other_weights_are_refused(tmp_path):
    path = saved(tmp_path, checkpoint_sha256="ab" * 32)
    of_file = replace(explainer(), checkpoint_sha256="cd" * 32)
    with pytest.raises(ConfigError, match=r"of other weights"):
        of_file.with_names(path)
    assert of_file.with_names(saved(tmp_path)).concept_names["2"][0] == "red"
    assert replace(of_file, checkpoint_sha256="ab" * 32).with_names(path).concept_names["2"] == {0: "red"}


def test_what_is_no_json_or_not_there_is_told(tmp_path):
    (tmp_path / "cut.json").write_text('{"format": ', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"cut.json' is no JSON"):
        explainer().with_names(tmp_path / "cut.json")
    with pytest.raises(ConfigError, match=r"cannot read names '.*none.json': No such file"):
        explainer().with_names(tmp_path / "none.json")
