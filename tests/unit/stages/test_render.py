"""stage=render: what it writes, and what it says where it cannot."""

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import colour_world
import numpy as np
import pytest
import torch
import toy
from colour_world import Squares
from PIL import Image
from torch import nn

from lcrp.decisions.concept_choice import ConceptChoice
from lcrp.decisions.selection import Selection
from lcrp.decisions.subject import Subject
from lcrp.errors import ConfigError, DataError, LayerError, StoreError, TargetError
from lcrp.figures.explanation import draw_explanation
from lcrp.stages.glocal.glocal import GlocalSettings, glocal
from lcrp.stages.render import RenderSettings, render
from lcrp.storage.explanation import read_explanation
from lcrp.values.explanation import Explanation

SELECTION = Selection(image=None, samples=None, class_name=None, item=None, box=None, max_targets=5)
CHOICE = ConceptChoice(mode="relevance", layer=None, n_concepts=2, n_references=0)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are drawn in their own tests; here only a few are."""

    def write(explanation: Explanation, paths: Sequence[Path], *, num_references: int) -> None:  # noqa: ARG001
        for path in paths:
            path.write_bytes(b"figure")

    monkeypatch.setattr("lcrp.stages.render.draw_explanation", write)


@pytest.fixture
def drawn(_quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are drawn, coarsely."""
    monkeypatch.setattr("lcrp.stages.render.draw_explanation", partial(draw_explanation, dpi=40))


def settings(
    *, formats: tuple[str, ...] = ("png",), statistics: Path | None = None, **changes: object
) -> RenderSettings:
    of_choice = {name: value for name, value in changes.items() if hasattr(CHOICE, name)}
    of_selection = {name: value for name, value in changes.items() if name not in of_choice}
    return RenderSettings(
        selection=replace(SELECTION, **of_selection),
        choice=replace(CHOICE, **of_choice),
        formats=formats,
        statistics=statistics,
    )


def rendered(folder: Path, chosen: RenderSettings, subject: Subject | None = None) -> list[Path]:
    return render(subject or colour_world.subject(), colour_world.statistics(), chosen, colour_world.run(folder))


def with_statistics(folder: Path) -> Path:
    return glocal(colour_world.subject(), colour_world.statistics(), GlocalSettings(), colour_world.run(folder))


@pytest.mark.usefixtures("drawn")
def test_figure_numbers_and_maps_of_one_decision(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with_statistics(tmp_path)
    with caplog.at_level(logging.INFO):
        (figure,) = rendered(tmp_path, settings(samples=(3,), n_references=2))
    assert figure == tmp_path / "run" / "squares-03_boat_0_2.png"
    assert caplog.messages[-1] == f"drawn: {figure.name}"
    with Image.open(figure) as picture:
        assert picture.width > 200
    numbers = json.loads(figure.with_suffix(".json").read_text())
    assert numbers["class"] == "boat"
    assert numbers["title"] == "colours · random weights · squares · epsilon_plus_flat"
    assert numbers["concepts"][0]["concept"] == 0
    references = numbers["concepts"][0]["references"]
    assert len(references) == 2
    assert {reference["class"] for reference in references} == {"boat"}
    assert {reference["sample"] for reference in references} <= {1, 3, 5}


@pytest.mark.usefixtures("drawn")
def test_the_figure_redraws_from_its_file_byte_by_byte(tmp_path: Path) -> None:
    with_statistics(tmp_path)
    (figure,) = rendered(tmp_path, settings(samples=(3,), n_references=2))
    stored = read_explanation(figure.with_suffix(".h5"))
    draw_explanation(stored, [tmp_path / "again.png"], num_references=2, dpi=40)
    assert (tmp_path / "again.png").read_bytes() == figure.read_bytes()


def test_a_second_run_finds_its_references_kept(tmp_path: Path) -> None:
    path = with_statistics(tmp_path)
    (first,) = rendered(tmp_path, settings(samples=(3,), n_references=2))
    before = first.with_suffix(".h5").read_bytes()
    kept = sorted((path.parent / "references").iterdir())
    assert len(kept) == 2  # one per concept
    (second,) = rendered(tmp_path, settings(samples=(3,), n_references=2))
    assert second.with_suffix(".h5").read_bytes() == before
    assert sorted((path.parent / "references").iterdir()) == kept


def test_activation_mode(tmp_path: Path) -> None:
    with_statistics(tmp_path)
    (figure,) = rendered(tmp_path, settings(samples=("squares/02",), mode="activation", n_references=1))
    shown = read_explanation(figure.with_suffix(".h5"))
    assert shown.mode == "activation"
    assert [reference.class_name for reference in shown.concepts[0].references] == [""]


def test_the_first_sample_with_a_target_is_the_default(tmp_path: Path) -> None:
    chosen = settings(class_name="car")
    (figure,) = rendered(tmp_path, chosen)
    assert figure.name == "squares-02_car_0_2.png"


def test_all_samples_and_formats_asked_for(tmp_path: Path) -> None:
    figures = rendered(tmp_path, settings(samples=(1, 2), formats=("svg", "pdf")))
    assert [figure.name for figure in figures] == [
        "squares-01_boat_0_2.svg",
        "squares-01_boat_0_2.pdf",
        "squares-02_car_0_2.svg",
        "squares-02_car_0_2.pdf",
    ]
    assert all(figure.is_file() for figure in figures)


def test_the_users_own_pictures(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    pixels = (Squares()[1].image.permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "my picture.png")
    (folder / "broken.png").write_bytes(b"nothing")
    (figure,) = rendered(tmp_path, settings(image=str(folder)))
    assert figure.name == "my-picture.png_boat_0_2.png"
    shown = read_explanation(figure.with_name("my-picture.png_boat_0_2.h5"))
    assert shown.title == "colours · random weights · photos · epsilon_plus_flat"
    assert (shown.source, shown.annotated) == ("my picture.png", None)


def test_pictures_of_one_name_have_files_of_their_own(tmp_path: Path) -> None:
    pixels = (Squares()[1].image.permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    for name in ("a b/c.png", "a-b/c.png"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / "photos" / name)
    figures = rendered(tmp_path, settings(image=str(tmp_path / "photos" / "*" / "*.png")))
    assert [figure.name for figure in figures] == ["a-b-c.png_boat_0_2.png", "a-b-c.png_boat_0_2-2.png"]
    sources = [json.loads(figure.with_suffix(".json").read_text())["source"] for figure in figures]
    assert sources == ["a b/c.png", "a-b/c.png"]


def test_no_file_names_a_folder_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_statistics(tmp_path)
    home = tmp_path / "alice"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    pixels = (Squares()[1].image.permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    Image.fromarray(pixels).save(home / "photo.png")
    subject = colour_world.subject()
    trained = replace(subject, explainer=replace(subject.explainer, checkpoint="best.pt", checkpoint_sha256="abc"))
    for image in (home, home / "photo.png"):
        (figure,) = rendered(tmp_path, settings(image=str(image), n_references=1), trained)
        written = figure.with_suffix(".json").read_text() + read_explanation(figure.with_suffix(".h5")).title
        assert "colours · best.pt · references from squares · epsilon_plus_flat" in written
        assert "alice" not in written
        assert str(tmp_path) not in written


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"layer": "3"}, LayerError, r"layer '3' is not in colours; nearest: '[024]'"),
        ({"class_name": "cat"}, TargetError, "class 'cat' is not known .*'car'"),
        ({"samples": (9,)}, DataError, "squares has no sample 9: it has 6"),
        ({"samples": (1,), "class_name": "car"}, TargetError, "no 'car' in squares/01.*'background'"),
        ({"samples": (1,), "class_name": "boat", "item": 1}, TargetError, "no item 1 of 'boat'"),
        ({"samples": (1,), "concepts": (4,)}, LayerError, "concept 4 is not in layer '2'"),
        ({"image": "nowhere.png"}, DataError, "'nowhere.png' is not there"),
    ],
)
def test_what_is_not_there_is_told_in_one_line(
    tmp_path: Path, changes: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        rendered(tmp_path, settings(**changes))
    assert "\n" not in str(caught.value)


def test_one_missing_target_does_not_stop_the_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    figures = rendered(tmp_path, settings(samples=(1, 2, 3), class_name="boat"))
    assert len(figures) == 2
    assert "no 'boat' in squares/02" in caplog.text


def test_what_biases_took_of_all_decisions_is_one_line_at_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """There was one for each of them."""
    caplog.set_level(logging.INFO)
    network = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.Conv2d(3, 2, 1))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(0.01)
        network[1].bias[1] = 1.0  # type: ignore[index]
    subject = toy.subject(toy.explainer(network, ("sky", "boat"), colour_world.SIDE, layer="0"), Squares())
    rendered(tmp_path, settings(samples=(1, 2, 3), class_name="boat"), subject)
    told = [line for line in caplog.messages if "biases took" in line]
    assert told == [caplog.messages[-1]]
    assert told[0].startswith("of the relevance of 3 decisions <1 % reached the picture, biases took >99 %")


def test_nothing_explained_at_all_is_an_error(tmp_path: Path) -> None:
    subject = colour_world.subject(Squares(length=1))
    with pytest.raises(TargetError, match=r"no 'boat' in squares/00.*predicted are 'background' 100"):
        rendered(tmp_path, settings(class_name="boat"), subject)
    with pytest.raises(TargetError, match=r"nothing to explain in 2 pictures of squares; the first: no 'boat'"):
        rendered(tmp_path, settings(class_name="boat", samples=(2, 4)))


def test_missing_statistics_are_told_with_the_command(tmp_path: Path) -> None:
    subject = replace(colour_world.subject(), command="lcrp stage=glocal model=colours")
    with pytest.raises(StoreError, match="there are no statistics") as caught:
        rendered(tmp_path, settings(samples=(1,), n_references=1), subject)
    assert caught.value.mend == "Make them: lcrp stage=glocal model=colours"


def test_missing_statistics_are_made_where_asked_for_and_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = replace(settings(samples=(3,), n_references=1), make_statistics=True)
    (figure,) = rendered(tmp_path, asked)
    numbers = figure.with_suffix(".json").read_text()
    assert len(list(tmp_path.rglob("statistics/*/*.h5"))) == 1
    monkeypatch.setattr("lcrp.stages.glocal.statistics_file.glocal", None)  # a second pass would fail
    (again,) = rendered(tmp_path, asked)
    assert again.with_suffix(".json").read_text() == numbers
    with pytest.raises(StoreError):
        rendered(tmp_path, replace(asked, statistics=tmp_path / "missing.h5"))


def test_unknown_formats_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"^formats='gif' is unknown; nearest: .*'png'"):
        settings(formats=("gif",))
    with pytest.raises(ConfigError, match=r"^formats='' is unknown"):
        settings(formats=())


def test_the_network_is_given_back_as_it_was(tmp_path: Path) -> None:
    subject = colour_world.subject()
    before = {name: value.clone() for name, value in subject.explainer.network.state_dict().items()}
    rendered(tmp_path, settings(samples=(1,)), subject)
    after = subject.explainer.network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    with pytest.raises(LayerError):
        rendered(tmp_path, settings(samples=(1,), concepts=(99,)), subject)
    assert all(not module._forward_hooks for module in subject.explainer.network.modules())
