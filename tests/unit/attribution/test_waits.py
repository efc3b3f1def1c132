"""A GPU is asked for numbers a few times per chunk, and what is computed without a look is the same."""

import numpy as np
import pytest
import torch
from pretended_cuda import CUDA, is_possible, moved, pretended_cuda
from small_networks import NETWORKS, SIZE, attributor, prepared, task_of
from torch import Tensor, nn
from waiting import counted_waits

from lcrp.attribution.class_masks import Seed, area_and_seed, class_areas, explained_mask, tallied
from lcrp.attribution.engine import Attributor
from lcrp.attribution.nms import kept_detections
from lcrp.attribution.nms_together import detections_together
from lcrp.decisions.rounds import ChunkScores, chunk_of, explained_chunk
from lcrp.ranking.accumulator import StatisticsAccumulator
from lcrp.values import devices
from lcrp.values.geometry import Geometry
from lcrp.values.prediction import ClassMap
from lcrp.values.sample import Sample
from lcrp.values.target import ExplainedTarget, Target

MEANT = {"forward": 2, "decisions": 1, "rounds": 1, "update": 1}  # weights and signs; predictions; ledgers; scores


def random_network(name: str) -> nn.Module:
    torch.manual_seed(0)
    return prepared(NETWORKS[name][1]()).requires_grad_(False)


def images() -> Tensor:
    return torch.rand(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def queues_of(explaining: Attributor, output: object) -> list[list[ExplainedTarget]]:
    """Two targets of the pictures at both ends, one of that between them."""
    queues = []
    for row, (prediction, image) in enumerate(zip(explaining.task.predictions(output), images(), strict=True)):
        geometry = Geometry.identity((SIZE, SIZE))
        sample = Sample(index=row, key=str(row), image=image, annotation=None, geometry=geometry)
        queues.append(explaining.task.predicted_targets(prediction, sample)[0][: 2 - row % 2])
    return queues


@pytest.mark.parametrize("name", NETWORKS)
def test_a_chunk_waits_for_what_is_meant_alone(name: str) -> None:
    """A look that slipped into rules, rounds or rankings costs a wait per layer and round."""
    task = task_of(name, confidence=0.0, max_detections=2)
    with attributor(random_network(name), NETWORKS[name][0], task) as explaining:
        explaining.forward(images(), lambda *_: None)  # the first pass sees how often layers run
        with counted_waits() as forward:
            chunk = chunk_of(explaining, images())
        with counted_waits() as decisions:
            queues = queues_of(explaining, chunk.trace.output)
        accumulator = StatisticsAccumulator(chunk.activations.shapes, device=chunk.images.device)
        with counted_waits() as rounds:
            scores = explained_chunk(explaining, chunk, queues, accumulator.least_relevance, looked_at="all")
        assert len(scores.ledgers) == len(scores.explained) > 2
        with counted_waits() as update:
            targets = [one.target for one in scores.explained]
            accumulator.update(targets, scores.relevance, chunk.activations.scores, scores.images)
    found = {"forward": forward, "decisions": decisions, "rounds": rounds, "update": update}
    assert {part: waits.others for part, waits in found.items()} == {part: {} for part in MEANT}
    assert {part: waits.num_meant for part, waits in found.items()} == MEANT


@pytest.mark.skipif(not is_possible(), reason=f"torch {torch.__version__} asks the driver of fake tensors, too")
@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")
@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_is_sent_to_a_device_by_a_copy_that_waits(name: str) -> None:
    """Numbers of the program (means, rows, slots) are sent from memory that the device reads by itself."""
    task, network = task_of(name), random_network(name)
    with pretended_cuda(1.0), attributor(moved(network), NETWORKS[name][0], task) as explaining:
        explaining.forward(images().to(CUDA), lambda *_: None)
        with counted_waits(as_on_a_gpu=False) as waits:
            chunk = chunk_of(explaining, torch.rand(3, 3, SIZE, SIZE, device=CUDA))
            task.predictions(chunk.trace.output)
            one = ExplainedTarget(target=Target(sample=0, class_id=1), key="", score=1.0, confidence=1.0, row=3)
            accumulator = StatisticsAccumulator(chunk.activations.shapes, device=CUDA)
            scores = explained_chunk(explaining, chunk, [[one], [], []], accumulator.least_relevance)
            accumulator.update([one.target], scores.relevance, chunk.activations.scores, scores.images)
    assert waits.others == {}


def statistics(name: str) -> tuple[ChunkScores, StatisticsAccumulator]:
    task = task_of(name, confidence=0.0, max_detections=2)
    with attributor(random_network(name).double(), NETWORKS[name][0], task) as explaining:
        chunk = chunk_of(explaining, images())
        queues = queues_of(explaining, chunk.trace.output)
        accumulator = StatisticsAccumulator(
            chunk.activations.shapes, top_n=2, top_n_per_class=1, device=chunk.images.device
        )
        scores = explained_chunk(explaining, chunk, queues, accumulator.least_relevance, looked_at="all")
    targets = [one.target for one in scores.explained]
    accumulator.update(targets, scores.relevance, chunk.activations.scores, scores.images)
    return scores, accumulator


@pytest.mark.parametrize("name", NETWORKS)
def test_without_looks_the_statistics_are_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scores, accumulator = statistics(name)
    monkeypatch.setattr(devices, "waits", lambda values: True)  # noqa: ARG005
    unseen, other = statistics(name)
    assert [one.target for one in unseen.explained] == [one.target for one in scores.explained]
    for layer, found in scores.relevance.items():
        torch.testing.assert_close(unseen.relevance[layer].score, found.score, rtol=1e-9, atol=1e-12)
    for (_, ledger), (_, exact) in zip(unseen.ledgers, scores.ledgers, strict=True):
        assert ledger.reached == pytest.approx(exact.reached, rel=1e-9)
    for (layer, found), (_, exact) in zip(other.results(), accumulator.results(), strict=True):
        for table in ("relevance", "activation", "relevance_by_class", "activation_by_class"):
            mine, its = getattr(found, table), getattr(exact, table)
            np.testing.assert_allclose(mine.score, its.score, rtol=1e-6, atol=1e-9, err_msg=layer)
            np.testing.assert_array_equal(mine.filled, its.filled)
        np.testing.assert_array_equal(found.moments.count, exact.moments.count)
        np.testing.assert_allclose(found.moments.total, exact.moments.total, atol=8)


@pytest.mark.parametrize("iou", [0.45, None])
@pytest.mark.parametrize("limit", [3, 25, 70])
def test_boxes_of_all_pictures_are_those_of_each(iou: float | None, limit: int) -> None:
    """Equal scores, equal boxes, a picture without any, and more detections than are looked for without a look."""
    generator = torch.Generator().manual_seed(2)
    corners = torch.randint(0, 12, (4, 200, 2), generator=generator) * 8.0
    boxes = torch.cat([corners, corners + 16 + 8 * torch.randint(0, 3, (4, 200, 2), generator=generator)], dim=2)
    objectness = torch.randint(1, 9, (4, 200), generator=generator) / 8
    probabilities = torch.randint(0, 9, (4, 200, 3), generator=generator) / 8
    objectness[2] = 0.1
    settings = {"confidence": 0.25, "iou": iou, "max_detections": limit}
    found = detections_together(boxes, objectness, probabilities, **settings)
    for one, *image in zip(found, boxes, objectness, probabilities, strict=True):
        exact = kept_detections(*image, **settings)
        for column in ("rows", "boxes", "confidence", "labels", "probabilities", "objectness"):
            assert torch.equal(getattr(one, column), getattr(exact, column)), column
            assert getattr(one, column).dtype == getattr(exact, column).dtype
    assert [len(one.rows) > 0 for one in found] == [True, True, False, True]


def test_of_many_candidates_the_best_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lcrp.attribution.nms.MAX_CANDIDATES", 5)
    monkeypatch.setattr("lcrp.attribution.nms_together.MAX_CANDIDATES", 5)
    boxes = torch.arange(8.0)[None, :, None] * 20 + torch.tensor([0.0, 0, 10, 10])
    objectness = torch.tensor([[0.5, 0.9, 0.5, 0.5, 0.8, 0.5, 0.5, 0.7]])
    settings = {"confidence": 0.25, "iou": 0.45, "max_detections": 8}
    (found,) = detections_together(boxes, objectness, torch.ones(1, 8, 1), **settings)
    assert found.rows.tolist() == kept_detections(boxes[0], objectness[0], torch.ones(8, 1), **settings).rows.tolist()
    assert found.rows.tolist() == [1, 4, 7, 0, 2]


@pytest.mark.parametrize("kind", ["positive_logit", "ones", "prob", "logit"])
@pytest.mark.parametrize(("threshold", "is_bare"), [(None, False), (0.5, False), (0.5, True)])
def test_tallies_are_what_maps_say(kind: Seed, threshold: float | None, *, is_bare: bool) -> None:
    logits = torch.randn(2, 4, 9, 7, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    logits[:, 2] = -9  # a class that is nowhere
    maps = [ClassMap.of(one, threshold, has_bare_background=is_bare) for one in logits]
    for image, (one, exact) in enumerate(zip(tallied(maps, kind), maps, strict=True)):
        assert class_areas(one) == class_areas(exact)
        assert 2 + is_bare not in class_areas(one)
        for class_id in class_areas(one):
            if one.has_logit(class_id):
                mine, its = (explained_mask(each, Target(sample=image, class_id=class_id), "") for each in (one, exact))
                assert mine.area == its.area
                assert (mine.score, mine.confidence) == pytest.approx((its.score, its.confidence), rel=1e-12)
                assert area_and_seed(one, class_id, kind) == pytest.approx(area_and_seed(exact, class_id, kind))
