"""The same numbers on a GPU as on the CPU, at every precision within its own deviation."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from toy import composite

from lcrp.attribution.concepts import relevance_scores
from lcrp.attribution.methods import Method
from lcrp.composites.composites import epsilon_plus_flat
from lcrp.config.build import build_subject, set_precision
from lcrp.config.compose import composed
from lcrp.decisions.subject import StatisticsSettings, Subject
from lcrp.stages.evaluate.flipping import Flipping
from lcrp.stages.evaluate.settings import EvaluateSettings

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device on this machine"),
]
MODELS = ("yolov5", "yolov6", "yolo", "ssd", "unet", "deeplabv3plus")
DEVIATION = {"float32": 1e-4, "tf32": 2e-2, "bfloat16": 2e-1}  # relative L2, of heatmaps
MEASURED = {("yolov6", "tf32"): 4e-2}  # more than that: 3e-2 on an H200


def subject(tmp_path, *overrides: str) -> Subject:
    config = composed(overrides)
    return build_subject(config, torch.device(config.device), tmp_path)


def attributions(built: Subject, targets=None):
    """The best target of every picture: image, target, heatmap and concept scores, on the CPU."""
    model, found = built.explainer, []
    with model.attributor([model.layer]) as attributor:
        for index in range(6) if targets is None else targets:
            sample = built.dataset[index]
            trace = attributor.forward(sample.image[None])
            prediction = model.task.predictions(trace.output)[0]
            chosen = model.task.annotated_targets(prediction, sample)[0] if targets is None else [targets[index]]
            if chosen:
                attribution = trace.explain(chosen[:1])
                scores = relevance_scores(attribution.relevance[model.layer]).score[0]
                found.append((index, chosen[0], attribution.heatmap[0].cpu(), scores.cpu()))
    return found


@pytest.mark.parametrize("precision", DEVIATION)
@pytest.mark.parametrize("model", MODELS)
def test_relevance_is_that_of_the_cpu(tmp_path, model, precision):
    exact = attributions(subject(tmp_path, f"model={model}"))
    assert exact
    set_precision(precision)
    try:
        built = subject(tmp_path, f"model={model}", "device=cuda", f"precision={precision}")
        found = attributions(built, {index: target for index, target, *_ in exact})
    finally:
        set_precision("float32")
    deviation = MEASURED.get((model, precision), DEVIATION[precision])
    for (*_, heatmap, scores), (*_, other, others) in zip(found, exact, strict=True):
        assert (heatmap - other).norm() <= deviation * other.norm()
        assert (scores - others).norm() <= deviation * others.norm()


@pytest.mark.parametrize("model", MODELS)
def test_flipping_is_that_of_the_cpu(tmp_path, model):
    methods = (Method(name="lrp", reading="relevance", composite=composite(epsilon_plus_flat)),)
    settings = EvaluateSettings(
        methods=methods, num_targets=4, num_layers=1, num_steps=4, ablations=("zero", "resample"), seed=0
    )
    statistics = StatisticsSettings(
        targets="annotated", layers=(), top_n=1, top_n_per_class=1, batch_size=4, num_samples=None, record=False
    )
    units = []
    for device in ("cpu", "cuda"):
        built = subject(tmp_path, f"model={model}", f"device={device}")
        units.append(Flipping(built, statistics, settings, [built.explainer.layer]).unit("000000"))
    exact, found = units
    assert len(exact["sample"])
    for name in ("sample", "class_id", "item", "plays_0"):
        np.testing.assert_array_equal(found[name], exact[name])
    np.testing.assert_allclose(found["vectors_0"], exact["vectors_0"], atol=1e-4)
    np.testing.assert_allclose(found["curves_0"], exact["curves_0"], atol=0.05)  # equal channels may change places


def test_a_pass_gives_the_same_bits_twice(tmp_path):
    first, second = (attributions(subject(tmp_path, "device=cuda")) for _ in range(2))
    assert len(first) == len(second) > 0
    for (*_, heatmap, scores), (*_, again, scored) in zip(first, second, strict=True):
        assert torch.equal(heatmap, again)
        assert torch.equal(scores, scored)


STAGES = {  # brief settings of everything that computes on the device
    "glocal": (),
    "render": ("stage.samples=[3]", "stage.n_references=3"),
    "context": ("stage.num_samples_per_class=2", "stage.num_flipped=1", "stage.n_references=3", "stage.n_concepts=3"),
    "evaluate": ("stage.num_targets=2", "stage.num_layers=1", "stage.num_steps=2", "stage.checks=true"),
    "truth": ("stage.num_targets=2", "stage.methods=[epsilon_plus_flat,gradcam,random]"),
}


@pytest.mark.parametrize("precision", DEVIATION)
@pytest.mark.parametrize("model", ["yolov6", "unet"])
def test_every_stage_runs_at_every_precision(tmp_path, model, precision):
    shared = (f"model={model}", "device=cuda", f"precision={precision}", "statistics.num_samples=12")
    for stage, brief in STAGES.items():
        command = [sys.executable, "-m", "lcrp", f"stage={stage}", *shared, *brief]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{stage}: {done.stderr}"
    assert list(tmp_path.rglob("*.png"))
