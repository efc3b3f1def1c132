"""The main job with the embedded models: statistics, figures, and how much they lean on context."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lcrp.storage.evidence import read_evidence

pytestmark = pytest.mark.slow

CommandLine = Callable[..., Any]
MODELS = "model=yolov5,yolov6,unet"


def test_a_sweep_over_models_then_their_figures(lcrp: CommandLine, tmp_path: Path) -> None:
    """Six jobs succeed, and every figure finds its statistics."""
    few = "statistics.num_samples=4"
    made = lcrp("-m", "stage=glocal", MODELS, few)
    assert made.code == 0, made.err
    assert len(list((tmp_path / "outputs" / "statistics").rglob("*.h5"))) == 3
    shown = lcrp("-m", "stage=render", MODELS, few, "stage.n_concepts=1", "stage.n_references=2", "stage.max_targets=1")
    assert shown.code == 0, shown.err
    assert len(list((tmp_path / "multirun").rglob("*.png"))) == 3


@pytest.mark.parametrize(
    ("model", "layer"), [("yolov5", "model.6.cv3.conv"), ("unet", "encoder.features.15")], ids=["yolov5", "unet"]
)
def test_context_of_a_detector_and_a_segmenter(lcrp: CommandLine, tmp_path: Path, model: str, layer: str) -> None:
    few = ("statistics.num_samples=8", f"statistics.layers=[{layer}]", "stage.n_concepts=3", "stage.n_references=3")
    outcome = lcrp(
        "stage=context",
        f"model={model}",
        *few,
        "stage.make_statistics=true",
        "stage.num_samples_per_class=2",
        "stage.num_flipped=1",
        "hydra.run.dir=run",
    )
    assert outcome.code == 0, outcome.err
    found = read_evidence(tmp_path / "run" / "context.h5")
    assert {Path(line).name for line in outcome.out if line.endswith(".csv")} == {f"{name}.csv" for name in found}
    concepts = {name: np.asarray(values) for name, values in found["concepts"].columns.items()}
    assert set(concepts["layer"].tolist()) == {layer}
    assert ((concepts["context"] >= 0) & (concepts["context"] <= 1)).all()
    known = ~np.isnan(concepts["sensitivity"])
    assert known.sum() >= 6
    assert ((concepts["sensitivity"][known] > 0) & (concepts["sensitivity"][known] <= 1)).all()
    classes = {name: np.asarray(values) for name, values in found["classes"].columns.items()}
    assert (classes["outside"] < classes["outside_area"]).all(), "relevance lies on objects more than elsewhere"
    assert len(found["case_study"].columns["change"]) == 4
    names = ("context_classes.png", "context_sensitivity.png", f"context_concepts_{layer}.png")
    assert all((tmp_path / "run" / name).is_file() for name in names)


@pytest.mark.parametrize("model", ["yolov5", "unet"])
def test_evaluation_of_a_detector_and_a_segmenter(lcrp: CommandLine, tmp_path: Path, model: str) -> None:
    few = ("stage.num_targets=2", "stage.num_layers=1", "stage.num_steps=3", "statistics.batch_size=2")
    methods = "stage.methods=[epsilon_plus_flat,gradcam,random]"
    outcome = lcrp("stage=evaluate", f"model={model}", *few, methods, "stage.checks=true", "hydra.run.dir=run")
    assert outcome.code == 0, outcome.err
    found = read_evidence(tmp_path / "run" / "evaluate.h5")
    assert set(found["targets"].columns["method"]) == {"epsilon_plus_flat", "gradcam", "random"}
    assert len(found["targets"].columns["flipping"]) == 2 * 3
    assert np.isfinite(found["targets"].columns["flipping"]).all()
    assert np.asarray(found["checks"].columns["holds"]).all()
    assert np.isfinite(np.asarray(found["ledger"].columns["constants"])).all()
    assert len(found["ledger"].columns["layer"]) > 20
    assert (tmp_path / "run" / "curves.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("stage.methods=[gradcan]",), "stage.methods: there is no 'gradcan'; nearest: 'gradcam'"),
        (("stage.methods=[]",), "stage.methods names none; write at least one"),
        (("stage.ablations=[none]",), "stage.ablations='none' is unknown"),
        (("stage.ablations=[mean]", "statistics.batch_size=1"), "Write statistics.batch_size=2"),
        (("statistics.layers=[nowhere]",), "layer 'nowhere' is not in YOLOv5"),
        (("model.confidence=0.999999", "statistics.num_samples=2"), "yolov5 decides nothing in scenes val"),
    ],
)
def test_mistakes_in_evaluating_are_one_line_each(lcrp: CommandLine, arguments: tuple[str, ...], message: str) -> None:
    outcome = lcrp("stage=evaluate", "model=yolov5", *arguments)
    assert outcome.code == 1
    (line,) = [text for text in outcome.err if text.startswith("lcrp: error:")]
    assert message in line
    assert not any("Traceback" in text for text in outcome.err)


def test_truth_needs_scenes(lcrp: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"")
    photos = ("dataset=folder", "dataset.path=photos", "model.checkpoint=embedded:yolov5_scenes")
    outcome = lcrp("stage=truth", "model=yolov5", *photos)
    assert outcome.code == 1
    (line,) = outcome.err
    assert line.startswith("lcrp: error: stage=truth draws pictures anew, which ")
    assert line.endswith(" cannot; use dataset=scenes")


def test_truth_finds_the_composites_of_a_users_own_folder(lcrp: CommandLine, tmp_path: Path) -> None:
    """And so it says what is wrong with them."""
    (tmp_path / "mine" / "composite").mkdir(parents=True)
    (tmp_path / "mine" / "composite" / "own.yaml").write_text("_target_: nowhere.own\nname: own\n")
    for methods, message in {
        "own": "stage.methods: composite 'own': _target_='nowhere.own' cannot be imported",
        "owm": "stage.methods: there is no 'owm'; nearest: 'own'",
    }.items():
        outcome = lcrp("--config-dir", "mine", "stage=truth", "model=yolov5", f"stage.methods=[{methods}]")
        assert outcome.code == 1
        (line,) = outcome.err
        assert line.startswith(f"lcrp: error: {message}")


def test_mistakes_in_rendering_are_one_line_each(lcrp: CommandLine, tmp_path: Path) -> None:
    """What can only go wrong once there are statistics and pictures."""
    job = ("model=yolov5", "statistics.num_samples=2", "statistics.layers=[model.6.cv3.conv]")
    assert lcrp("stage=glocal", *job).code == 0
    (statistics,) = (tmp_path / "outputs" / "statistics").rglob("*.h5")
    (tmp_path / "truncated.h5").write_bytes(statistics.read_bytes()[:5000])
    (tmp_path / "text.h5").write_text("no HDF5 at all")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and nothing more")
    mistakes = {
        ("stage.class_name=boot",): "class 'boot' is not known to the model; nearest: 'boat'",
        ("stage.samples=[0]", "stage.class_name=car"): "no 'car' in val/00000: ",
        ("stage.samples=[0]", "stage.class_name=boat", "stage.item=9"): "no item 9 of 'boat'",
        ("stage.samples=[500]",): "has no sample 500",
        ("stage.samples=[val/x]",): "has no sample 'val/x'",
        ("stage.samples=[0]", "stage.concepts=[9999]"): "concept 9999 is not in layer 'model.6.cv3.conv'",
        ("stage.layer=model.6.cv3",): "layer 'model.6.cv3' is not in yolov5; nearest: 'model.6.cv3.conv'",
        ("stage.layer=model.1.conv",): "model.1.conv",
        ("stage.image=broken.jpg",): "broken.jpg",
        ("stage.statistics=truncated.h5",): "truncated.h5",
        ("stage.statistics=text.h5",): "text.h5",
        ("stage.statistics=missing.h5",): "missing.h5",
        ("model.checkpoint=random",): "checkpoint",
        ("model.confidence=0.5",): "confidence",
    }
    for arguments, message in mistakes.items():
        outcome = lcrp("stage=render", *job, *arguments)
        assert outcome.code == 1, arguments
        assert len(outcome.err) == 1, (arguments, outcome.err)
        assert outcome.err[0].startswith("lcrp: error: "), arguments
        assert message in outcome.err[0], (arguments, outcome.err)
