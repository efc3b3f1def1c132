"""Errors of detectors by kind, and what they cost, beside the package of the paper's authors."""

import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from lcrp.evidence.matching import matching, overlaps
from lcrp.evidence.tide import Judged, tide
from lcrp.values.missed import Alarm

RECORDED = Path(__file__).parent / "tide_recorded.json"  # what tidecv 1.0.1 said of `sets()`, by `record()`
NUM_CLASSES, SIDE = 3, 100.0
SETS = ("mixed", "sure", "rare class")


def sets():
    """Sets of pictures (boxes, classes and scores of detections; boxes and classes of objects), of many errors."""
    found = {}
    for number, name in enumerate(SETS):
        generator = np.random.default_rng(number)
        found[name] = [picture(generator, name) for _ in range(40)]
    return found


def picture(generator, name):
    num_objects = int(generator.integers(0, 5))
    corners = generator.random((num_objects, 2)) * 70
    objects = np.concatenate([corners, corners + 10 + generator.random((num_objects, 2)) * 30], axis=1)
    labels = generator.integers(0, NUM_CLASSES - (name == "rare class"), num_objects)  # the last is only predicted
    boxes, class_ids = [], []
    for box, label in zip(objects, labels, strict=True):
        for _ in range(int(generator.integers(0, 4))):
            shift = generator.normal(0, 1.0 if name == "sure" else 7.0, 4)
            boxes.append(box + shift)
            class_ids.append(label if generator.random() < 0.7 else generator.integers(0, NUM_CLASSES))
    for _ in range(int(generator.integers(0, 3))):
        corner = generator.random(2) * 70
        boxes.append(np.concatenate([corner, corner + 5 + generator.random(2) * 20]))
        class_ids.append(generator.integers(0, NUM_CLASSES))
    boxes = np.array(boxes).reshape(-1, 4)
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    scores = generator.random(len(boxes))
    order = np.argsort(-scores)
    return boxes[order], np.array(class_ids, np.int64)[order], scores[order], objects, labels


def judged(pictures):
    return [
        Judged(scores=scores, class_ids=ids, labels=labels, matching=matching(boxes, ids, objects, labels))
        for boxes, ids, scores, objects, labels in pictures
    ]


def of_the_package(pictures):
    """The same by tidecv, of whose needs only pycocotools is used here."""
    for name in ("cv2", "seaborn", "appdirs"):  # it imports them to draw and to fetch
        try:
            __import__(name)
        except ImportError:
            module = sys.modules[name] = ModuleType(name)
            module.FONT_HERSHEY_SIMPLEX, module.LINE_AA, module.user_data_dir = 0, 0, None
    library = pytest.importorskip("tidecv", reason="pip install --no-deps tidecv")
    from tidecv.quantify import TIDERun

    truth, found = (library.Data(name, max_dets=100) for name in ("truth", "found"))
    for number, (boxes, ids, scores, objects, labels) in enumerate(pictures):
        truth.add_image(number, str(number))
        for box, label in zip(objects, labels, strict=True):
            truth.add_ground_truth(number, int(label), _xywh(box))
        for box, label, score in zip(boxes, ids, scores, strict=True):
            found.add_detection(number, int(label), float(score), _xywh(box))
    run = TIDERun(truth, found, 0.5, 0.1, library.TIDE.BOX, 100)
    told = {error.short_name: value for error, value in run.fix_main_errors().items()}
    told |= {error.short_name: value for error, value in run.fix_special_errors().items()}
    return {"AP50": run.ap, **told}


def _xywh(box):
    left, top, right, bottom = box.tolist()
    return [left, top, right - left, bottom - top]


def record():
    RECORDED.write_text(json.dumps({name: of_the_package(pictures) for name, pictures in sets().items()}, indent=1))


@pytest.mark.parametrize("name", SETS)
def test_totals_are_those_of_the_authors_package(name):
    recorded = json.loads(RECORDED.read_text())[name]
    found = tide(judged(sets()[name]))
    assert found == pytest.approx(recorded, abs=1e-9)
    if name == "mixed":
        assert min(found.values()) > 0.01  # or some kind is not there to be compared


@pytest.mark.parametrize("name", ["mixed", "sure"])
def test_recorded_totals_are_still_what_the_package_says(name):
    assert of_the_package(sets()[name]) == pytest.approx(json.loads(RECORDED.read_text())[name], abs=1e-9)


def test_nothing_to_judge():
    assert tide([]) == {}
    assert tide(judged([(np.zeros((0, 4)), np.zeros(0, int), np.zeros(0), np.zeros((0, 4)), np.zeros(0, int))])) == {}


def test_without_objects_or_detections():
    """The package divides by zero there."""
    boxes, ids, scores, objects, labels = sets()["mixed"][1]
    assert len(boxes)
    assert len(objects)
    nothing, none = np.zeros((0, 4)), np.zeros(0, np.int64)
    only_alarms = tide(judged([(boxes, ids, scores, nothing, none)]))
    assert set(only_alarms.values()) == {0.0}
    only_missed = tide(judged([(nothing, none, np.zeros(0), objects, labels)]))
    assert set(only_missed.values()) == {0.0}


def test_kinds_of_false_alarms():
    objects, labels = np.array([[0, 0, 10, 10], [50, 50, 60, 60.0]]), np.array([0, 1])
    boxes = [[0, 0, 10, 10], [0, 0, 10, 9], [0, 5, 10, 15], [50, 50, 60, 60], [50, 55, 60, 65], [80, 0, 90, 9]]
    found = matching(np.array(boxes, float), np.array([0, 0, 0, 0, 0, 1]), objects, labels)
    assert found.kinds == (*(None, Alarm.DUPLICATE, Alarm.BOX_OFF, Alarm.OTHER_CLASS, Alarm.BOTH, Alarm.BACKGROUND),)
    assert found.objects.tolist() == [0, -1, -1, -1, -1, -1]
    assert found.detections.tolist() == [0, -1]
    assert found.meant.tolist() == [-1, 0, 0, 1, 1, -1]


def test_a_taken_object_leaves_the_next_one():
    """Two objects on nearly one place: the second detection takes the second object."""
    objects = np.array([[0, 0, 10, 10], [0, 1, 10, 11.0]])
    found = matching(np.array([[0, 0, 10, 10], [0, 0, 10, 10.0]]), np.array([0, 0]), objects, np.array([0, 0]))
    assert found.objects.tolist() == [0, 1]


def test_boxes_without_area_overlap_nothing():
    point = np.array([[5, 5, 5, 5.0]])
    assert overlaps(point, point).tolist() == [[0.0]]
