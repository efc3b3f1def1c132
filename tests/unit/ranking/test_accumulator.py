"""The accumulator's tables per class, its errors and its way back from stored statistics."""

from dataclasses import fields

import numpy as np
import pytest
import torch

from lcrp.errors import TargetError
from lcrp.ranking.accumulator import LayerShape, StatisticsAccumulator
from lcrp.values.attribution import ConceptScores
from lcrp.values.statistics import LayerStatistics
from lcrp.values.target import Target

CPU = torch.device("cpu")
SHAPES = {"conv": LayerShape(num_concepts=2, map_size=(3, 4))}


def scores(*rows: tuple[float, float]) -> dict[str, ConceptScores]:
    score = torch.tensor(rows)
    return {"conv": ConceptScores(score=score, peak=torch.arange(score.numel()).view_as(score))}


def accumulator(top_n: int = 3, top_n_per_class: int = 2) -> StatisticsAccumulator:
    return StatisticsAccumulator(SHAPES, top_n=top_n, top_n_per_class=top_n_per_class, device=CPU)


def filled_accumulator() -> StatisticsAccumulator:
    found = accumulator()
    targets = [Target(sample=0, class_id=5), Target(sample=0, class_id=2), Target(sample=1, class_id=5, item=1)]
    found.update(targets, scores((0.5, -0.5), (0.25, 0.75), (0.5, 0.5)), scores((0.1, 0.9), (0.3, 0.7)), [0, 0, 1])
    return found


def assert_equal(first: LayerStatistics, second: LayerStatistics) -> None:
    assert first.map_size == second.map_size
    for part in ("relevance", "relevance_by_class", "activation", "activation_by_class", "moments"):
        ours, theirs = getattr(first, part), getattr(second, part)
        for field in fields(ours):
            np.testing.assert_array_equal(getattr(ours, field.name), getattr(theirs, field.name), strict=True)


def test_overall_and_per_class_tables() -> None:
    ((name, layer),) = filled_accumulator().results()
    assert (name, layer.map_size) == ("conv", (3, 4))
    assert layer.relevance.sample[0].tolist() == [0, 1, 0]
    assert layer.relevance.class_id[0].tolist() == [5, 5, 2]
    assert layer.relevance.peak[0].tolist() == [0, 4, 2]
    assert layer.moments.class_ids.tolist() == [2, 5]
    assert layer.moments.count.tolist() == [1, 2]
    assert layer.relevance_by_class.filled.tolist() == [[1, 1], [2, 2]]
    assert layer.relevance_by_class.sample[1].tolist() == [[0, 1], [1, 0]]
    assert layer.relevance_by_class.item[1].tolist() == [[0, 1], [1, 0]]
    np.testing.assert_allclose(layer.moments.mean(), [[0.25, 0.75], [0.5, 0.0]])


def test_activation_has_one_entry_per_sample_and_per_sample_and_class() -> None:
    found = filled_accumulator()
    found.update(
        [Target(sample=2, class_id=2), Target(sample=2, class_id=2, item=1)],
        scores((0.5, 0.5), (0.5, 0.5)),
        scores((0.0, 0.0), (0.2, 0.8)),
        [1, 1],
    )
    ((_, layer),) = found.results()
    assert layer.activation.sample[0].tolist() == [1, 2, 0]
    assert (layer.activation.class_id == -1).all()
    assert (layer.activation.item == -1).all()
    assert layer.activation_by_class.filled.tolist() == [[2, 2], [2, 2]]
    assert layer.activation_by_class.sample[0].tolist() == [[2, 0], [0, 2]]
    assert layer.activation_by_class.class_id[0].tolist() == [[2, 2], [2, 2]]


def test_statistics_can_be_gone_on_with() -> None:
    whole, first = filled_accumulator(), filled_accumulator()
    restored = StatisticsAccumulator.from_statistics(dict(first.results()), top_n=3, top_n_per_class=2, device=CPU)
    for found in (whole, restored):
        found.update([Target(sample=4, class_id=0)], scores((0.4, 0.6)), scores((0.9, 0.1)), [0])
    assert_equal(dict(whole.results())["conv"], dict(restored.results())["conv"])


def test_nothing_seen_gives_empty_tables() -> None:
    ((_, layer),) = accumulator().results()
    assert layer.relevance.filled.tolist() == [0, 0]
    assert layer.relevance_by_class.score.shape[:2] == (0, 2)
    assert layer.moments.count.size == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_score_that_is_not_finite_is_named(value: float) -> None:
    targets = [Target(sample=3, class_id=1), Target(sample=8, class_id=2, item=4)]
    good = scores((0.5, 0.5), (0.5, 0.5))
    broken = scores((0.5, 0.5), (0.5, value))
    with pytest.raises(TargetError, match=r"relevance of layer 'conv' .* sample 8, class 2, item 4"):
        accumulator().update(targets, broken, good, [0, 1])
    with pytest.raises(TargetError, match=r"activation of layer 'conv' .* sample 8"):
        accumulator().update(targets, good, broken, [0, 1])


def test_rows_of_images_without_a_target_do_not_matter() -> None:
    found = accumulator()
    found.update([Target(sample=3, class_id=1)], scores((0.5, 0.5)), scores((float("nan"), 0.0), (0.25, 0.75)), [1])
    ((_, layer),) = found.results()
    assert layer.activation.score[:, 0].tolist() == [0.25, 0.75]


@pytest.mark.parametrize("entries_at_once", [1, 1 << 22])
def test_a_crowd_in_one_chunk_is_cut_into_parts(monkeypatch: pytest.MonkeyPatch, entries_at_once: int) -> None:
    generator = torch.Generator().manual_seed(0)
    targets = [Target(sample=0, class_id=0, item=item) for item in range(40)]
    targets += [Target(sample=1, class_id=class_id, item=item) for class_id in (1, 2) for item in range(17)]
    score = torch.rand(len(targets), 2, generator=generator)
    active = scores((0.5, 0.5), (0.25, 0.75))
    one_by_one = accumulator(top_n_per_class=20)
    for row, target in enumerate(targets):
        one = ConceptScores(score=score[row : row + 1], peak=torch.full((1, 2), row))
        one_by_one.update([target], {"conv": one}, active, [target.sample])
    monkeypatch.setattr("lcrp.ranking.accumulator._ENTRIES_AT_ONCE", entries_at_once)
    at_once = accumulator(top_n_per_class=20)
    everything = ConceptScores(score=score, peak=torch.arange(len(targets))[:, None].expand(-1, 2))
    at_once.update(targets, {"conv": everything}, active, [target.sample for target in targets])
    assert_equal(dict(at_once.results())["conv"], dict(one_by_one.results())["conv"])
