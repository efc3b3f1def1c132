"""What is taken out of scenes, and what concepts lose by it, beside one picture at a time."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from lcrp.config.build import build_subject
from lcrp.config.compose import composed, composition
from lcrp.data.scenes import CONTEXT_NAMES, ScenesDataset, without_object, without_part
from lcrp.decisions.sightings import PER_PICTURE
from lcrp.decisions.things import things_seen
from lcrp.stages.truth.removals import OTHER_CONTEXTS, concept_falls, removals


@pytest.fixture(autouse=True, scope="module")
def hydra() -> Iterator[None]:
    with composition():
        yield


def test_everything_that_is_seen_is_taken_away() -> None:
    """An object left behind, or a part of another class gone, would judge names by something else."""
    dataset = ScenesDataset("val")
    for index in range(12):
        scene = dataset.scene(index)
        things = list(things_seen(dataset[index], dataset.class_names))
        changed = list(removals(scene, things))
        assert {name for name, _ in changed} == set(things)
        for name, other in changed:
            left = things_seen(dataset.sample(other), dataset.class_names)
            assert name not in left or name == "kite.string"  # others may hide behind what was removed
            if name in CONTEXT_NAMES:
                assert len([one for one, _ in changed if one == name]) == OTHER_CONTEXTS
                assert other.objects == scene.objects
            elif "." not in name:
                assert other.objects == tuple(one for one in scene.objects if one.class_name != name)
                assert other.bands == scene.bands


@pytest.mark.parametrize("model", ["yolov5", "unet"])
def test_falls_beside_one_picture_at_a_time(model: str) -> None:
    subject = build_subject(composed([f"model={model}"]), torch.device("cpu"), Path.cwd())
    dataset, layer = subject.dataset, subject.explainer.layer
    assert isinstance(dataset, ScenesDataset)
    sample, scene = dataset[3], dataset.scene(3)
    with subject.explainer.attributor([layer]) as attributor:
        found = concept_falls(attributor, dataset, 3, layer)
        task = attributor.task
        prediction = task.predictions(attributor.output(sample.image[None]))[0]
        decisions = [
            one for one in task.annotated_targets(prediction, sample)[0] if one.target.class_id or "yolo" in model
        ]
        assert len(found) == min(PER_PICTURE, len(decisions))
        number, name = 0, scene.objects[0].class_name
        part = next(one for one in things_seen(sample, task.class_names) if one.startswith(f"{name}."))
        gone = scene
        for at in reversed([n for n, one in enumerate(scene.objects) if one.class_name == name]):
            gone = without_object(gone, at)
        bare = scene
        for at in [n for n, one in enumerate(scene.objects) if one.class_name == name]:
            bare = without_part(bare, at, part)
        relevance, weights = [], None
        for picture in (sample.image, dataset.sample(gone).image, dataset.sample(bare).image):
            trace = attributor.forward(picture[None])
            output, seed = task.seed(trace.output, [decisions[number] if weights is None else None])
            weights = seed / seed.sum() if weights is None else weights
            maps = trace.attribute(output, weights * output.detach()).relevance[layer]
            relevance.append(maps.double().sum(dim=(2, 3))[0].numpy())
    scale = np.abs(relevance[0]).sum()
    for thing, other in ((name, relevance[1]), (part, relevance[2])):
        np.testing.assert_allclose(found[number].signed[thing], (relevance[0] - other) / scale, atol=1e-4)
        lost = (np.maximum(relevance[0], 0.0) - np.maximum(other, 0.0)) / scale
        np.testing.assert_allclose(found[number].lost[thing], lost, atol=1e-4)
