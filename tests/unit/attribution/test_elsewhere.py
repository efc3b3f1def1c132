"""One decision in other pictures: its own logits there, for every kind of task."""

import pytest
import torch
from torchvisions import NUM_CLASSES, SMALL, torchvision_network
from transformers_small import MASK2FORMER, NAMES, small

import lcrp
from lcrp.api.data import given_data
from lcrp.api.passing import subject_of
from lcrp.attribution.elsewhere import Elsewhere
from lcrp.attribution.engine import Attributor
from lcrp.attribution.kept import KeptDetectionTask
from lcrp.attribution.query_masks import QueryMaskTask
from lcrp.composites.composites import gradient
from lcrp.models.library import LibraryNetwork
from lcrp.models.torchvision import detector_reader
from lcrp.models.transformers_readers import library_network
from lcrp.values.geometry import Geometry
from lcrp.values.sample import Sample

SIDE = 96


def _torchvision():
    library = torchvision_network("fasterrcnn_resnet50_fpn", **SMALL)
    return LibraryNetwork(library, detector_reader(library, NUM_CLASSES)), KeptDetectionTask(
        ("a", "b", "c", "d"), confidence=0.0
    )


def _masks(score):
    return library_network(small(MASK2FORMER), MASK2FORMER), QueryMaskTask(NAMES, score=score)


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(_torchvision, id="boxes that are kept"),
        pytest.param(lambda: _masks("class"), id="masks of queries, class"),
        pytest.param(lambda: _masks("mask"), id="masks of queries, mask"),
    ],
)
def test_a_network_that_takes_one_picture_is_asked_for_the_same_decision_in_others(made):
    """In a picture where nothing of the class is left, its logits still weigh 1 together."""
    network, task = made()
    image = torch.rand(3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    sample = Sample(index=0, key="x", image=image, annotation=None, geometry=Geometry.identity((SIDE, SIDE)))
    with Attributor(network, gradient, task, layers=(), mean=[0] * 3, std=[1] * 3) as attributor:
        explained = task.predicted_targets(task.predictions(attributor.output(image[None]))[0], sample)[0][0]
        elsewhere = Elsewhere(attributor, explained)
        trace = attributor.forward(image[None])
        logits, weights = elsewhere.weights(trace)
        _, seed = task.seed(trace.output, [explained])
        torch.testing.assert_close(weights, seed / seed.sum())
        for other in (torch.zeros_like(image), image.flip(2)):
            logits, weights = elsewhere.weights(attributor.forward(other[None]))
            assert weights.shape == logits.shape
            assert float(weights.sum()) == pytest.approx(1, abs=1e-5)
            column = explained.target.class_id
            if not (isinstance(task, QueryMaskTask) and task.score == "mask"):
                on_others = weights.clone()
                on_others[..., column + isinstance(task, KeptDetectionTask)] = 0
                assert not on_others.any()


@pytest.mark.parametrize("name", ["embedded:yolov5_scenes", "embedded:unet_scenes"])
def test_rows_and_pixels_of_other_pictures_are_those_of_the_own_one(name):
    explainer = lcrp.load(name)
    subject = subject_of(explainer, given_data("scenes", explainer))
    sample = subject.dataset[0]
    images = torch.stack([sample.image, torch.zeros_like(sample.image)])
    with explainer.attributor([]) as attributor:
        task = attributor.task
        explained = task.predicted_targets(task.predictions(attributor.output(images[:1]))[0], sample)[0][0]
        logits, weights = Elsewhere(attributor, explained).weights(attributor.forward(images))
        _, seed = task.seed(attributor.forward(images[:1]).output, [explained])
    assert weights.shape == logits.shape
    for one in weights:
        torch.testing.assert_close(one, seed[0] / seed.sum())
