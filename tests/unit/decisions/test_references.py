"""Reference samples: the right neuron, batched, cached, and counted where they are lost."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import colour_world
import numpy as np
import pytest
import torch
from colour_world import Squares
from toy import named

from lcrp.attribution.concepts import only_neuron
from lcrp.attribution.engine import Attributor, Trace
from lcrp.decisions import neuron_maps
from lcrp.decisions.neuron_maps import RankedNeuron
from lcrp.decisions.reference_choice import _overlap
from lcrp.decisions.references import ReferenceSource, reference_samples, references_by_ranking
from lcrp.runs.run import Run
from lcrp.storage.reference_cache import NeuronKey, ReferenceCache
from lcrp.values.explanation import Lost, Reference
from lcrp.values.sample import Sample
from lcrp.values.statistics import TopTable

LAYER = "2"


class CountingAttributor(Attributor):
    """Counts its forward passes, and those after which few rounds are to come."""

    num_forward = num_for_few = 0

    def forward(self, images: torch.Tensor, **options: bool) -> Trace:
        self.num_forward += 1
        self.num_for_few += options.get("is_for_few", False)
        return super().forward(images, **options)


def attributor() -> CountingAttributor:
    subject = colour_world.subject()
    of = subject.explainer
    return CountingAttributor(of.network, of.composite, of.task, layers=[LAYER], mean=of.mean, std=of.std)


def table() -> TopTable:
    """Three references for each of four concepts; the last one of concept 1 is padding."""
    samples = np.array([[1, 3, 5], [2, 4, -1], [1, 2, 0], [1, 3, 0]])
    classes = np.array([[1, 1, 1], [2, 2, -1], [1, 2, 0], [1, 1, 0]])
    middle = 10 * colour_world.SIDE
    peaks = middle + np.array([[7, 9, 11], [8, 10, -1], [7, 8, 3], [7, 9, 3]])
    return TopTable(
        score=np.array([[0.5, 0.4, 0.3], [0.5, 0.4, 0.0], [0.2, 0.1, 0.1], [0.2, 0.1, 0.1]], dtype=np.float32),
        sample=samples,
        class_id=classes,
        item=np.where(samples < 0, -1, 0),
        peak=peaks,
        filled=np.array([3, 2, 3, 3]),
    )


def source(dataset: Squares | None = None, **changes: object) -> ReferenceSource:
    whole = ReferenceSource(
        dataset=dataset or Squares(), table=table(), layer=LAYER, mode="relevance", num_references=3, batch_size=2
    )
    return replace(whole, **changes)


def references(*given: Any, **named: Any) -> dict[int, tuple[Reference, ...]]:
    return {concept: one.shown for concept, one in reference_samples(*given, **named).items()}


def test_references_are_what_the_table_says() -> None:
    with attributor() as engine:
        found = references(engine, source(), [1, 0])
    assert [(one.sample, one.class_name, one.key) for one in found[0]] == [
        (1, "boat", "squares/01"),
        (3, "boat", "squares/03"),
        (5, "boat", "squares/05"),
    ]
    assert [one.score for one in found[0]] == pytest.approx([0.5, 0.4, 0.3])
    assert [one.sample for one in found[1]] == [2, 4]
    np.testing.assert_array_equal(found[0][1].picture, Squares()[3].image.permute(1, 2, 0))


@pytest.mark.parametrize("mode", ["relevance", "activation"])
def test_heatmaps_are_those_of_one_neuron_computed_alone(mode: str) -> None:
    with attributor() as engine:
        found = references(engine, source(mode=mode), [0, 2, 3])
        for concept in (0, 2, 3):
            for rank, reference in enumerate(found[concept]):
                trace = engine.forward(Squares()[reference.sample].image[None])
                restart = trace.activation[LAYER]
                if mode == "relevance":
                    prediction = engine.task.predictions(trace.output)[0]
                    class_id = int(table().class_id[concept, rank])
                    target = engine.task.find(prediction, named(reference.sample, ""), class_id, 0)
                    restart = trace.explain([target]).relevance[LAYER]
                peak = torch.tensor([int(table().peak[concept, rank])])
                alone = trace.conditional(LAYER, only_neuron(restart, torch.tensor([concept]), peak))[0]
                np.testing.assert_allclose(reference.heatmap, alone.numpy(), atol=1e-7)
                assert (reference.heatmap != 0).sum() <= 25  # two convolutions of 3x3


def test_activation_has_no_class() -> None:
    with attributor() as engine:
        found = references(engine, source(mode="activation"), [0])
    assert {one.class_name for one in found[0]} == {""}
    assert found[0][0].heatmap.max() > 0


def test_samples_are_explained_once_for_all_concepts() -> None:
    dataset = Squares()
    with attributor() as engine:
        references(engine, source(dataset), [0, 1, 2, 3])
        # targets: sample 1, 3, 5 as boat, 2 and 4 as car, 0 as background: six of them in pairs
        assert engine.num_forward == 3
    assert dataset.num_read == 6


def test_targets_of_a_picture_share_its_pass_where_pictures_pass_alone() -> None:
    """Concept 3 counts for the background of pictures in which concept 0 counts for boats."""
    two = table()
    two.class_id[3] = 0
    with attributor() as engine:
        found = references(engine, source(table=two, batch_size=1), [0, 3])
        assert engine.num_forward == 4  # pictures 0, 1, 3 and 5, of six targets
        together = references(engine, source(table=two, batch_size=6), [0, 3])
    assert [one.class_id for one in found[3]] == [0, 0, 0]
    for concept in (0, 3):
        for one, other in zip(found[concept], together[concept], strict=True):
            assert one.sample == other.sample
            np.testing.assert_allclose(one.heatmap, other.heatmap, atol=1e-7)
    assert all((one.heatmap != 0).any() for one in found[0])


@pytest.mark.parametrize(("few", "count"), [(0, 0), (1, 2), (2, 4), (3, 5)])
def test_rules_prepare_whole_pictures_where_many_rounds_are_to_come(
    few: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Concepts 0, 2 and 3 have three neurons in picture 1, two in pictures 0 and 3, one in 2 and 5."""
    monkeypatch.setattr(neuron_maps, "FEW_ROUNDS", few)
    with attributor() as engine:
        references(engine, source(batch_size=1), [0, 2, 3])
    assert (engine.num_forward, engine.num_for_few) == (5, count)


def test_lost_targets_are_left_out_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    wrong = table()
    wrong.class_id[0, 1] = 2  # no green square in sample 3
    with attributor() as engine, caplog.at_level(logging.WARNING):
        found = reference_samples(engine, source(Squares(broken=(5,)), table=wrong), [0])
    assert [one.sample for one in found[0].shown] == [1]
    assert found[0].lost == Lost(unreadable=1, not_found=1)
    told = "some are left out: the picture of 1 cannot be read, the decision of 1 is not found again"
    assert f"of 3 reference samples {told}" in caplog.text


def test_what_two_rankings_lose_is_told_once_and_looked_for_once(caplog: pytest.LogCaptureFixture) -> None:
    wrong = table()
    wrong.class_id[0, 1:] = 2  # no green square in samples 3 and 5
    both = [(source(table=wrong, batch_size=3, num_references=count), [0]) for count in (3, 2)]
    with attributor() as engine, caplog.at_level(logging.WARNING):
        found = [dict(one) for one in references_by_ranking(engine, both)]
        assert engine.num_forward == 1
    assert [one[0].lost for one in found] == [Lost(not_found=2)] * 2  # the second ranking came to sample 5 later
    assert "of 3 reference samples some are left out: the decisions of 2 are not found again" in caplog.text


def test_heatmaps_are_computed_once_in_a_lifetime(tmp_path: Path) -> None:
    cache = ReferenceCache(folder=tmp_path, config_hash="abc", layer=LAYER, mode="relevance")
    with attributor() as engine:
        first = references(engine, source(cache=cache), [0, 1])
        num_forward = engine.num_forward
        second = references(engine, source(cache=cache), [0, 1])
        assert engine.num_forward == num_forward
        references(engine, source(cache=cache), [0, 2])
        assert engine.num_forward == num_forward + 2  # concept 2 alone
    for concept in (0, 1):
        for one, other in zip(first[concept], second[concept], strict=True):
            np.testing.assert_array_equal(one.heatmap, other.heatmap)


def test_pictures_pass_once_for_all_rankings() -> None:
    dataset = Squares()
    rankings = [(source(dataset), [0, 2]), (source(dataset, num_references=2), [0, 1]), (source(dataset), [3])]
    with attributor() as engine:
        found = [dict(one) for one in references_by_ranking(engine, rankings)]
        assert engine.num_forward == 3  # as for one ranking of all of them
        assert dataset.num_read == 6
        alone = [reference_samples(engine, *one) for one in rankings]
    assert [list(one) for one in found] == [[0, 2], [0, 1], [3]]
    assert [len(found[number][0].shown) for number in (0, 1)] == [3, 2]
    for together, apart in zip(found, alone, strict=True):
        for concept in together:
            pairs = zip(together[concept].shown, apart[concept].shown, strict=True)
            for one, other in pairs:
                assert (one.sample, one.class_id, one.score) == (other.sample, other.class_id, other.score)
                np.testing.assert_allclose(one.heatmap, other.heatmap, atol=1e-7)


def test_a_neuron_that_two_rankings_name_has_one_round(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: list[int] = []
    conditional = Trace.conditional

    def counted(self: Trace, layer: str, relevance: torch.Tensor) -> torch.Tensor:
        rounds.append(int((relevance != 0).sum()))
        return conditional(self, layer, relevance)

    monkeypatch.setattr(Trace, "conditional", counted)
    with attributor() as engine:
        references_by_ranking(engine, [(source(), [0]), (source(num_references=2), [0])])
    assert sum(rounds) == 3


def test_an_interrupted_run_keeps_what_it_computed(tmp_path: Path) -> None:
    cache = ReferenceCache(folder=tmp_path, config_hash="abc", layer=LAYER, mode="relevance")

    class Interrupting:
        left = 2

        def advance(self, count: int = 1) -> None:
            self.left -= count
            if not self.left:
                raise KeyboardInterrupt

        def extend(self, count: int) -> None:
            """Nothing is told."""

    with attributor() as engine:
        with pytest.raises(KeyboardInterrupt):
            references(engine, source(cache=cache), [0], start_counting=lambda *_: nullcontext(Interrupting()))
        kept = cache.read(0)
        assert len(kept) == 2
        again = references(engine, source(cache=cache), [0])
    for reference in again[0]:
        known = [heatmap for neuron, heatmap in kept.items() if neuron.sample == reference.sample]
        assert all(np.array_equal(reference.heatmap, heatmap) for heatmap in known)


def test_fewer_references_than_the_table_holds() -> None:
    with attributor() as engine:
        assert [len(one) for one in references(engine, source(num_references=2), [0, 1]).values()] == [2, 2]
        assert references(engine, source(), []) == {}


class Crowded(Squares):
    """Two red squares in every picture but the first: at columns 0 to 7 and 14 to 21."""

    def __getitem__(self, index: int) -> Sample:
        sample = super().__getitem__(index)
        image = torch.tensor(colour_world.BLUE)[:, None, None].expand(3, colour_world.SIDE, colour_world.SIDE).clone()
        for left in (0, 14):
            image[:, 6:14, left : left + 8] = torch.tensor(colour_world.RED)[:, None, None]
        image[:, 0, index] = 0.2  # no picture is another
        return replace(sample, image=image)


def crowd(*rows: tuple[int, int]) -> TopTable:
    """A ranking of (sample, column of the peak) for concept 0, best first."""
    samples = np.array([[sample for sample, _ in rows]])
    return TopTable(
        score=np.linspace(0.9, 0.1, len(rows), dtype=np.float32)[None],
        sample=samples,
        class_id=np.ones_like(samples),
        item=np.zeros_like(samples),
        peak=np.array([[10 * colour_world.SIDE + column for _, column in rows]]),
        filled=np.array([len(rows)]),
    )


def shown(*rows: tuple[int, int], explained: Sample | None = None, **changes: object) -> list[tuple[int, float]]:
    """Sample and rounded score of the references that are chosen."""
    given = source(Crowded(), table=crowd(*rows), **changes)
    with attributor() as engine:
        found = references(engine, given, [0], explained)[0]
    return [(one.sample, round(one.score, 1)) for one in found]


def test_pictures_are_shown_once_where_there_are_enough() -> None:
    rows = ((1, 4), (1, 18), (2, 4), (2, 18), (3, 4))  # scores 0.9, 0.7, 0.5, 0.3, 0.1
    assert shown(*rows, num_references=3) == [(1, 0.9), (2, 0.5), (3, 0.1)]
    assert shown(*rows, num_references=4) == [(1, 0.9), (1, 0.7), (2, 0.5), (3, 0.1)]
    assert shown(*rows, num_references=3, distinct_pictures=False) == [(1, 0.9), (1, 0.7), (2, 0.5)]


def test_objects_are_shown_once_even_if_something_is_missing() -> None:
    rows = ((1, 4), (1, 5), (1, 18), (1, 4))  # its neighbour, another square, and the same neuron for another target
    assert shown(*rows, num_references=4) == [(1, 0.9), (1, 0.4)]
    assert shown(*rows, num_references=4, distinct_pictures=False) == [(1, 0.9), (1, 0.4)]


def test_the_explained_picture_comes_last_and_is_marked() -> None:
    rows = ((1, 4), (2, 4), (1, 18), (3, 4))
    explained = replace(Crowded()[1], index=0, key="mine.png")  # told by its pixels
    assert shown(*rows, explained=explained, num_references=2) == [(2, 0.6), (3, 0.1)]
    assert shown(*rows, explained=explained, num_references=4) == [(2, 0.6), (3, 0.1), (1, 0.9), (1, 0.4)]
    with attributor() as engine:
        given = source(Crowded(), table=crowd(*rows), num_references=3)
        found = references(engine, given, [0], explained)[0]
    assert [one.is_explained_picture for one in found] == [False, False, True]


def test_the_next_ones_take_the_place_of_lost_ones() -> None:
    with attributor() as engine:
        given = source(Squares(broken=(1,)), num_references=2)
        found = references(engine, given, [0])[0]
    assert [one.sample for one in found] == [3, 5]


def test_the_computation_is_counted() -> None:
    events: list[object] = []

    class Told:
        def advance(self, count: int = 1) -> None:
            events.append(count)

        def extend(self, count: int) -> None:
            events.append(("more", count))

    @contextmanager
    def start(total: int, description: str, unit: str) -> Iterator[Told]:
        events.append((total, description, unit))
        yield Told()

    with attributor() as engine:
        references(engine, source(Squares(broken=(5,))), [0, 1], start_counting=start)
    assert events[0] == (5, "references", "heatmaps")
    assert sum(one for one in events[1:] if isinstance(one, int)) == 5  # lost ones, too


def test_samples_that_a_concept_speaks_against_are_no_references() -> None:
    """A small dataset ranks these, too: they were shown as where the concept counts most."""
    opposed = table()
    opposed.score[0] = [0.5, 0.0, -0.2]
    with attributor() as engine:
        found = references(engine, source(table=opposed), [0])
    assert [one.sample for one in found[0]] == [1]


def test_a_picture_without_positive_relevance_is_shown_once() -> None:
    """Each of its decisions showed the whole picture again."""
    nothing, against = np.zeros((4, 4)), np.eye(4) * -1.0
    assert _overlap(nothing, against) == _overlap(nothing, nothing) == 1.0
    assert _overlap(nothing, np.eye(4)) == 0.0
    assert _overlap(np.eye(4), np.eye(4)) == 1.0


def test_replacements_are_of_the_same_count(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """The count of heatmaps began anew for every round of replacements, five times for one picture."""
    caplog.set_level(logging.INFO)
    told: list[tuple[int, int]] = []
    run = Run(folder=tmp_path, output_root=tmp_path, on_progress=lambda done, total, *_: told.append((done, total)))
    with attributor() as engine:
        references(engine, source(num_references=1), [2], Squares()[1], start_counting=run.progress)
    assert told[0] == (0, 1)
    assert told[-1] == (2, 2)
    assert told == sorted(told)
    assert caplog.messages == ["references: 2 heatmaps in 0:00"]


def test_targets_with_many_neurons_go_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pictures with a target of three neurons and one of a single one each: in pairs three rounds and one."""
    rounds: list[int] = []
    conditional = Trace.conditional

    def counted(self: Trace, layer: str, restart: torch.Tensor) -> torch.Tensor:
        rounds.append(len(restart))
        return conditional(self, layer, restart)

    monkeypatch.setattr(Trace, "conditional", counted)
    middle = 10 * colour_world.SIDE
    ranked = [
        RankedNeuron(concept=concept, neuron=NeuronKey(sample, class_id, 0, middle + 6 + sample), score=1.0)
        for sample in (1, 3)
        for concept, class_id in ((0, 1), (2, 1), (3, 1), (2, 0))
    ]
    with attributor() as engine:
        maps = neuron_maps.NeuronMaps(engine, Squares(), layer=LAYER, mode="relevance", batch_size=2)
        assert all(one is not None for one in maps.heatmaps(ranked))
    assert rounds == [2, 2, 2, 2]
