"""model.layer=auto in runs: chosen once, stored with the statistics, and the same in every part of a pass."""

import logging
from dataclasses import replace
from pathlib import Path

import colour_world
import forked
import pytest
import toy
from colour_world import Squares, run

from lcrp.data.loader import Shard
from lcrp.decisions import auto
from lcrp.decisions.concept_choice import ConceptChoice
from lcrp.decisions.selection import Selection
from lcrp.decisions.subject import StatisticsSettings, Subject
from lcrp.errors import LayerError, StoreError
from lcrp.stages import settled as settled_module
from lcrp.stages.glocal.glocal import GlocalSettings, glocal
from lcrp.stages.merge import MergeSettings, merge
from lcrp.stages.render import RenderSettings, render
from lcrp.storage.statistics import StatisticsFile, read_header
from lcrp.values.chosen_layer import ChosenLayer

EVERY = colour_world.statistics()
ONE = replace(EVERY, layers=("auto",))
SAID = "layer auto: 'strong', through which 97% of the relevance of the first 8 decisions passes"


def subject(layer: str = "auto", length: int = 8) -> Subject:
    return toy.subject(forked.explainer(layer), Squares(length))


def settings(n_references: int = 2, layer: str | None = None, **others: object) -> RenderSettings:
    selection = Selection(image=None, samples=(1,), class_name="boat", item=None, box=None, max_targets=1)
    choice = ConceptChoice(mode="relevance", layer=layer, n_concepts=2, n_references=n_references)
    return RenderSettings(selection=selection, choice=choice, **others)  # type: ignore[arg-type]


@pytest.fixture
def num_choices(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts how often decisions were looked at to choose."""
    counted: list[int] = []
    real = auto.chosen_layer

    def counting(*given: object, **named: object) -> ChosenLayer | None:
        counted.append(1)
        return real(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(settled_module, "chosen_layer", counting)
    return counted


def test_a_pass_stores_the_layer_and_render_takes_it(
    tmp_path: Path, num_choices: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    path = glocal(subject(), EVERY, GlocalSettings(), run(tmp_path))
    chosen = read_header(path).chosen
    assert chosen is not None
    assert (chosen.name, chosen.num_decisions) == ("strong", 8)
    assert caplog.messages.count(SAID) == 1
    caplog.clear()
    (figure,) = render(subject(), EVERY, settings(), run(tmp_path))
    assert figure.stem.endswith("_strong")
    assert caplog.messages.count(SAID) == 1
    assert num_choices == [1]
    (figure,) = render(subject("wide"), EVERY, settings(layer="auto"), run(tmp_path))
    assert figure.stem.endswith("_strong")
    assert num_choices == [1]


def test_a_named_layer_chooses_nothing(tmp_path: Path, num_choices: list[int]) -> None:
    path = glocal(subject("wide"), EVERY, GlocalSettings(), run(tmp_path))
    assert read_header(path).chosen is None
    (figure,) = render(subject("wide"), EVERY, settings(), run(tmp_path))
    assert figure.stem.endswith("_wide")
    assert not num_choices


def test_statistics_of_auto_alone_hold_that_layer(tmp_path: Path, num_choices: list[int]) -> None:
    with StatisticsFile(glocal(subject(), ONE, GlocalSettings(), run(tmp_path))) as file:
        assert file.layer_names == ("strong",)
    render(subject(), ONE, settings(), run(tmp_path))
    assert num_choices == [1]


def test_render_makes_statistics_with_one_choice(tmp_path: Path, num_choices: list[int]) -> None:
    (figure,) = render(subject(), ONE, settings(make_statistics=True), run(tmp_path))
    assert figure.stem.endswith("_strong")
    assert num_choices == [1]


def test_missing_statistics_are_told_before_anything_is_chosen(tmp_path: Path, num_choices: list[int]) -> None:
    with pytest.raises(StoreError, match="there are no statistics"):
        render(subject(), EVERY, settings(), run(tmp_path))
    assert not num_choices


def test_without_references_the_dataset_chooses(tmp_path: Path, num_choices: list[int]) -> None:
    (figure,) = render(subject(), EVERY, settings(n_references=0), run(tmp_path))
    assert figure.stem.endswith("_strong")
    assert num_choices == [1]


@pytest.mark.parametrize("statistics", [EVERY, ONE], ids=["every layer", "auto alone"])
def test_all_shards_choose_the_same_and_merge_to_the_whole(tmp_path: Path, statistics: StatisticsSettings) -> None:
    for folder in ("whole", "first", "second", "both"):
        (tmp_path / folder).mkdir()
    whole = glocal(subject(), statistics, GlocalSettings(), run(tmp_path / "whole"))
    parts = []
    for index, folder in enumerate(("first", "second")):  # on machines that see nothing of each other
        part = GlocalSettings(shard=Shard(index=index, count=2))
        parts.append(glocal(subject(), statistics, part, run(tmp_path / folder)))
    assert {read_header(part).chosen for part in parts} == {read_header(whole).chosen}
    merged = merge(subject(), statistics, MergeSettings(shards=tuple(parts)), run(tmp_path / "both"))
    assert merged.read_bytes() == whole.read_bytes()


def test_a_second_shard_takes_what_the_first_chose(tmp_path: Path, num_choices: list[int]) -> None:
    for index in range(2):
        glocal(subject(), ONE, GlocalSettings(shard=Shard(index=index, count=2)), run(tmp_path))
    assert num_choices == [1]


def test_where_nothing_is_decided_a_layer_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(LayerError, match="decides nothing in squares; name a layer, such as 'wide'") as refused:
        glocal(subject(length=0), ONE, GlocalSettings(), run(tmp_path))
    assert refused.value.mend == "Set model.layer."
