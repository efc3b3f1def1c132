"""The same numbers on a GPU as on the CPU, at every precision within its own deviation."""

import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from toy import composite

from lcrp.attribution.concepts import relevance_scores
from lcrp.attribution.methods import Method
from lcrp.attribution.nms import kept_detections
from lcrp.attribution.nms_together import detections_together
from lcrp.composites.composites import epsilon_plus_flat
from lcrp.config.build import build_subject, set_precision
from lcrp.config.commands import Command
from lcrp.config.compose import composed, composition
from lcrp.config.jobs import build_job
from lcrp.decisions.rounds import chunk_of, explained_chunk
from lcrp.decisions.subject import StatisticsSettings, Subject
from lcrp.ranking.accumulator import StatisticsAccumulator
from lcrp.runs.run import Run
from lcrp.stages.evaluate.flipping import Flipping
from lcrp.stages.evaluate.settings import EvaluateSettings
from lcrp.values import devices

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


@cache
def of_the_cpu(model):
    return attributions(subject(Path(), f"model={model}"))


@pytest.mark.parametrize("precision", DEVIATION)
@pytest.mark.parametrize("model", MODELS)
def test_relevance_is_that_of_the_cpu(tmp_path, model, precision):
    exact = of_the_cpu(model)
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


@pytest.mark.filterwarnings("ignore:Synchronization debug mode")  # a prototype, torch says
@pytest.mark.parametrize("model", MODELS)
def test_a_chunk_waits_where_it_is_meant_alone(tmp_path, model, monkeypatch):
    """Every other wait is an error: decisions, rounds and rankings of a second chunk, when all weights are made."""
    fetch, meant = devices.fetched, []

    def fetched(*tensors):
        before = torch.cuda.get_sync_debug_mode()
        torch.cuda.set_sync_debug_mode("default")
        try:
            meant.append(len(tensors))
            return fetch(*tensors)
        finally:
            torch.cuda.set_sync_debug_mode(before)

    monkeypatch.setattr(devices, "fetched", fetched)
    built = subject(tmp_path, f"model={model}", "device=cuda")
    explainer, samples = built.explainer, [built.dataset[index] for index in range(4)]
    images = torch.stack([sample.image for sample in samples]).to(explainer.device)
    accumulator = None
    with explainer.attributor([explainer.layer]) as attributor:
        for mode in ("default", "error"):
            chunk = chunk_of(attributor, images)
            torch.cuda.synchronize()
            meant.clear()
            torch.cuda.set_sync_debug_mode(mode)
            try:
                predictions = explainer.task.predictions(chunk.trace.output)
                pairs = zip(predictions, samples, strict=True)
                queues = [explainer.task.predicted_targets(*pair)[0][:3] for pair in pairs]
                accumulator = accumulator or StatisticsAccumulator(chunk.activations.shapes, device=images.device)
                scores = explained_chunk(attributor, chunk, queues, accumulator.least_relevance, looked_at="all")
                targets = [one.target for one in scores.explained]
                accumulator.update(targets, scores.relevance, chunk.activations.scores, scores.images)
            finally:
                torch.cuda.set_sync_debug_mode("default")
            count, samples = len(meant), [replace(sample, index=sample.index + 4) for sample in samples]
    assert len(scores.ledgers) == len(targets) > 4
    assert count <= 9  # decisions, scores, and of every forward pass its ledgers, weights and signs


@pytest.mark.parametrize("iou", [0.45, None])
def test_boxes_are_those_of_the_cpu(iou):
    """Equal scores and boxes among them: the first is the first on either."""
    generator = torch.Generator().manual_seed(2)
    corners = torch.randint(0, 40, (8, 3000, 2), generator=generator) * 8.0
    boxes = torch.cat([corners, corners + 16 + 8 * torch.randint(0, 3, (8, 3000, 2), generator=generator)], dim=2)
    objectness = torch.randint(1, 9, (8, 3000), generator=generator) / 8
    batch = boxes, objectness, torch.randint(0, 9, (8, 3000, 3), generator=generator) / 8
    settings = {"confidence": 0.25, "iou": iou, "max_detections": 40}
    found = detections_together(*(values.cuda() for values in batch), **settings)
    for one, *image in zip(found, *batch, strict=True):
        exact = kept_detections(*image, **settings)
        for column in ("rows", "boxes", "confidence", "labels", "probabilities", "objectness"):
            assert torch.equal(getattr(one, column), getattr(exact, column)), column


STAGES = {  # brief settings of everything that computes on the device
    "glocal": (),
    "render": ("stage.samples=[3]", "stage.n_references=3"),
    "context": ("stage.num_samples_per_class=2", "stage.num_flipped=1", "stage.n_references=3", "stage.n_concepts=3"),
    "evaluate": ("stage.num_targets=2", "stage.num_layers=1", "stage.num_steps=2", "stage.checks=true"),
    "tune": ("stage.num_targets=2", "stage.num_confirmed=2", "stage.num_layers=1", "stage.minutes=0.01"),
    "truth": ("stage.num_targets=2", "stage.methods=[epsilon_plus_flat,gradcam,random]"),
}


@pytest.mark.parametrize(("model", "precision"), [("yolov6", "tf32"), ("yolov6", "bfloat16"), ("unet", "bfloat16")])
def test_every_stage_runs_at_other_precisions(tmp_path, model, precision):
    shared = (f"model={model}", "device=cuda", f"precision={precision}", "statistics.num_samples=12")
    run = Run(folder=tmp_path, output_root=tmp_path / "outputs")
    try:
        for stage, brief in STAGES.items():
            config = composed((f"stage={stage}", *shared, *brief))
            with composition():
                job = build_job(config, tmp_path, Command(program=("lcrp",)))
            job.stage(run)
    finally:
        set_precision("float32")
    assert list(tmp_path.rglob("*.png"))


def test_a_command_runs_on_the_device(tmp_path):
    command = [sys.executable, "-m", "lcrp", "device=cuda", "statistics.num_samples=12"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.rglob("*.h5"))
