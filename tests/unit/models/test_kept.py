"""Detectors of a person's own that select their boxes themselves: the logit of each is found by data flow."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import roi_align

import lcrp
from lcrp.errors import ConfigError
from lcrp.models.kept import KeptReader, keeps_boxes, kept_detector

NAMES = ["boat", "car", "kite"]
BOXES = torch.tensor([[0.0, 0.0, 16.0, 16.0], [8.0, 8.0, 32.0, 32.0], [0.0, 16.0, 16.0, 32.0], [4.0, 0.0, 30.0, 12.0]])


class Detector(nn.Module):
    """Scores four boxes; keeps them from the last to the first."""

    def __init__(self, *, background: int = 1, answer: dict[str, Any] | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))
        self.classes = nn.Linear(8 * 4, 3 + background)
        self.background, self.answer = background, answer

    def forward(self, x: Tensor) -> dict[str, Any]:
        features = self.features(x)
        features = features * features.sigmoid()  # no score, though its last axis may look like classes
        logits = self.classes(roi_align(features, [BOXES], 2).flatten(1))
        probabilities = logits.softmax(dim=-1) if self.background else logits.sigmoid()
        scores, labels = probabilities[:, self.background :].max(dim=-1)
        found = {"boxes": BOXES.flip(0), "scores": scores.flip(0) ** 0.5, "labels": labels.flip(0), "proposals": BOXES}
        return found | (self.answer or {})


@pytest.mark.parametrize("background", [0, 1])
@pytest.mark.parametrize("side", [32, 3, 4])  # the last two make gates of as many columns as classes
def test_rows_and_columns_are_those_of_the_scores(background: int, side: int) -> None:
    network = Detector(background=background).eval()
    x = torch.rand(1, 3, 32, side)
    (kept,) = kept_detector(network, 3)(x).pictures
    activate = nn.Softmax(dim=-1) if background else nn.Sigmoid()
    found = activate(kept.logits)[kept.rows, kept.columns[kept.class_ids]] ** 0.5
    assert torch.allclose(found, kept.scores)
    assert kept.rows.tolist() == [3, 2, 1, 0]
    assert kept.columns.tolist() == [background, background + 1, background + 2]
    assert kept.places is not None
    assert torch.equal(kept.places, BOXES)


def test_the_explained_logit_is_that_of_the_decision() -> None:
    network = Detector()
    explainer = lcrp.load(network, task="detection", class_names=NAMES, input=(32, 32, "none"), confidence=0.1)
    found = lcrp.explain(explainer, torch.rand(3, 32, 32), n_concepts=1)
    assert len(found) == 4
    assert sorted(one.box for one in found) == sorted(map(tuple, BOXES.tolist()))
    assert {one.layer for one in found} == {"features.2"}
    for one in found:
        left, top, right, bottom = map(int, one.box)
        relevance = np.abs(one.heatmap)
        assert relevance[top:bottom, left:right].sum() > 0.6 * relevance.sum() > 0
    assert isinstance(network.features, nn.Sequential)
    assert network.training


def test_what_keeps_boxes_is_told_by_its_answer() -> None:
    kept = {"boxes": BOXES, "scores": BOXES[:, 0], "labels": BOXES[:, 0].long()}
    assert keeps_boxes(kept)
    assert keeps_boxes([kept])
    assert not keeps_boxes([kept, kept])
    assert not keeps_boxes(BOXES)
    assert not keeps_boxes({"boxes": BOXES})


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"scores": torch.rand(4)}, "the way back from 4 of 4 scores to a class logit was not found"),
        ({"labels": torch.tensor([1, 2, 3, 1])}, "returns label 3, but classes go from 0 to 2: labels are class ids"),
        ({"boxes": BOXES[:2]}, r"returns boxes \[2, 4\], scores \[4\], labels \[4\]; wanted is a mapping for every"),
    ],
)
def test_answers_that_cannot_be_meant_are_refused(answer: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        kept_detector(Detector(answer=answer).eval(), 3)(torch.rand(1, 3, 32, 32))


def test_logits_with_their_classes_elsewhere_are_asked_for() -> None:
    class Other(nn.Module):
        def forward(self, x: Tensor) -> dict[str, Tensor]:
            scores = x.mean(dim=(2, 3))[0, :1].sigmoid().expand(4)
            return {"boxes": BOXES, "scores": scores, "labels": torch.zeros(4, dtype=torch.int64)}

    with pytest.raises(ConfigError, match=r"no sigmoid or softmax .* last axis has 3 columns, or 4 with"):
        KeptReader(num_classes=3).read(Other(), torch.rand(1, 3, 8, 8))


def test_overlap_is_no_setting_of_what_selects_its_boxes_itself() -> None:
    with pytest.raises(ConfigError, match="Detector selects its boxes itself: leave iou out"):
        lcrp.load(Detector(), task="detection", class_names=NAMES, input=(32, 32, "none"), iou=0.4)
