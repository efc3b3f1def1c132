"""What stands beside a decision."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from toy import named

from lcrp.attribution.detection import DetectionTask
from lcrp.attribution.segmentation import VOID, SegmentationTask
from lcrp.decisions.beside import annotated, by_confidence, other_decisions, runners_up
from lcrp.values.explanation import Annotated
from lcrp.values.geometry import Geometry
from lcrp.values.prediction import ClassMap, Detections
from lcrp.values.sample import Annotation, Sample

NAMES = ("background", "boat", "car")
DETECTOR, SEGMENTER = DetectionTask(NAMES), SegmentationTask(NAMES)
BARS = Geometry(picture_size=(10, 20), input_size=(20, 20), scale=(1.0, 1.0), offset=(5.0, 0.0))  # rows 5 to 14


def sample(annotation: Annotation | None = None, geometry: Geometry = BARS) -> Sample:
    return Sample(index=4, key="k", image=torch.zeros(3, 20, 20), annotation=annotation, geometry=geometry)


def detections() -> Detections:
    """A boat, which may be a car, and a car on the same place; another boat."""
    return Detections(
        rows=torch.tensor([7, 3, 5]),
        boxes=torch.tensor([[0.0, 5.0, 10.0, 15.0], [0.0, 5.0, 10.0, 10.0], [10.0, 0.0, 20.0, 10.0]]),
        confidence=torch.tensor([0.9, 0.8, 0.7]),
        labels=torch.tensor([1, 2, 1]),
        probabilities=torch.tensor([[0.001, 0.9, 0.3], [0.0, 0.0, 0.8], [0.0, 0.7, 0.2]]),
        objectness=torch.ones(3),
    )


def class_map() -> ClassMap:
    """A boat in columns 0 to 3 of the picture, a car in columns 4 to 5, background elsewhere."""
    logits = torch.zeros(3, 20, 20)
    logits[0] = 1.0
    logits[1, 5:15, :4] = 3.0
    logits[2, 5:15, 4:6] = 4.0
    return ClassMap(labels=logits.argmax(dim=0), logits=logits)


def test_other_decisions_are_the_other_boxes_with_their_part_of_the_picture() -> None:
    boat = DETECTOR.find(detections(), named(4, "k"), 1, 0)
    first, second = other_decisions(DETECTOR, detections(), sample(), boat)
    assert (first.class_name, first.box, first.share) == ("car", (0.0, 5.0, 10.0, 10.0), pytest.approx(50 / 200))
    assert first.confidence == pytest.approx(0.8)
    assert (second.class_name, second.share) == ("boat", pytest.approx(50 / 200))  # half of it is in a bar


def test_a_detection_explained_for_its_second_class_is_not_its_own_neighbour() -> None:
    as_car = DETECTOR.of_class(detections(), sample(), 2)[1]
    assert as_car.row == 7
    assert [one.class_name for one in other_decisions(DETECTOR, detections(), sample(), as_car)] == ["car", "boat"]


def test_at_most_eight_others_are_named() -> None:
    many = Detections(
        rows=torch.arange(12),
        boxes=torch.tensor([[0.0, 5.0, 10.0, 15.0]]).repeat(12, 1),
        confidence=torch.linspace(0.9, 0.3, 12),
        labels=torch.ones(12, dtype=torch.int64),
        probabilities=torch.tensor([[0.0, 0.5, 0.0]]).repeat(12, 1),
        objectness=torch.ones(12),
    )
    found = other_decisions(DETECTOR, many, sample(), DETECTOR.find(many, named(4, "k"), 1, 0))
    assert len(found) == 8


def test_other_classes_of_a_map_have_their_area_and_background_is_none() -> None:
    car = SEGMENTER.find(class_map(), named(4, "k"), 2, 0)
    (other,) = other_decisions(SEGMENTER, class_map(), sample(), car)
    assert (other.class_name, other.box, other.share) == ("boat", None, pytest.approx(0.2))
    assert other.confidence == pytest.approx(float(torch.tensor([1.0, 3.0, 0.0]).softmax(dim=0)[1]))


def test_runners_up_are_the_next_classes_of_the_decision() -> None:
    found = replace(detections(), confidence=torch.tensor([0.45, 0.4, 0.35]), objectness=torch.full((3,), 0.5))
    boat = DETECTOR.find(found, named(4, "k"), 1, 0)
    assert boat.confidence == pytest.approx(0.45)
    assert runners_up(DETECTOR, found, boat) == (("car", pytest.approx(0.15)),)  # background: below 1 %
    car = SEGMENTER.find(class_map(), named(4, "k"), 2, 0)
    expected = torch.tensor([1.0, 0.0, 4.0]).softmax(dim=0)
    assert runners_up(SEGMENTER, class_map(), car) == (
        ("background", pytest.approx(float(expected[0]))),
        ("boat", pytest.approx(float(expected[1]))),
    )


def test_ties_of_confidence_keep_the_order_of_items() -> None:
    tied = replace(detections(), confidence=torch.tensor([0.9, 0.9, 0.9]), objectness=torch.tensor([0.5, 1.0, 9 / 14]))
    ranked = by_confidence(DETECTOR, tied, sample(), 1)
    assert [one.target.item for one in ranked] == [0, 1]
    assert [one.target.item for one in by_confidence(SEGMENTER, class_map(), sample(), 1)] == [0]


def boxes(*rows: tuple[int, float, float, float, float]) -> Annotation:
    table = torch.tensor(rows, dtype=torch.float32).reshape(-1, 5)
    return Annotation(boxes=table[:, 1:], labels=table[:, 0].long())


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (boxes((1, 0, 5, 10, 13)), Annotated(verdict="hit", class_name="boat", overlap=0.8)),
        (boxes((2, 0, 5, 10, 15), (1, 0, 5, 10, 13)), Annotated(verdict="hit", class_name="boat", overlap=0.8)),
        (boxes((2, 0, 5, 10, 15)), Annotated(verdict="false alarm", class_name="car", overlap=1.0)),
        (boxes((1, 0, 5, 10, 9)), Annotated(verdict="false alarm", class_name="boat", overlap=0.4)),
        (boxes((1, 15, 5, 20, 9)), Annotated(verdict="false alarm")),
        (boxes(), Annotated(verdict="false alarm")),
        (None, Annotated(verdict="unlabelled")),
        (replace(boxes(), class_mask=torch.ones(20, 20).long()), Annotated(verdict="unlabelled")),
    ],
)
def test_boxes_are_hits_or_false_alarms(annotation: Annotation | None, expected: Annotated) -> None:
    boat = DETECTOR.find(detections(), named(4, "k"), 1, 0)
    mask = np.zeros((20, 20), dtype=bool)
    found = annotated(DETECTOR, sample(annotation), boat, mask, NAMES)
    assert found == replace(expected, overlap=pytest.approx(expected.overlap))


def test_masks_are_hits_or_false_alarms() -> None:
    boat = SEGMENTER.find(class_map(), named(4, "k"), 1, 0)
    mask = SEGMENTER.object_mask(class_map(), boat, (20, 20)).numpy()

    def found(class_mask: torch.Tensor) -> Annotated | None:
        return annotated(SEGMENTER, sample(replace(boxes(), class_mask=class_mask)), boat, mask, NAMES)

    labels = torch.zeros(20, 20, dtype=torch.int64)
    labels[5:15, 1:5] = 1  # three of four columns agree, one each on either side does not
    assert found(labels) == Annotated(verdict="hit", class_name="boat", overlap=pytest.approx(3 / 5))
    labels[:, 0] = VOID  # what is void counts on neither side
    assert found(labels) == Annotated(verdict="hit", class_name="boat", overlap=pytest.approx(3 / 4))
    labels[5:15, 1:5] = 2
    assert found(labels) == Annotated(verdict="false alarm", class_name="car", overlap=pytest.approx(3 / 4))
    assert annotated(SEGMENTER, sample(boxes((1, 0, 5, 4, 15))), boat, mask, NAMES) == Annotated(verdict="unlabelled")


def test_nothing_is_said_of_own_pictures_and_of_classes_of_others() -> None:
    boat = DETECTOR.find(detections(), named(4, "k"), 1, 0)
    mask = np.zeros((20, 20), dtype=bool)
    assert annotated(DETECTOR, sample(boxes((1, 0, 5, 10, 15))), boat, mask, None) is None
    other = annotated(DETECTOR, sample(boxes((1, 0, 5, 10, 15))), boat, mask, ("sky", "cat", "dog"))
    assert other == Annotated(verdict="unlabelled")


def test_of_classes_that_the_data_does_not_annotate_nothing_is_said() -> None:
    """A set of cars alone does not make a false alarm of every boat."""
    boat = DETECTOR.find(detections(), named(4, "k"), 1, 0)
    mask = np.zeros((20, 20), dtype=bool)
    cars = sample(boxes((2, 0, 5, 10, 15)))
    assert annotated(DETECTOR, cars, boat, mask, ("", "", "car")) == Annotated(verdict="unlabelled")
    found = annotated(DETECTOR, cars, boat, mask, ("", "boat", "car"))
    assert found == Annotated(verdict="false alarm", class_name="car", overlap=1.0)
