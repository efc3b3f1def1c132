"""What is kept of long work is found again for the same settings, and for no others."""

import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import colour_world
import paper_world
import pytest
import toy

from lcrp.attribution.methods import Method
from lcrp.attribution.segmentation import SegmentationTask
from lcrp.composites.composites import all_flat, epsilon_plus_flat, gradient
from lcrp.composites.spec import BuiltComposite
from lcrp.data.scenes import ScenesDataset
from lcrp.decisions.subject import Subject
from lcrp.stages.context.context import context
from lcrp.stages.evaluate.evaluate import evaluate
from lcrp.stages.evaluate.settings import EvaluateSettings
from lcrp.stages.truth.truth import TruthSettings, truth
from lcrp.storage.units import Units


def method(name: str, reading: Any, build: Callable[..., BuiltComposite]) -> Method:
    return Method(name=name, reading=reading, composite=toy.composite(build))


LRP, CAM = method("lrp", "relevance", epsilon_plus_flat), method("gradcam", "gradcam", gradient)
OTHER_METHODS = {
    "one less": (LRP,),
    "another order": (CAM, LRP),
    "another name": (method("flat", "relevance", epsilon_plus_flat), CAM),
    "another composite": (method("lrp", "relevance", all_flat), CAM),
    "another reading": (LRP, method("gradcam", "activation", gradient)),
}
EVALUATE = EvaluateSettings(
    methods=(LRP, CAM), num_targets=6, num_layers=None, num_steps=4, ablations=("zero", "mean"), seed=0
)
TRUTH = TruthSettings(methods=(LRP, CAM), num_targets=6, n_concepts=2, seed=0)
STATISTICS = replace(colour_world.statistics(), layers=("2",))
CONTEXT = replace(paper_world.CONTEXT, n_concepts=2, n_references=2, num_samples_per_class=1)


def names(settings: Iterable[str]) -> str:
    """For the name of a test."""
    return " and ".join(sorted(settings)) or "nothing"


class Asked(Exception):  # noqa: N818
    """Ends a stage where it asks for what is kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder


def folder_of(stage: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a stage looks for what is kept."""

    def ask(units: Units, *_: object) -> None:
        raise Asked(units.folder)

    for module in ("evaluate.evaluate", "truth.truth"):
        monkeypatch.setattr(f"lcrp.stages.{module}.kept_units", ask)
    with pytest.raises(Asked) as caught:
        stage()
    return caught.value.folder


@pytest.fixture
def evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Folder of stage=evaluate."""

    def folder(subject: Subject | None = None, statistics: Any = STATISTICS, **changes: Any) -> Path:
        settings, run = replace(EVALUATE, **changes), colour_world.run(tmp_path)
        return folder_of(partial(evaluate, subject or colour_world.subject(), statistics, settings, run), monkeypatch)

    return folder


@pytest.fixture
def told_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Folder of stage=truth."""

    def folder(statistics: Any = STATISTICS, layer: str = "2", **changes: Any) -> Path:
        known = colour_world.subject()
        scenes = ScenesDataset("val")
        explainer = replace(known.explainer, layer=layer, task=SegmentationTask(scenes.class_names))
        subject = replace(known, dataset=scenes, explainer=explainer)
        run = colour_world.run(tmp_path)
        return folder_of(partial(truth, subject, statistics, replace(TRUTH, **changes), run), monkeypatch)

    return folder


@pytest.mark.parametrize("methods", OTHER_METHODS.values(), ids=OTHER_METHODS)
def test_other_methods_are_other_work(
    evaluated: Callable[..., Path], told_truth: Callable[..., Path], methods: tuple[Method, ...]
) -> None:
    assert evaluated(methods=methods) != evaluated()
    assert told_truth(methods=methods) != told_truth()


@pytest.mark.parametrize(
    "changes",
    [
        {"ablations": ("zero",)},
        {"ablations": ("mean", "zero")},
        {"num_steps": 5},
        {"seed": 1},
        {"statistics": replace(STATISTICS, layers=("0",))},
        {"statistics": replace(STATISTICS, targets="annotated")},
        {"statistics": replace(STATISTICS, batch_size=2)},
        {"statistics": replace(STATISTICS, num_samples=5)},
        {"subject": replace(colour_world.subject(), identity={"model": "others"})},
    ],
    ids=names,
)
def test_what_changes_curves_is_other_work(evaluated: Callable[..., Path], changes: dict[str, Any]) -> None:
    assert evaluated(**changes) != evaluated()


@pytest.mark.parametrize(
    "changes",
    [{"n_concepts": 1}, {"seed": 1}, {"layer": "0"}, {"statistics": replace(STATISTICS, batch_size=2)}],
    ids=names,
)
def test_what_changes_shares_is_other_work(told_truth: Callable[..., Path], changes: dict[str, Any]) -> None:
    assert told_truth(**changes) != told_truth()


def test_more_targets_are_the_same_work(
    evaluated: Callable[..., Path], told_truth: Callable[..., Path], tmp_path: Path
) -> None:
    assert evaluated(num_targets=99) == evaluated()
    assert told_truth(num_targets=99) == told_truth()
    assert evaluated().is_relative_to(tmp_path)
    assert evaluated() != told_truth()


@pytest.fixture
def looked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, str]]:
    """Runs stage=context; tells the folders in which something is kept since, and of which part each is."""
    monkeypatch.setattr("lcrp.stages.context.context.write_figures", lambda *_: [])

    def folders(top_n: int = paper_world.STATISTICS.top_n, **changes: Any) -> dict[str, str]:
        statistics, settings = replace(paper_world.STATISTICS, top_n=top_n), replace(CONTEXT, **changes)
        context(paper_world.subject(), statistics, settings, colour_world.run(tmp_path))
        return {path.name: path.name.split("_")[1] for path in (tmp_path / "outputs" / "evidence").iterdir()}

    return folders


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({}, set()),
        ({"num_samples_per_class": 2}, set()),
        ({"n_references": 1}, {"scores"}),
        ({"n_concepts": 1}, {"scores"}),  # of one concept alone there is no case study
        ({"min_pixels": 9}, {"backgrounds", "case"}),
        ({"seed": 1}, {"backgrounds", "case"}),
        ({"context_class": "background"}, {"case"}),
    ],
    ids=names,
)
def test_parts_of_the_context_are_made_anew_where_their_settings_change(
    looked: Callable[..., dict[str, str]], changes: dict[str, Any], parts: set[str]
) -> None:
    before = looked()
    assert set(before.values()) == {"scores", "backgrounds", "case"}
    assert {part for name, part in looked(**changes).items() if name not in before} == parts


def test_other_statistics_are_another_context(looked: Callable[..., dict[str, str]], tmp_path: Path) -> None:
    before = looked()
    shutil.rmtree(tmp_path / "outputs" / "statistics")  # the only ones of a model are taken whatever their settings
    after = looked(top_n=4)
    assert {part for name, part in after.items() if name not in before} == {"scores", "backgrounds", "case"}
