"""Thresholds of what is shown, beside those of the statistics."""

import pytest

from lcrp.attribution.detection import DetectionTask
from lcrp.attribution.segmentation import SegmentationTask
from lcrp.decisions.thresholds import Thresholds
from lcrp.errors import ConfigError

TASK = DetectionTask(("boat", "car"), score="objectness", confidence=0.25, iou=0.4, max_detections=7)


def test_those_that_are_not_given_stay() -> None:
    assert Thresholds().of(TASK) is TASK
    found = Thresholds(confidence=0.05, max_detections=3).of(TASK)
    assert found.identity() == TASK.identity() | {"confidence": 0.05, "max_detections": 3}
    assert found.class_names == TASK.class_names
    assert TASK.confidence == 0.25


def test_what_makes_no_sense_is_told_by_name() -> None:
    with pytest.raises(ConfigError, match=r"^confidence=2 is out of range"):
        Thresholds(confidence=2).of(TASK)
    with pytest.raises(ConfigError, match=r"^iou=0.5 says nothing to segmentation"):
        Thresholds(iou=0.5).of(SegmentationTask(("sky", "boat")))
