"""One pass over a dataset: what ends up in the file, what is skipped, and when it is not run at all."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import noise_world
import numpy as np
import pytest
import torch
from noise_world import CLASS_NAMES, NUM_SAMPLES, SIZE, STATISTICS, Noise

from lcrp.attribution.concepts import activation_scores, relevance_scores
from lcrp.attribution.segmentation import SegmentationTask
from lcrp.decisions.subject import Subject, statistics_key
from lcrp.errors import ConfigError, DataError, InaccessibleError, StoreError, TargetError
from lcrp.runs.run import Run
from lcrp.stages.glocal import checkpoint as checkpoint_module
from lcrp.stages.glocal import glocal as glocal_module
from lcrp.stages.glocal.glocal import GlocalSettings, glocal
from lcrp.stages.glocal.wording import summary
from lcrp.storage.location import checkpoint_path, find_statistics, statistics_path
from lcrp.storage.statistics import StatisticsFile
from lcrp.values.statistics import TargetLog
from lcrp.values.target import ExplainedTarget, SkippedTarget, Target


@pytest.fixture
def subject() -> Subject:
    return noise_world.subject()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "run").mkdir()
    return Run(folder=tmp_path / "run", output_root=tmp_path / "outputs")


def one_by_one(subject: Subject, layer: str) -> dict[tuple[int, int], tuple[torch.Tensor, torch.Tensor]]:
    """Relevance and activation scores of every target (sample, class), each from a pass of its own."""
    found = {}
    for index in range(len(subject.dataset)):
        sample = subject.dataset[index]
        with subject.explainer.attributor([layer]) as attributor:
            trace = attributor.forward(sample.image[None])
            (prediction,) = subject.explainer.task.predictions(trace.output)
            for one in subject.explainer.task.annotated_targets(prediction, sample)[0]:
                relevance = relevance_scores(trace.explain([one]).relevance[layer]).score[0]
                activation = activation_scores(trace.activation[layer]).score[0]
                found[index, one.target.class_id] = (relevance, activation)
    return found


def test_the_file_holds_what_single_passes_give(subject: Subject, run: Run) -> None:
    path = glocal(subject, STATISTICS, GlocalSettings(), run)
    assert path == statistics_path(run.output_root, statistics_key(subject, STATISTICS))
    with StatisticsFile(path, class_names=CLASS_NAMES) as file:
        assert file.layer_names == ("0", "2", "4")
        assert file.header.num_samples == NUM_SAMPLES
        layer, log = file.layer("2"), file.targets()
    expected = one_by_one(subject, "2")
    assert [(one.target.sample, one.target.class_id) for one in log.explained] == sorted(expected)
    assert len(expected) + len(log.skipped_targets) == NUM_SAMPLES * len(CLASS_NAMES)
    assert layer.map_size == (SIZE, SIZE)
    for concept in range(4):
        ranked = sorted(expected, key=lambda target: (-expected[target][0][concept].item(), target))[:5]
        targets = zip(layer.relevance.sample[concept].tolist(), layer.relevance.class_id[concept].tolist(), strict=True)
        assert list(targets) == ranked
        scores = [expected[target][0][concept].item() for target in ranked]
        np.testing.assert_allclose(layer.relevance.score[concept], scores, rtol=1e-4, atol=1e-7)
        active = {sample: scores[1][concept].item() for (sample, _), scores in expected.items()}
        by_activation = sorted(active, key=lambda sample: (-active[sample], sample))[:5]
        assert layer.activation.sample[concept].tolist() == by_activation
    for row, class_id in enumerate(layer.moments.class_ids.tolist()):
        of_class = torch.stack([scores[0] for (_, found), scores in expected.items() if found == class_id])
        assert layer.moments.count[row] == len(of_class)
        np.testing.assert_allclose(layer.moments.mean()[row], of_class.mean(0), rtol=1e-4, atol=1e-7)


def test_the_network_is_as_it_was(subject: Subject, run: Run) -> None:
    image = torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    before = subject.explainer.network(image)
    glocal(subject, STATISTICS, GlocalSettings(), run)
    assert torch.equal(subject.explainer.network(image), before)


def test_two_runs_write_the_same_bytes(subject: Subject, run: Run) -> None:
    first, second = (run.folder / name for name in ("a.h5", "b.h5"))
    glocal(subject, STATISTICS, GlocalSettings(output=first), run)
    glocal(subject, STATISTICS, GlocalSettings(output=second), run)
    assert first.read_bytes() == second.read_bytes()


def test_layers_and_samples_can_be_chosen(subject: Subject, run: Run) -> None:
    settings = replace(STATISTICS, layers=("4", "0"), num_samples=4)
    with StatisticsFile(glocal(subject, settings, GlocalSettings(), run)) as file:
        assert file.layer_names == ("0", "4")
        assert file.header.num_samples == 4
        assert max(one.target.sample for one in file.targets().explained) == 3


def test_records_are_the_relevance_of_every_target(subject: Subject, run: Run) -> None:
    path = glocal(subject, replace(STATISTICS, record=True, layers=("2",)), GlocalSettings(), run)
    expected = one_by_one(subject, "2")
    with StatisticsFile(path) as file:
        record = file.record("2")
    rows = torch.stack([expected[target][0] for target in sorted(expected)])
    assert record.shape == rows.shape
    np.testing.assert_allclose(record, rows, rtol=2e-3, atol=1e-6)


def test_broken_samples_are_listed(subject: Subject, run: Run) -> None:
    broken = replace(subject, dataset=Noise(broken=(1, 6)))
    with StatisticsFile(glocal(broken, STATISTICS, GlocalSettings(), run)) as file:
        log = file.targets()
    assert [(one.sample, one.key) for one in log.skipped_samples] == [(1, "noise/1"), (6, "noise/6")]
    assert {one.target.sample for one in log.explained} == {0, 2, 3, 4, 5}


def test_a_broken_sample_stops_the_pass_on_demand(subject: Subject, run: Run) -> None:
    broken = replace(subject, dataset=Noise(broken=(4,)))
    with pytest.raises(DataError, match="noise/4 is broken"):
        glocal(broken, STATISTICS, GlocalSettings(on_error="raise"), run)
    assert not any(path.is_file() for path in run.output_root.rglob("*"))


def test_predicted_targets_do_not_ask_for_annotations(subject: Subject, run: Run) -> None:
    bare = replace(subject, dataset=Noise(is_annotated=False, class_names=("other",)))
    with StatisticsFile(glocal(bare, replace(STATISTICS, targets="predicted"), GlocalSettings(), run)) as file:
        assert {one.target.sample for one in file.targets().explained} == set(range(NUM_SAMPLES))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            lambda subject: replace(subject, dataset=Noise(class_names=("a", "b", "c", "d"))),
            ConfigError,
            r"noise is annotated with 4 classes \(a, b, c, \.\.\.\), but toy knows 3 .*sky, sea, sand.*predicted",
        ),
        (
            lambda subject: replace(subject, dataset=Noise(is_annotated=False)),
            ConfigError,
            r"noise has no annotations \(noise/0\): explain what is predicted",
        ),
        (
            lambda subject: replace(subject, dataset=Noise(broken=tuple(range(NUM_SAMPLES)))),
            DataError,
            "none of the 7 samples of noise can be read; the first: noise/0 is broken",
        ),
        (
            lambda subject: replace(
                subject,
                dataset=Noise(broken=(2,)),
                explainer=replace(subject.explainer, task=SegmentationTask(CLASS_NAMES, min_area=SIZE**2 + 1)),
            ),
            TargetError,
            r"toy explains nothing of the 7 samples of noise: .*; 1 x unreadable \(noise/2 is broken\)",
        ),
    ],
    ids=["other classes", "no annotations", "all broken", "all skipped"],
)
def test_a_pass_that_cannot_succeed_says_why(
    subject: Subject, run: Run, change: Callable[[Subject], Subject], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        glocal(change(subject), STATISTICS, GlocalSettings(), run)
    assert not any(path.is_file() for path in run.output_root.rglob("*"))


def test_what_is_there_is_kept_unless_it_is_to_be_overwritten(
    subject: Subject, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    path = glocal(subject, STATISTICS, GlocalSettings(), run)
    made = path.stat().st_mtime_ns
    with caplog.at_level("INFO"):
        assert glocal(subject, STATISTICS, GlocalSettings(), run) == path
    assert "already there" in caplog.text
    assert "stage." not in caplog.text, "there is no command line"
    with caplog.at_level("INFO"):
        glocal(replace(subject, command="lcrp stage=glocal"), STATISTICS, GlocalSettings(), run)
    assert caplog.messages[-1].endswith(" (stage.overwrite=true makes it anew)")
    assert path.stat().st_mtime_ns == made
    glocal(subject, STATISTICS, GlocalSettings(overwrite=True), run)
    assert path.stat().st_mtime_ns != made


def test_a_damaged_file_is_replaced(subject: Subject, run: Run, caplog: pytest.LogCaptureFixture) -> None:
    path = glocal(subject, STATISTICS, GlocalSettings(), run)
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    glocal(subject, STATISTICS, GlocalSettings(), run)
    assert "it is replaced" in caplog.text
    assert path.read_bytes() == whole


def test_a_file_that_the_user_names_is_not_replaced_by_chance(subject: Subject, run: Run) -> None:
    path = run.folder / "notes.txt"
    path.write_text("mine")
    with pytest.raises(StoreError, match="cannot be read") as caught:
        glocal(subject, STATISTICS, GlocalSettings(output=path), run)
    assert path.read_text() == "mine"
    assert caught.value.mend == "stage.overwrite=true replaces it."
    glocal(subject, STATISTICS, GlocalSettings(output=path, overwrite=True), run)
    with pytest.raises(StoreError, match="holds statistics of another configuration"):
        glocal(subject, replace(STATISTICS, top_n=3), GlocalSettings(output=path), run)


def test_statistics_are_found_again_with_other_settings(subject: Subject, run: Run) -> None:
    path = glocal(subject, STATISTICS, GlocalSettings(), run)
    wanted = statistics_key(subject, replace(STATISTICS, top_n=9))
    assert find_statistics(run.output_root, wanted) == path
    other = statistics_key(replace(subject, identity={"model": {"checkpoint_sha256": "def"}}), STATISTICS)
    with pytest.raises(StoreError, match=r"model\.checkpoint_sha256 is 'abc' there and 'def' here"):
        find_statistics(run.output_root, other)


def test_the_summary_counts(subject: Subject, run: Run, caplog: pytest.LogCaptureFixture) -> None:
    broken = replace(subject, dataset=Noise(broken=(1,)))
    with caplog.at_level("INFO"):
        path = glocal(broken, STATISTICS, GlocalSettings(), run)
    with StatisticsFile(path) as file:
        num_explained = len(file.targets().explained)
    (line,) = [record.getMessage() for record in caplog.records if "written to" in record.getMessage()]
    assert line.startswith(f"glocal: {num_explained} targets of 7 samples explained")
    assert "1 sample could not be read ('noise/1': noise/1 is broken)" in line
    assert line.endswith(str(path))


def test_the_summary_counts_samples_without_any_target() -> None:
    explained = tuple(
        ExplainedTarget(target=Target(sample=sample, class_id=0), key="k", score=1.0, confidence=1.0)
        for sample in (0, 0, 3)
    )
    skipped = (SkippedTarget(target=Target(sample=1, class_id=0), key="k", reason="not detected"),)
    log = TargetLog(explained=explained, skipped_targets=skipped, skipped_samples=())
    line = summary(log, 6, "predicted", Path("file.h5"))
    assert line.startswith("glocal: 3 targets of 6 samples explained, nothing predicted in 3 samples, skipped 1 x not")
    assert "nothing" not in summary(log, 3, "annotated", Path("file.h5"))


def test_unreadable_samples_are_named_and_the_rest_is_counted(
    subject: Subject, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        glocal(replace(subject, dataset=Noise(broken=(1, 2, 4, 5))), STATISTICS, GlocalSettings(), run)
    named = "; ".join(f"'noise/{index}': noise/{index} is broken" for index in (1, 2, 4))
    assert f"4 samples could not be read ({named}; and 1 more, all of them in the file); " in caplog.text


def test_paths_below_the_current_folder_are_told_without_it(
    subject: Subject, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    with caplog.at_level("INFO"):
        glocal(subject, STATISTICS, GlocalSettings(), run)
        glocal(subject, STATISTICS, GlocalSettings(), run)
    assert "written to outputs/statistics/" in caplog.text
    assert "already there: outputs/statistics/" in caplog.text
    assert str(tmp_path) not in caplog.text


@pytest.mark.parametrize("is_checkpoint", [False, True])
def test_a_file_that_cannot_be_opened_now_is_not_replaced(
    subject: Subject, run: Run, monkeypatch: pytest.MonkeyPatch, *, is_checkpoint: bool
) -> None:
    """Another program may be writing it."""
    path = glocal(subject, STATISTICS, GlocalSettings(), run)
    kept = path.rename(checkpoint_path(path)) if is_checkpoint else path
    content = kept.read_bytes()

    def refuse(*_: object, **__: object) -> None:
        raise InaccessibleError("it is held open")

    if is_checkpoint:
        monkeypatch.setattr(checkpoint_module, "StatisticsFile", refuse)
    else:
        monkeypatch.setattr(glocal_module, "read_header", refuse)
    with pytest.raises(InaccessibleError, match="it is held open"):
        glocal(subject, STATISTICS, GlocalSettings(), run)
    assert kept.read_bytes() == content
