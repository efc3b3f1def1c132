"""The main job with the embedded models: statistics, figures, and what the context does."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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


def test_context_tells_how_much_boats_lean_on_water(lcrp: CommandLine, tmp_path: Path) -> None:
    outcome = lcrp("stage=context", "model=yolov5", "stage.num_targets=3", "hydra.run.dir=run")
    assert outcome.code == 0, outcome.err
    report = json.loads((tmp_path / "run" / "context.json").read_text())
    assert report["context"] == "water"
    assert report["median"]["num_objects"] == len(report["objects"]) == 3
    for one in report["objects"]:
        assert 0 < one["area_share"] < 1
        assert 0 < one["relevance_share"] < 1
        assert set(one["swapped"]) == {"road", "grass", "sky", "sand"}
        assert one["readout"] > 0.2


def test_context_needs_scenes(lcrp: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"")
    outcome = lcrp(
        "stage=context",
        "model=yolov5",
        "dataset=folder",
        "dataset.path=photos",
        "model.checkpoint=embedded:yolov5_scenes",
    )
    assert outcome.code == 1
    (line,) = outcome.err
    assert line.startswith("lcrp: error: stage=context swaps contexts, which ")
    assert line.endswith(" cannot; use dataset=scenes")


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
        "own": "composite 'own': _target_='nowhere.own' cannot be imported",
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
