"""Reference samples: the right neuron, batched, cached, and counted where they are lost."""

import logging
from dataclasses import replace
from pathlib import Path

import colour_world
import numpy as np
import pytest
import torch
from colour_world import Squares

from lcrp.attribution.concepts import only_neuron
from lcrp.attribution.engine import Attributor, Trace
from lcrp.decisions.references import ReferenceSource, reference_samples
from lcrp.storage.reference_cache import ReferenceCache
from lcrp.values.statistics import TopTable

LAYER = "2"


class CountingAttributor(Attributor):
    """Counts its forward passes."""

    num_forward = 0

    def forward(self, images: torch.Tensor, **options: bool) -> Trace:
        self.num_forward += 1
        return super().forward(images, **options)


def attributor() -> CountingAttributor:
    subject = colour_world.subject()
    return CountingAttributor(
        subject.model.network, subject.composite, subject.task, layers=[LAYER], mean=(0, 0, 0), std=(1, 1, 1)
    )


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


def test_references_are_what_the_table_says() -> None:
    with attributor() as engine:
        found = reference_samples(engine, source(), [1, 0])
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
        found = reference_samples(engine, source(mode=mode), [0, 2, 3])
        for concept in (0, 2, 3):
            for rank, reference in enumerate(found[concept]):
                trace = engine.forward(Squares()[reference.sample].image[None])
                restart = trace.activation[LAYER]
                if mode == "relevance":
                    prediction = engine.task.predictions(trace.output)[0]
                    class_id = int(table().class_id[concept, rank])
                    target = engine.task.find(prediction, reference.sample, "", class_id, 0)
                    restart = trace.explain([target]).relevance[LAYER]
                peak = torch.tensor([int(table().peak[concept, rank])])
                alone = trace.conditional(LAYER, only_neuron(restart, torch.tensor([concept]), peak))[0]
                np.testing.assert_allclose(reference.heatmap, alone.numpy(), atol=1e-7)
                assert (reference.heatmap != 0).sum() <= 25  # two convolutions of 3x3


def test_activation_has_no_class() -> None:
    with attributor() as engine:
        found = reference_samples(engine, source(mode="activation"), [0])
    assert {one.class_name for one in found[0]} == {""}
    assert found[0][0].heatmap.max() > 0


def test_samples_are_explained_once_for_all_concepts() -> None:
    dataset = Squares()
    with attributor() as engine:
        reference_samples(engine, source(dataset), [0, 1, 2, 3])
        # targets: sample 1, 3, 5 as boat, 2 and 4 as car, 0 as background: six of them in pairs
        assert engine.num_forward == 3
    assert dataset.num_read == 6


def test_lost_targets_are_left_out_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    wrong = table()
    wrong.class_id[0, 1] = 2  # no green square in sample 3
    with attributor() as engine, caplog.at_level(logging.WARNING):
        found = reference_samples(engine, source(Squares(broken=(5,)), table=wrong), [0])
    assert [one.sample for one in found[0]] == [1]
    assert "2 of 3 reference samples are left out" in caplog.text


def test_heatmaps_are_computed_once_in_a_lifetime(tmp_path: Path) -> None:
    cache = ReferenceCache(folder=tmp_path, config_hash="abc", layer=LAYER, mode="relevance")
    with attributor() as engine:
        first = reference_samples(engine, source(cache=cache), [0, 1])
        num_forward = engine.num_forward
        second = reference_samples(engine, source(cache=cache), [0, 1])
        assert engine.num_forward == num_forward
        reference_samples(engine, source(cache=cache), [0, 2])
        assert engine.num_forward == num_forward + 2  # concept 2 alone
    for concept in (0, 1):
        for one, other in zip(first[concept], second[concept], strict=True):
            np.testing.assert_array_equal(one.heatmap, other.heatmap)


def test_fewer_references_than_the_table_holds() -> None:
    with attributor() as engine:
        assert [len(one) for one in reference_samples(engine, source(num_references=2), [0, 1]).values()] == [2, 2]
        assert reference_samples(engine, source(), []) == {}
