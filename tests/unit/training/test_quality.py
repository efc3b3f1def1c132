import pytest
import torch

from lcrp.training.quality import average_precision_50, confusion_matrix, mean_iou
from lcrp.values.prediction import Detections
from lcrp.values.sample import Annotation

NAMES = ("boat", "car", "kite")


def annotation(boxes, labels):
    return Annotation(boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), labels=torch.tensor(labels).long())


def detections(boxes, labels, confidence):
    count = len(labels)
    return Detections(
        rows=torch.arange(count),
        boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        confidence=torch.tensor(confidence, dtype=torch.float32),
        labels=torch.tensor(labels).long(),
        probabilities=torch.zeros(count, 3),
        objectness=torch.ones(count),
    )


BOX, OTHER = [10.0, 10, 30, 30], [50.0, 50, 90, 70]


def test_everything_found_is_one():
    truth = [annotation([BOX, OTHER], [0, 1]), annotation([], [])]
    found = [detections([BOX, OTHER], [0, 1], [0.9, 0.8]), detections([], [], [])]
    assert average_precision_50(found, truth, NAMES) == pytest.approx({"AP50": 1, "boat": 1, "car": 1}, abs=1e-6)


def test_a_false_alarm_above_the_hit_halves_the_precision():
    truth = [annotation([BOX], [0])]
    found = [detections([OTHER, BOX], [0, 0], [0.9, 0.8])]
    assert average_precision_50(found, truth, NAMES)["AP50"] == pytest.approx(0.5, abs=1e-6)


def test_an_iou_below_a_half_and_a_wrong_class_do_not_count():
    truth = [annotation([BOX], [0])]
    assert average_precision_50([detections([[20.0, 10, 40, 30]], [0], [0.9])], truth, NAMES)["AP50"] == 0
    assert average_precision_50([detections([BOX], [1], [0.9])], truth, NAMES)["AP50"] == 0
    assert average_precision_50([detections([], [], [])], truth, NAMES) == {"AP50": 0}


def test_nothing_is_printed(capsys):
    average_precision_50([detections([BOX], [0], [0.9])], [annotation([BOX], [0])], NAMES)
    assert capsys.readouterr().out == ""


def test_mean_iou_counts_by_hand():
    labels = torch.tensor([[0, 0, 1], [1, 1, 1]])
    truth = torch.tensor([[0, 1, 1], [1, 255, 0]])
    confusion = confusion_matrix(labels, truth, 3)
    assert confusion.tolist() == [[1, 1, 0], [1, 2, 0], [0, 0, 0]]
    assert mean_iou(confusion, NAMES) == pytest.approx({"mIoU": (1 / 3 + 2 / 4) / 2, "boat": 1 / 3, "car": 0.5})
