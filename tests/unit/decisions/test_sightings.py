"""What is seen in a picture, and how much of a concept's relevance lies there."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lcrp.config.build import build_subject
from lcrp.config.compose import composed, composition
from lcrp.data.scenes import CLASS_NAMES, ScenesDataset
from lcrp.decisions.concept_choice import ConceptChoice
from lcrp.decisions.decision import explained_decisions
from lcrp.decisions.selection import Selection
from lcrp.decisions.sightings import PER_PICTURE, SURROUNDINGS, sighting, sightings, things_seen
from lcrp.decisions.subject import Subject
from lcrp.runs.run import Run
from lcrp.values.geometry import Geometry
from lcrp.values.sample import Annotation, Sample


@pytest.fixture(autouse=True, scope="module")
def hydra() -> Iterator[None]:
    with composition():
        yield


@pytest.fixture(scope="module")
def subject() -> Subject:
    return build_subject(composed(["model=yolov5"]), torch.device("cpu"), Path.cwd())


def labelled(annotation: Annotation | None) -> Sample:
    image = torch.zeros(3, 4, 6)
    return Sample(index=0, key="a", image=image, annotation=annotation, geometry=Geometry.identity((4, 6)))


BOXES = Annotation(boxes=torch.tensor([[0.0, 0.0, 2.0, 2.0], [1.0, 1.0, 3.0, 3.0]]), labels=torch.tensor([1, 1]))


def test_boxes_are_filled_and_the_rest_surrounds_them() -> None:
    found = things_seen(labelled(BOXES), ("boat", "car"))
    both = np.zeros((4, 6), dtype=bool)
    both[:2, :2] = both[1:3, 1:3] = True
    assert list(found) == ["car", SURROUNDINGS]
    assert np.array_equal(found["car"], both)
    assert np.array_equal(found[SURROUNDINGS], ~both)


def test_pixels_of_classes_without_background_and_void() -> None:
    mask = torch.zeros(4, 6, dtype=torch.int64)
    mask[0], mask[1] = 1, 255
    annotation = Annotation(boxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.int64), class_mask=mask)
    found = things_seen(labelled(annotation), ("background", "boat"))
    assert list(found) == ["boat", SURROUNDINGS]
    assert np.array_equal(found["boat"], mask.numpy() == 1)


def test_nothing_is_seen_where_nothing_is_annotated() -> None:
    """Surroundings of nothing would be a name for every concept of unlabelled pictures."""
    assert things_seen(labelled(None), ("boat",)) == {}
    empty = Annotation(boxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.int64))
    assert things_seen(labelled(empty), ("boat",)) == {}


def test_scenes_have_classes_parts_and_contexts() -> None:
    dataset = ScenesDataset("val")
    sample = dataset[3]
    found = things_seen(sample, CLASS_NAMES)
    assert sample.annotation is not None
    assert sample.annotation.class_mask is not None
    assert sample.annotation.context is not None
    assert {name for name in found if name in CLASS_NAMES} == {one.class_name for one in dataset.scene(3).objects}
    assert set(sample.annotation.parts) <= set(found)
    for number, name in enumerate(("water", "road", "grass", "sky", "sand")):
        if name in found:
            assert (sample.annotation.context.numpy()[found[name]] == number).all()
            assert not (sample.annotation.class_mask.numpy()[found[name]] > 0).any()


def test_relevance_beyond_chance_beside_loops(subject: Subject) -> None:
    """p_F - a_F of the shown concepts, 0 of all others; the object that is hit is the decision's own."""
    sample, names = subject.dataset[3], subject.explainer.class_names
    choice = ConceptChoice(mode="relevance", layer=subject.explainer.layer, n_concepts=3, n_references=0)
    selection = Selection(image=None, samples=None, class_name=None, max_targets=1)
    with subject.explainer.attributor([subject.explainer.layer]) as attributor:
        explanation = explained_decisions(attributor, sample, selection, choice, names)[0]
    things = things_seen(sample, names)
    found = sighting(explanation, sample, things)
    assert explanation.annotated is not None
    assert (found.own, explanation.annotated.verdict) == (explanation.class_name, "hit")
    shown = {one.concept: one.heatmap for one in explanation.concepts}
    for name, mask in things.items():
        for concept, value in enumerate(found.beyond[name].tolist()):
            expected = 0.0
            if concept in shown:
                positive = np.maximum(shown[concept], 0.0).astype(np.float64)
                expected = positive[mask].sum() / positive.sum() - mask.mean()
            assert value == pytest.approx(expected, abs=1e-6)
    missed = replace(explanation, annotated=replace(explanation.annotated, verdict="false alarm"))
    assert sighting(missed, sample, things).own == ""


def test_decisions_are_spread_and_no_more_than_asked_for(subject: Subject, tmp_path: Path) -> None:
    run = Run(folder=tmp_path, output_root=tmp_path, on_progress=lambda *_: None)
    found = list(sightings(subject, subject.explainer.layer, run.progress, num_decisions=5))
    assert len(found) == 5
    samples = [one.sample for one in found]
    assert max(samples.count(one) for one in samples) <= PER_PICTURE
    assert max(samples) >= 100  # of 500
    first = list(sightings(subject, subject.explainer.layer, run.progress, num_decisions=3, num_samples=2))
    assert {one.sample for one in first} <= {0, 1}
