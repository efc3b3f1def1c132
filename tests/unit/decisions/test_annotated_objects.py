"""Which decision is taken for an object of a scene."""

import pytest
import torch

from lcrp.attribution.detection import DetectionTask
from lcrp.attribution.segmentation import SegmentationTask
from lcrp.decisions.annotated_objects import AnnotatedObject, found
from lcrp.values.geometry import Geometry
from lcrp.values.prediction import ClassMap, Detections
from lcrp.values.sample import Annotation, Sample

CLASS_NAMES = ("background", "boat", "car")
BOAT, CAR = 1, 2
SIZE = 12


def planned() -> AnnotatedObject:
    """A boat of 10 by 10 pixels in the corner."""
    mask = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    mask[:10, :10] = True
    annotation = Annotation(boxes=torch.tensor([[0.0, 0.0, 10.0, 10.0]]), labels=torch.tensor([BOAT]), masks=mask[None])
    image, geometry = torch.zeros(3, SIZE, SIZE), Geometry.identity((SIZE, SIZE))
    sample = Sample(index=5, key="val/5", image=image, annotation=annotation, geometry=geometry)
    return AnnotatedObject(sample=sample, annotation=annotation, number=0, mask=mask)


def detections(*bottoms: float, label: int = BOAT) -> Detections:
    """Boxes from the corner down to each bottom, all of one class, ever less sure."""
    size = len(bottoms)
    confidence = 0.9 - 0.1 * torch.arange(size)
    return Detections(
        rows=10 + torch.arange(size),
        boxes=torch.tensor([[0.0, 0.0, 10.0, bottom] for bottom in bottoms]).reshape(-1, 4),
        confidence=confidence,
        labels=torch.full((size,), label),
        probabilities=confidence[:, None] * (torch.arange(len(CLASS_NAMES)) == label),
        objectness=torch.ones(size),
    )


@pytest.mark.parametrize(("bottom", "is_found"), [(10.0, True), (5.0, True), (4.0, False), (0.0, False)])
def test_a_detection_that_covers_less_than_half_is_of_something_else(bottom: float, is_found: bool) -> None:
    """A tenth of the bottom is its IoU with the boat."""
    assert (found(DetectionTask(CLASS_NAMES), detections(bottom), planned(), BOAT) is not None) == is_found


def test_the_detection_that_overlaps_most_is_the_objects() -> None:
    explained = found(DetectionTask(CLASS_NAMES), detections(6.0, 9.0, 7.0), planned(), BOAT)
    assert explained is not None
    assert (explained.row, explained.target.sample, explained.target.class_id, explained.target.item) == (11, 5, 1, 1)
    assert explained.confidence == pytest.approx(0.8)


def test_a_detection_of_another_class_does_not_find_the_object() -> None:
    assert found(DetectionTask(CLASS_NAMES), detections(10.0, label=CAR), planned(), BOAT) is None


def test_nothing_detected_is_nothing_found() -> None:
    assert found(DetectionTask(CLASS_NAMES), detections(), planned(), BOAT) is None


@pytest.mark.parametrize(("label", "is_found"), [(BOAT, True), (CAR, False)])
def test_a_segmenter_finds_the_mask_of_the_class(label: int, is_found: bool) -> None:
    labels = torch.zeros(SIZE, SIZE, dtype=torch.int64)
    labels[3, 4:6] = label
    logits = torch.stack([(labels == class_id).float() for class_id in range(len(CLASS_NAMES))])
    explained = found(SegmentationTask(CLASS_NAMES), ClassMap(labels=labels, logits=logits), planned(), BOAT)
    assert (explained is not None) == is_found
    assert explained is None or explained.area == 2
