"""What is seen in a picture, and how much of a concept's relevance lies there."""

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from lcrp.attribution.engine import Attributor
from lcrp.attribution.trace import Trace
from lcrp.config.build import build_subject
from lcrp.config.compose import composed, composition
from lcrp.data.scenes import CLASS_NAMES, ScenesDataset
from lcrp.decisions.concept_choice import MAX_CONCEPTS, ConceptChoice
from lcrp.decisions.decision import explained_decisions
from lcrp.decisions.selection import Selection
from lcrp.decisions.sightings import PER_PICTURE, sighting, sightings
from lcrp.decisions.subject import Subject
from lcrp.decisions.things import SURROUNDINGS, things_seen
from lcrp.errors import TargetError
from lcrp.runs import processes
from lcrp.runs.copies import Copies
from lcrp.runs.run import Run
from lcrp.runs.threads import torch_threads
from lcrp.values.explanation import Explanation
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


def explained_alone(subject: Subject, sample: Sample, most: int, n_concepts: int) -> list[Explanation]:
    layer, names = subject.explainer.layer, subject.explainer.class_names
    choice = ConceptChoice(mode="relevance", layer=layer, n_concepts=n_concepts, n_references=0)
    selection = Selection(image=None, samples=None, class_name=None, max_targets=most)
    with subject.explainer.attributor([layer]) as attributor:
        return explained_decisions(attributor, sample, selection, choice, names)


def test_relevance_beyond_chance_beside_loops(subject: Subject) -> None:
    """p_F - a_F of the shown concepts, 0 of all others."""
    sample, names = subject.dataset[3], subject.explainer.class_names
    (explanation,) = explained_alone(subject, sample, most=1, n_concepts=3)
    things = things_seen(sample, names)
    shown = {one.concept: one.heatmap for one in explanation.concepts}
    assert explanation.all_shares is not None
    found = sighting(sample, things, shares=explanation.all_shares, maps=shown, own="boat")
    assert (found.sample, found.own) == (3, "boat")
    assert np.array_equal(found.shares, explanation.all_shares)
    for name, mask in things.items():
        for concept, value in enumerate(found.beyond[name].tolist()):
            expected = 0.0
            if concept in shown:
                positive = np.maximum(shown[concept], 0.0).astype(np.float64)
                expected = positive[mask].sum() / positive.sum() - mask.mean()
            assert value == pytest.approx(expected, abs=1e-6)


def test_pictures_side_by_side_say_the_same_as_each_alone(subject: Subject, tmp_path: Path) -> None:
    """Decisions, their order, their shares and where they lie; the object that is hit is the decision's own."""
    run, samples = Run(folder=tmp_path, output_root=tmp_path, on_progress=lambda *_: None), [3, 8, 0, 7, 20, 34, 5]
    most = 9  # so that not all of the last part are looked at
    found = list(
        sightings(subject, subject.explainer.layer, run.progress, num_decisions=most, batch_size=8, samples=samples)
    )
    alone = []
    for index in samples:
        sample = subject.dataset[index]
        with suppress(TargetError):
            alone += [(sample, one) for one in explained_alone(subject, sample, PER_PICTURE, MAX_CONCEPTS)]
    assert len(found) == most < len(alone)
    for one, (sample, explanation) in zip(found, alone, strict=False):
        known = explanation.annotated
        assert known is not None
        assert one.sample == sample.index
        assert one.own == (known.class_name if known.verdict == "hit" else "")
        maps = {part.concept: part.heatmap for part in explanation.concepts}
        assert explanation.all_shares is not None
        things = things_seen(sample, subject.explainer.class_names)
        expected = sighting(sample, things, shares=explanation.all_shares, maps=maps, own=one.own)
        assert np.allclose(one.shares, expected.shares, atol=1e-6)
        assert one.beyond.keys() == expected.beyond.keys()
        for name, values in expected.beyond.items():
            assert np.allclose(one.beyond[name], values, atol=1e-5)
    assert {"", "boat"} < {one.own for one in found}


def test_no_more_pictures_pass_than_are_needed(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three decisions are those of two pictures at least; more pass only where these have too few."""
    run, passed, forward = (
        Run(folder=tmp_path, output_root=tmp_path, on_progress=lambda *_: None),
        [],
        Attributor.forward,
    )

    def counted(self: Attributor, images: torch.Tensor, **options: bool) -> Trace:
        passed.append(len(images))
        return forward(self, images, **options)

    monkeypatch.setattr(Attributor, "forward", counted)
    samples, layer = [3, 8, 0, 7, 20, 34, 5], subject.explainer.layer
    found = list(sightings(subject, layer, run.progress, num_decisions=3, batch_size=8, samples=samples))
    assert len(found) == 3
    assert passed[0] == 2
    assert sum(passed) == samples.index(found[-1].sample) + 1
    passed.clear()
    found = list(sightings(subject, layer, run.progress, num_decisions=9, batch_size=1, samples=samples))
    assert set(passed) == {1}


def test_decisions_are_spread_and_no_more_than_asked_for(subject: Subject, tmp_path: Path) -> None:
    run = Run(folder=tmp_path, output_root=tmp_path, on_progress=lambda *_: None)
    found = list(sightings(subject, subject.explainer.layer, run.progress, num_decisions=5, batch_size=8))
    assert len(found) == 5
    samples = [one.sample for one in found]
    assert max(samples.count(one) for one in samples) <= PER_PICTURE
    assert max(samples) >= 100  # of 500
    first = list(
        sightings(subject, subject.explainer.layer, run.progress, num_decisions=3, batch_size=8, num_samples=2)
    )
    assert {one.sample for one in first} <= {0, 1}


@pytest.mark.usefixtures("no_other_thread")
def test_sightings_are_bit_for_bit_those_of_one_thread(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(folder=tmp_path, output_root=tmp_path, on_progress=lambda *_: None)
    monkeypatch.setattr(processes, "FEW", 2)
    numbers: list[int] = []
    begin = Copies._begin
    monkeypatch.setattr(Copies, "_begin", lambda self: (numbers.append(1), begin(self))[1])

    def found(threads: int) -> list[tuple[object, ...]]:
        layer = subject.explainer.layer
        with torch_threads(threads):
            return [
                (one.sample, one.own, one.shares.tobytes(), {name: part.tobytes() for name, part in one.beyond.items()})
                for one in sightings(subject, layer, run.progress, num_decisions=11, batch_size=2)
            ]

    expected = found(1)
    assert numbers == []
    assert found(2) == expected
    assert len(expected) == 11
    assert bool(numbers) == (sys.platform == "linux" and not torch.cuda.is_available())
