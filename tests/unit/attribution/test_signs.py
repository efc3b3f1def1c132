"""Positive relevance speaks for a decision, whatever the sign of its logit."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from lcrp.attribution.detection import DetectionTask
from lcrp.attribution.engine import Attributor
from lcrp.attribution.kept import KeptDetectionTask
from lcrp.attribution.segmentation import SegmentationTask
from lcrp.composites.composites import (
    early_gamma_flat,
    epsilon_flat,
    epsilon_gamma_flat,
    epsilon_plus,
    epsilon_plus_flat,
)
from lcrp.composites.spec import GRADIENT, CompositeSpec
from lcrp.values.prediction import DetectorOutput, KeptBoxes, KeptOutput
from lcrp.values.target import ExplainedTarget, Target

NAMES = ("boat", "car")
SIZE = 4
ROW = 5  # of 16
EPSILON, *OTHERS = (
    CompositeSpec(name=build.__name__, build=build)
    for build in (epsilon_flat, epsilon_plus, epsilon_plus_flat, epsilon_gamma_flat, early_gamma_flat)
)


class Cells(nn.Module):
    """A logit of every class, and objectness, for every place; the last bias is moved to make logits negative."""

    def __init__(self, kind: str, fall: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.kind = kind
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.head = nn.Conv2d(6, 3, 1)
        self.double()
        with torch.no_grad():
            self.head.bias.fill_(3.0 - fall)

    def forward(self, x):
        logits = self.head(self.stem(x).relu())  # [B, 3, H, W]
        if self.kind in ("ones", "prob"):
            return logits[:, :2]
        flat = logits.flatten(2).transpose(1, 2)  # [B, M, 3]
        boxes = torch.tensor([0.0, 0.0, SIZE, SIZE]).double().expand(len(x), SIZE * SIZE, 4)
        if self.kind == "kept":
            return KeptOutput(
                pictures=tuple(
                    KeptBoxes(
                        boxes=boxes[0],
                        class_ids=torch.zeros(SIZE * SIZE, dtype=torch.int64),
                        scores=one[:, 0].detach().sigmoid(),
                        rows=torch.arange(SIZE * SIZE),
                        logits=one[:, :2],
                        columns=torch.arange(2),
                        probabilities=one[:, :2].detach().sigmoid(),
                        places=None,
                    )
                    for one in flat
                )
            )
        return DetectorOutput(boxes=boxes, class_logits=flat[..., :2], objectness_logits=flat[..., 2])


def task_of(kind):
    if kind in ("ones", "prob"):
        return SegmentationTask(NAMES, seed=kind)
    return KeptDetectionTask(NAMES) if kind == "kept" else DetectionTask(NAMES, score=kind)


def found(kind, fall, composite):
    """Relevance of input and stem, the explained logits and the ledger."""
    task, network = task_of(kind), Cells(kind, fall)
    torch.manual_seed(1)
    image = torch.rand(1, 3, SIZE, SIZE, dtype=torch.float64)
    target = ExplainedTarget(target=Target(sample=0, class_id=0), key="k", score=1, confidence=1, row=ROW)
    target = replace(target, box=(0.0, 0.0, SIZE, SIZE)) if kind not in ("ones", "prob") else target
    settings = {"layers": ["stem"], "mean": (0.0,) * 3, "std": (1.0,) * 3}
    with Attributor(network, composite, task, **settings) as attributor:
        trace = attributor.forward(image)
        explained_output, seed = task.seed(trace.output, [target])
        logits = explained_output.detach()[seed > 0]
        attribution = trace.explain([target])
    ledger = attribution.ledgers[0] if attribution.ledgers else None
    return attribution.heatmap, attribution.relevance["stem"], logits, ledger


@pytest.mark.parametrize("kind", ["class", "objectness", "kept"])
def test_what_a_picture_adds_to_a_logit_is_the_same_whatever_its_sign(kind):
    """A bias alone makes the logit negative: R |z| stays as it was."""
    heatmap, relevance, logit, ledger = found(kind, 0.0, EPSILON)
    weak_map, weak_relevance, weak_logit, weak_ledger = found(kind, 6.0, EPSILON)
    assert float(logit) > 0 > float(weak_logit)
    for sure, weak in ((heatmap, weak_map), (relevance, weak_relevance)):
        torch.testing.assert_close(weak * weak_logit.abs(), sure * logit, rtol=1e-4, atol=1e-6)
    assert (ledger.seed, weak_ledger.seed) == (1.0, -1.0)
    assert weak_ledger.shares()[0] == pytest.approx(float(weak_map.sum()), rel=1e-6)  # of the logit's size
    assert weak_ledger.missing_share < 1e-6


@pytest.mark.parametrize("composite", [EPSILON, *OTHERS], ids=lambda one: one.name)
@pytest.mark.parametrize("kind", ["class", "objectness", "kept"])
def test_what_speaks_for_a_detection_is_positive_below_a_logit_of_0_too(kind, composite):
    """z+ takes no signed shares, epsilon and gamma do."""
    _, sure, _, _ = found(kind, 0.0, composite)
    _, weak, logit, _ = found(kind, 6.0, composite)
    assert float(logit) < 0
    assert torch.nn.functional.cosine_similarity(sure.flatten(), weak.flatten(), dim=0) > 0.5


@pytest.mark.parametrize("kind", ["class", "objectness", "kept"])
def test_gradients_are_those_of_the_logit(kind):
    for sure, weak in zip(found(kind, 0.0, GRADIENT)[:2], found(kind, 6.0, GRADIENT)[:2], strict=True):
        torch.testing.assert_close(weak, sure)


@pytest.mark.parametrize("kind", ["ones", "prob"])
def test_pixels_of_a_mask_whose_logit_is_negative_speak_for_it(kind):
    """Seeds of every sign of the logit: the sum of what each pixel's own logit is made of, by its size."""
    _, relevance, logits, _ = found(kind, 6.0, EPSILON)
    assert (logits < 0).any()
    task, network = task_of(kind), Cells(kind, 6.0)
    torch.manual_seed(1)
    image = torch.rand(1, 3, SIZE, SIZE, dtype=torch.float64)
    with Attributor(network, EPSILON, task, layers=["stem"], mean=(0.0,) * 3, std=(1.0,) * 3) as attributor:
        trace = attributor.forward(image)
        target = ExplainedTarget(target=Target(sample=0, class_id=0), key="k", score=1, confidence=1)
        output, seed = task.seed(trace.output, [target])
        parts = [
            trace.attribute(output, one * output.detach().sign()).relevance["stem"]
            for one in torch.diag_embed(seed.flatten()).view(-1, *seed.shape)
        ]
    torch.testing.assert_close(relevance, torch.stack(parts).sum(dim=0))
