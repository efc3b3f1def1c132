"""Inputs with sizes of their own (model.input.resize=rect): a pass is what single pictures give, however they mix."""

from dataclasses import replace
from pathlib import Path

import noise_world
import numpy as np
import pytest
import torch
from noise_world import CLASS_NAMES, STATISTICS
from PIL import Image

from lcrp.attribution.concepts import activation_scores, only_neuron, relevance_scores
from lcrp.attribution.methods import Method
from lcrp.composites.spec import GRADIENT
from lcrp.data.folder import FolderDataset
from lcrp.data.loader import chunks
from lcrp.data.transforms import InputTransform
from lcrp.decisions.concept_choice import ConceptChoice
from lcrp.decisions.references import reference_samples, reference_source
from lcrp.decisions.subject import Subject
from lcrp.errors import ConfigError
from lcrp.runs.run import Run
from lcrp.stages.evaluate.flipping import Flipping
from lcrp.stages.evaluate.settings import EvaluateSettings
from lcrp.stages.glocal.glocal import GlocalSettings, glocal
from lcrp.storage.statistics import StatisticsFile

LAYER = "2"
SIZES = ((40, 96), (96, 40), (64, 64), (30, 96), (96, 96))  # height and width of the pictures
INPUTS = ((64, 96), (96, 64), (96, 96), (32, 96), (96, 96))


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    noise = np.random.default_rng(0)
    (tmp_path / "pictures").mkdir()
    for number, size in enumerate(SIZES):
        pixels = noise.integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "pictures" / f"{number}.png")
    transform = InputTransform(96, 96, "rect")
    made = noise_world.subject()
    explainer = replace(made.explainer, transform=transform)
    return replace(
        made, explainer=explainer, dataset=FolderDataset(tmp_path / "pictures", transform, made.explainer.class_names)
    )


@pytest.mark.parametrize("num_workers", [0, 1])
def test_every_input_has_its_own_size(subject: Subject, num_workers: int) -> None:
    (batch,) = chunks(subject.dataset, batch_size=8, num_workers=num_workers, on_error="raise")
    parts = batch.of_one_size()
    found = {sample.index: tuple(sample.image.shape[1:]) for part in parts for sample in part.samples}
    assert found == dict(enumerate(INPUTS))
    assert all(
        torch.equal(part.images[row], sample.image)
        for part in parts
        for sample, row in zip(part.samples, part.rows, strict=True)
    )


def test_a_pass_ranks_what_single_pictures_give(subject: Subject, tmp_path: Path) -> None:
    statistics = replace(STATISTICS, targets="predicted", batch_size=4)
    (tmp_path / "run").mkdir()
    path = glocal(subject, statistics, GlocalSettings(), Run(folder=tmp_path / "run", output_root=tmp_path))
    with StatisticsFile(path, class_names=CLASS_NAMES) as file:
        layer = file.layer(LAYER)
    assert layer.map_size == (96, 96)
    choice = ConceptChoice(layer=LAYER, n_concepts=2, n_references=4, mode="relevance")
    source = reference_source(path, subject.dataset, CLASS_NAMES, choice, batch_size=4)
    with subject.explainer.attributor([LAYER]) as attributor:
        best = np.argsort(-layer.relevance.score[:, 0])[:2].tolist()  # others count in no sample
        found = reference_samples(attributor, source, best)
        for concept in best:
            for rank in range(int(layer.relevance.filled[concept])):
                sample = subject.dataset[int(layer.relevance.sample[concept, rank])]
                trace = attributor.forward(sample.image[None])
                (prediction,) = subject.explainer.task.predictions(trace.output)
                class_id = int(layer.relevance.class_id[concept, rank])
                one = subject.explainer.task.found(prediction, sample, class_id, 0)
                relevance = trace.explain([one]).relevance[LAYER]
                scores = relevance_scores(relevance)
                np.testing.assert_allclose(layer.relevance.score[concept, rank], scores.score[0, concept], rtol=1e-4)
                y, x = divmod(int(layer.relevance.peak[concept, rank]), 96)
                assert y * relevance.shape[-1] + x == scores.peak[0, concept]
                shown = [
                    one
                    for one in found[concept].shown
                    if (one.sample, one.class_name) == (sample.index, CLASS_NAMES[class_id])
                ]
                for reference in shown:
                    alone = trace.conditional(
                        LAYER, only_neuron(relevance, torch.tensor([concept]), scores.peak[:, concept])
                    )[0]
                    top, left, bottom, right = sample.geometry.content()
                    np.testing.assert_allclose(reference.heatmap, alone.numpy()[top:bottom, left:right], atol=1e-7)
            assert found[concept].shown
        maps = attributor.forward(subject.dataset[0].image[None]).activation[LAYER]
        place = layer.activation.sample[0].tolist().index(0)
        y, x = divmod(int(layer.activation.peak[0, place]), 96)
        assert y * maps.shape[-1] + x == activation_scores(maps).peak[0, 0]


def test_pictures_of_one_size_alone_lend_each_other_activations(subject: Subject) -> None:
    methods = (Method(name="activation", reading="activation", composite=GRADIENT),)
    settings = EvaluateSettings(methods=methods, num_targets=1, num_layers=1, num_steps=2, ablations=("mean",), seed=0)
    with pytest.raises(ConfigError, match=r"write stage.ablations=\[zero\], or model.input.resize=letterbox"):
        Flipping(subject, STATISTICS, settings, [LAYER])
