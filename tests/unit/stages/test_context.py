"""stage=context: numbers worked out on paper, every file, and work that goes on where it was stopped."""

import logging
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import colour_world
import numpy as np
import paper_world
import pytest
import torch
from colour_world import Squares

from lcrp.attribution.engine import Attributor
from lcrp.attribution.trace import Trace
from lcrp.composites import windows
from lcrp.decisions.concept_choice import ConceptChoice
from lcrp.decisions.decision import explained_decisions
from lcrp.decisions.selection import Selection
from lcrp.decisions.subject import Subject
from lcrp.errors import DataError, Interrupted, LayerError, StoreError, TargetError
from lcrp.stages.context import views as context_views
from lcrp.stages.context.context import context
from lcrp.stages.context.pairs import LayerPairs
from lcrp.stages.context.report import studied_class
from lcrp.stages.context.scores import ContextScores
from lcrp.stages.glocal.glocal import GlocalSettings, glocal
from lcrp.storage.evidence import read_evidence
from lcrp.storage.statistics import StatisticsFile
from lcrp.values.evidence import Table
from lcrp.values.sample import Sample
from lcrp.values.target import Target


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are drawn in their own tests."""

    def draw(shown: object, title: str, path: Path) -> None:  # noqa: ARG001
        path.write_bytes(b"figure")

    for name in ("draw_classes", "draw_clouds", "draw_concepts"):
        monkeypatch.setattr(context_views, name, draw)


@pytest.fixture
def black(monkeypatch: pytest.MonkeyPatch) -> None:
    """Backgrounds become black, by half and in full."""
    monkeypatch.setattr("lcrp.stages.context.backgrounds.replacements", lambda _, size: torch.zeros(1, 3, *size))


def tables(tmp_path: Path, subject: Subject | None = None, **changes: Any) -> dict[str, Table]:
    settings = replace(paper_world.CONTEXT, **changes)
    statistics = paper_world.STATISTICS if subject is None else replace(colour_world.statistics(), layers=("2",))
    written = context(subject or paper_world.subject(), statistics, settings, colour_world.run(tmp_path))
    assert all(path.is_file() for path in written)
    return read_evidence(tmp_path / "run" / "context.h5")


def column(table: Table, name: str) -> list[Any]:
    return np.asarray(table.columns[name]).tolist()


def test_context_scores_on_paper(tmp_path: Path) -> None:
    """Concept 1 looks beside the square. Of concept 0, half is outside where only half of the square is annotated."""
    concepts = tables(tmp_path)["concepts"]
    assert column(concepts, "class") == ["boat", "boat"]  # concept 2 speaks for the background alone
    assert column(concepts, "concept") == [1, 0]
    assert column(concepts, "context") == pytest.approx([1.0, (0.0 + 0.5) / 2], abs=1e-5)
    assert column(concepts, "relevance") == pytest.approx([0.375, 0.625], abs=1e-5)
    assert column(concepts, "num_references") == [2, 2]


def test_shares_of_single_decisions_on_paper(tmp_path: Path) -> None:
    """Concept 1's 0.375 lies outside, and in the half annotated picture half of concept 0's 0.625 as well."""
    found = tables(tmp_path)
    detections = found["detections"]
    assert column(detections, "key") == ["paper/1", "paper/0"]  # most outside first
    assert column(detections, "outside") == pytest.approx([0.375 + 0.3125, 0.375], abs=1e-5)
    assert column(detections, "outside_area") == pytest.approx([1 - 8 / 256, 1 - 16 / 256])


@pytest.mark.parametrize(
    ("num_samples", "min_pixels", "outside", "num_detections"),
    [(9, 1, 0.53125, 2), (9, 10, 0.375, 1), (0, 10, 0.53125, 2)],
)
def test_classes_are_summed_up_by_decisions_drawn_at_random(
    tmp_path: Path, num_samples: int, min_pixels: int, outside: float, num_detections: int
) -> None:
    """The half annotated square, 0.6875 outside, is only drawn if it is large enough; without a draw, all count."""
    classes = tables(tmp_path, num_samples_per_class=num_samples, min_pixels=min_pixels)["classes"]
    assert column(classes, "class") == ["boat"]
    assert column(classes, "outside") == pytest.approx([outside], abs=1e-5)
    assert column(classes, "num_detections") == [num_detections]
    # concepts weighted by relevance: 0.375 * 1 + 0.625 * 0.25
    assert column(classes, "concepts_context") == pytest.approx([0.53125], abs=1e-5)


@pytest.mark.usefixtures("black")
def test_sensitivities_on_paper(tmp_path: Path) -> None:
    """In half the darkness blue is 0.4: the logits sum to 16 + 4.8 = 20.8; in full they sum to 16.

    Concept 0: 0.625 becomes 16 / 20.8 = 0.7692 and 1: changes 0.1875 and 0.375. Concept 1: 0.375 becomes 4.8 / 20.8 =
    0.2308 and 0: changes 0.3846 and 1. The half annotated square has 8 pixels, fewer than `min_pixels`.
    """
    found = tables(tmp_path)
    assert column(found["concepts"], "concept") == [1, 0]
    assert column(found["concepts"], "sensitivity") == pytest.approx([0.69231, 0.28125], abs=1e-4)
    assert column(found["concepts"], "num_decisions") == [1, 1]
    assert column(found["sensitivity_terms"], "weight") == pytest.approx([0.625, 0.375], abs=1e-5)  # by relevance
    validation = dict(zip(column(found["validation"], "measure"), column(found["validation"], "value"), strict=True))
    # context 1 and 0.25 against 0.69231 and 0.28125: two points always lie on a line
    assert validation["pearson"] == pytest.approx(1.0)
    assert validation["rmse"] == pytest.approx(np.sqrt((0.30769**2 + 0.03125**2) / 2), abs=1e-4)


def test_a_mask_that_is_gone_has_no_relevance_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a black picture the logit of the boat is 0, that of the background 0.1: all relevance is gone."""
    monkeypatch.setattr(
        "lcrp.stages.context.backgrounds.variants", lambda found, _: torch.zeros(3, *found.sample.image.shape)
    )
    found = tables(tmp_path, class_name="boat")
    assert column(found["concepts"], "sensitivity") == pytest.approx([1.0, 1.0])


def test_statistics_without_the_layer_are_made_where_asked_for(tmp_path: Path) -> None:
    """Those of other layers fit, since they are the only ones of the network."""
    subject, run = colour_world.subject(), colour_world.run(tmp_path)
    few = replace(colour_world.statistics(), layers=("2",))
    made = glocal(subject, few, GlocalSettings(), run)
    asked = replace(paper_world.CONTEXT, layers=("0",), make_statistics=False)
    with pytest.raises(StoreError, match=r"has no layer '0'"):
        context(subject, replace(few, layers=()), asked, run)
    context(subject, replace(few, layers=()), replace(asked, make_statistics=True), run)
    assert len(list(made.parent.glob("*.h5"))) == 2


def test_objects_too_small_for_a_case_study_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It was 'set to zero: logit changes by not known in 0 pictures with context'."""
    with caplog.at_level(logging.INFO):
        found = tables(tmp_path, min_pixels=99)
    assert not column(found["case_study"], "change")
    told = [one.getMessage() for one in caplog.records if one.getMessage().startswith("no case")]
    assert told == [
        "no case study of boat: none of its decisions (2) is found again with an object of stage.min_pixels=99 pixels"
    ]


def test_the_case_study_is_of_a_class_with_large_objects() -> None:
    """The class that leans on its context most was one of small boxes, none of which could be studied."""
    findings = Mock(classes=[Mock(class_id=7), Mock(class_id=3), Mock(class_id=5)])
    parts = [{"class_id": np.array([5, 5])}, {"class_id": np.array([3])}]
    assert studied_class(findings, parts) == 3
    assert studied_class(findings, []) == 7


@pytest.mark.usefixtures("black")
def test_case_study_on_paper(tmp_path: Path) -> None:
    """The mean logit over the square is 25.6 / 16 = 1.6. Without concept 1 it is 1: a change by -0.6, or by 0 in the
    dark, where it is 1 anyway. Without concept 0 it is 0.6, or 0 in the dark: a change by -1 in both.
    """
    case = tables(tmp_path)["case_study"]
    assert column(case, "group") == ["context", "context", "control", "control"]
    assert column(case, "concepts") == ["1", "1", "0", "0"]
    assert column(case, "pictures") == ["with", "without", "with", "without"]
    assert column(case, "change") == pytest.approx([-0.6, 0.0, -1.0, -1.0], abs=1e-5)
    assert column(case, "num_targets") == [1, 1, 1, 1]


def test_case_study_by_the_presence_of_a_class(tmp_path: Path) -> None:
    case = tables(tmp_path, context_class="background", min_pixels=1)["case_study"]
    assert column(case, "num_targets") == [2, 0, 2, 0]  # there is background in every picture
    # over the half square, columns 6 and 7, the mean logit is 1.8: without concept 1 it changes by -0.8
    assert column(case, "change")[0] == pytest.approx((-0.6 - 0.8) / 2, abs=1e-5)
    assert np.isnan(column(case, "change")[1])


def test_context_scores_are_those_of_concepts_explained_one_by_one(tmp_path: Path) -> None:
    """Without annotations the object is the predicted mask, as for a single explanation."""
    concepts = tables(tmp_path, colour_world.subject(), n_references=2)["concepts"]
    subject = colour_world.subject()
    (path,) = (tmp_path / "outputs" / "statistics").rglob("*.h5")
    with StatisticsFile(path) as file:
        ranking = file.layer("2")
    engine = subject.explainer.attributor(["2"])
    seen = 0
    for class_id, concept, score in zip(
        *(column(concepts, name) for name in ("class_id", "concept", "context")), strict=True
    ):
        row = ranking.moments.class_ids.tolist().index(class_id)
        shares = []
        for sample in ranking.relevance_by_class.sample[row, concept, :2].tolist():
            if sample >= 0:
                selection = Selection(image=None, samples=None, class_name=class_id, item=0, box=None, max_targets=1)
                choice = ConceptChoice(mode="relevance", layer="2", n_concepts=1, n_references=0, concepts=(concept,))
                with engine:
                    (one,) = explained_decisions(engine, subject.dataset[sample], selection, choice)
                shares.append(one.concepts[0].outside)
        assert score == pytest.approx(np.mean(shares), abs=1e-5)
        seen += 1
    assert seen >= 4
    assert max(column(concepts, "context")) > 0.05


def test_targets_of_a_picture_share_its_pass_where_pictures_pass_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Picture 1 is looked at as a boat and as background, picture 3 as a boat: the same shares, by two passes."""
    named = [Target(sample=1, class_id=1, item=0), Target(sample=1, class_id=0, item=0)]
    more = Target(sample=3, class_id=1, item=0)
    pairs = LayerPairs(
        layer="2",
        num_concepts=4,
        class_id=np.array([0, 1, 1]),
        concept=np.array([3, 0, 1]),
        relevance=np.ones(3),
        references=((named[1],), (named[0], more), (more, named[0])),  # by rounds alone, picture 3 comes between
    )
    num_forward, forward = 0, Attributor.forward

    def counted(self: Attributor, *given: Any, **options: bool) -> Trace:
        nonlocal num_forward
        num_forward += 1
        return forward(self, *given, **options)

    monkeypatch.setattr(Attributor, "forward", counted)
    found = []
    subject = colour_world.subject()
    for pixels, count in ((1 << 18, 1), (1, 2)):
        monkeypatch.setattr("lcrp.decisions.together.PIXELS_AT_ONCE", pixels)
        num_forward = 0
        with subject.explainer.attributor(["2"]) as attributor:
            (name,) = (looking := ContextScores(attributor, subject.dataset, [pairs])).units
            part = looking.unit(name)
        assert num_forward == count
        elsewhere: Any = Mock(device=torch.device("cuda"), takes_one=False)
        assert ContextScores(elsewhere, subject.dataset, [pairs])._queues == looking._queues  # kept units fit
        order = np.lexsort((part["image"], part["pair"]))
        found.append({name: part[name][order] for name in ("pair", "image", "value")})
        assert sorted(zip(part["sample"].tolist(), part["class_id"].tolist(), strict=True)) == [(1, 0), (1, 1), (3, 1)]
    together, alone = found
    assert together["pair"].tolist() == alone["pair"].tolist() == [0, 1, 1, 2, 2]
    assert np.isfinite(together["value"]).sum() >= 2
    np.testing.assert_allclose(together["value"], alone["value"], atol=1e-6)


def test_one_round_of_a_variant_prepares_no_more_than_it_reaches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers are those of layers that are prepared everywhere, as for many rounds."""
    monkeypatch.setattr(windows, "_SMALLEST", 1)
    forward, asked = Attributor.forward, []

    def everywhere(self: Attributor, *given: Any, is_for_few: bool = False) -> Trace:
        asked.append(is_for_few)
        return forward(self, *given)

    changes = {"num_samples_per_class": 4, "min_pixels": 1}
    for name in ("few", "slow"):
        (tmp_path / name).mkdir()
    few = tables(tmp_path / "few", colour_world.subject(), **changes)["sensitivity_terms"]
    monkeypatch.setattr(Attributor, "forward", everywhere)
    slow = tables(tmp_path / "slow", colour_world.subject(), **changes)["sensitivity_terms"]
    assert any(asked)
    assert len(column(slow, "value")) > 4
    for name in ("value", "weight"):
        assert column(few, name) == pytest.approx(column(slow, name), abs=1e-6)


def test_everything_is_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        found = tables(tmp_path, min_pixels=1)
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {f"{name}.csv" for name in found} <= names
    assert {"context_classes.png", "context_sensitivity.png", "context_concepts_0.png"} <= names
    text = caplog.text
    assert "boat           0.53 (0.37 to 0.69)   area 0.95   concepts 0.53   2 decisions" in text
    assert "boat           concept 1    context 1.00" in text
    assert "0: context score against sensitivity: Pearson 1.00" in text


def test_a_class_of_one_drawn_decision_has_no_interval(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It was written as ``(nan to nan)``, and that one decision of two was not said."""
    with caplog.at_level(logging.INFO):
        tables(tmp_path, min_pixels=10)
    told = "boat           0.37   area 0.94   concepts 0.53   1 of 2 decisions, the others not drawn or too small"
    assert told in caplog.text
    assert "nan" not in caplog.text


def test_backgrounds_can_be_left_out(tmp_path: Path) -> None:
    found = tables(tmp_path, num_samples_per_class=0)
    assert np.isnan(column(found["concepts"], "sensitivity")).all()
    assert column(found["case_study"], "layer") == []
    assert not (tmp_path / "run" / "context_sensitivity.png").exists()


def test_fewer_decisions_than_there_are(tmp_path: Path) -> None:
    found = tables(tmp_path, min_pixels=1, num_samples_per_class=1)
    assert column(found["concepts"], "num_decisions") == [1, 1]
    assert column(found["case_study"], "num_targets") == [1, 1, 1, 1]


def test_the_other_seed_draws_other_noise(tmp_path: Path) -> None:
    first, second = (column(tables(tmp_path, seed=seed)["concepts"], "sensitivity") for seed in (0, 1))
    assert first != second
    assert first == column(tables(tmp_path, seed=0)["concepts"], "sensitivity")


class Killed(BaseException):
    """Stands for SIGKILL: nothing is written on the way out."""


class Mortal(Squares):
    """Something happens when the sample is read for the n-th time."""

    def __init__(self, length: int, reads: int = 0, event: object = None) -> None:
        super().__init__(length)
        self.reads, self.event = reads, event

    def __getitem__(self, index: int) -> Sample:
        sample = super().__getitem__(index)
        self.reads -= 1
        if self.reads == 0:
            if isinstance(self.event, BaseException):
                raise self.event
            assert signal.getsignal(self.event) is not signal.SIG_DFL, "nobody heeds the signal"  # type: ignore[arg-type]
            os.kill(os.getpid(), self.event)  # type: ignore[arg-type]
        return sample


@pytest.mark.parametrize(("event", "expected"), [(Killed(), Killed), (signal.SIGTERM, Interrupted)])
def test_a_stopped_stage_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, event: object, expected: type
) -> None:
    for module in ("context.scores", "context.backgrounds"):
        monkeypatch.setattr(f"lcrp.stages.{module}.TARGETS_AT_ONCE", 2)
    few = {"n_references": 2, "min_pixels": 1, "num_samples_per_class": 9}
    length = 14
    for folder in ("whole", "stopped"):
        (tmp_path / folder).mkdir()
    whole = Mortal(length)
    tables(tmp_path / "whole", colour_world.subject(whole), **few)
    for reads in (14 + 3, 4, 6):  # 14 for the statistics; then references, then backgrounds that are replaced
        subject = colour_world.subject(Mortal(length, reads, event))
        with pytest.raises(expected):
            tables(tmp_path / "stopped", subject, **few)
    last = Mortal(length)
    tables(tmp_path / "stopped", colour_world.subject(last), **few)
    assert last.num_read <= whole.num_read - length - 6, "the last run begins anew"
    files = [(tmp_path / folder / "run" / "context.h5").read_bytes() for folder in ("whole", "stopped")]
    assert files[0] == files[1]


def test_lost_references_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tables(tmp_path, colour_world.subject(Squares(6)))
    (statistics,) = (tmp_path / "outputs" / "statistics").rglob("*.h5")
    subject = colour_world.subject(Squares(6, broken=(3,)))
    with caplog.at_level(logging.WARNING):
        tables(tmp_path, subject, statistics=statistics, n_references=2, class_name="car")
    told = [line for line in caplog.messages if "reference samples are left out" in line]
    assert [line.partition(": ")[2] for line in told] == ["the picture of 1 cannot be read"]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"layers": ("9",)}, LayerError, "layer '9' is not in Sequential"),
        ({"class_name": "boot"}, TargetError, r"class 'boot' is not known"),
        ({"context_class": "bird"}, TargetError, r"class 'bird' is not known"),
        ({"make_statistics": False}, StoreError, "there are no statistics"),
        ({"statistics": Path("missing.h5")}, StoreError, "missing.h5"),
    ],
)
def test_mistakes_are_told_in_one_line(
    tmp_path: Path, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        tables(tmp_path, **changes)
    assert "\n" not in str(caught.value)


def test_a_class_without_decisions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="no decision for 'car'; nearest: 'boat'") as raised:
        tables(tmp_path, colour_world.subject(Squares(2)), class_name="car")
    assert raised.value.with_mend().endswith("nearest: 'boat'. Set stage.class_name.")


def test_a_context_class_needs_annotations(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"squares has no annotations .*let the whole background be the context$"
    ) as raised:
        tables(tmp_path, colour_world.subject(), context_class="car", class_name="boat")
    assert raised.value.mend == "Leave out stage.context_class."


def test_a_layer_without_concepts_for_any_class_is_refused(tmp_path: Path) -> None:
    subject = colour_world.subject(Squares(1))  # nothing but background
    with pytest.raises(TargetError, match="no concept of '2' speaks for any class"):
        tables(tmp_path, subject)
