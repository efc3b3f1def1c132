"""How good a network is: AP50 of detectors, mean IoU of segmenters.

Axes: D detection, N object, K class, H W picture.
"""

import contextlib
import io
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from lcrp.values.prediction import ClassMap, Detections
from lcrp.values.sample import VOID, Annotation


class Quality(Protocol):
    """How good predictions are, gathered picture by picture."""

    def add(self, predictions: Sequence[Any], annotations: Sequence[Annotation]) -> None:
        """Count what is predicted in some pictures, and what is there."""
        ...

    def values(self) -> dict[str, float]:
        """The quality in all and by class, in [0, 1], by name."""
        ...


class BoxQuality:
    """AP50 of detectors."""

    def __init__(self, class_names: Sequence[str]) -> None:
        self._class_names = class_names
        self._detections: list[Detections] = []
        self._annotations: list[Annotation] = []

    def add(self, predictions: Sequence[Detections], annotations: Sequence[Annotation]) -> None:
        """Keep the boxes of some pictures."""
        self._detections += predictions
        self._annotations += annotations

    def values(self) -> dict[str, float]:
        """As `average_precision_50`."""
        return average_precision_50(self._detections, self._annotations, self._class_names)


class MaskQuality:
    """Mean IoU of segmenters."""

    def __init__(self, class_names: Sequence[str]) -> None:
        self._class_names = class_names
        self._confusion = torch.zeros(len(class_names), len(class_names), dtype=torch.int64)

    def add(self, predictions: Sequence[ClassMap], annotations: Sequence[Annotation]) -> None:
        """Count the pixels of some pictures."""
        for prediction, annotation in zip(predictions, annotations, strict=True):
            assert annotation.class_mask is not None
            self._confusion += confusion_matrix(prediction.labels, annotation.class_mask, len(self._class_names))

    def values(self) -> dict[str, float]:
        """As `mean_iou`."""
        return mean_iou(self._confusion, self._class_names)


def average_precision_50(
    detections: Sequence[Detections], annotations: Sequence[Annotation], class_names: Sequence[str]
) -> dict[str, float]:
    """Average precision at an IoU of 0.5, by pycocotools with at most 100 boxes per image.

    Args:
        detections: of every image, chosen with a confidence threshold near zero.
        annotations: of every image.
        class_names: the classes.

    Returns:
        The precision of every annotated class by name, in [0, 1], and their mean as 'AP50'.
    """
    found = [
        {"image_id": image, "category_id": int(label), "bbox": _xywh(box), "score": float(score)}
        for image, kept in enumerate(detections)
        for box, label, score in zip(kept.boxes, kept.labels, kept.confidence, strict=True)
    ]
    if not found:
        return {"AP50": 0.0}
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints
        truth = _ground_truth(annotations, class_names)
        evaluation = COCOeval(truth, truth.loadRes(found), "bbox")
        evaluation.params.iouThrs = np.array([0.5])
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][0, :, :, 0, -1]  # [recall, K]; -1 where a class is not annotated
    by_class = {
        name: float(column.mean()) for name, column in zip(class_names, precision.T, strict=True) if column[0] > -1
    }
    return {"AP50": float(np.mean(list(by_class.values()))), **by_class}


def confusion_matrix(labels: torch.Tensor, truth: torch.Tensor, num_classes: int) -> torch.Tensor:
    """Pixels by true (row) and predicted (column) class: [K, K] int64.

    Args:
        labels: [H, W] int64 predicted.
        truth: [H, W] int64; 255 does not count.
        num_classes: K.
    """
    known = truth != VOID
    return torch.bincount(truth[known].long() * num_classes + labels[known], minlength=num_classes**2).view(
        num_classes, num_classes
    )


def mean_iou(confusion: torch.Tensor, class_names: Sequence[str]) -> dict[str, float]:
    """Intersection over union of every class that is there, by name, and their mean as 'mIoU'.

    Args:
        confusion: [K, K] pixels by true and predicted class, summed over all images.
        class_names: the classes.
    """
    common = confusion.diagonal().double()
    union = (confusion.sum(0) + confusion.sum(1)).double() - common
    by_class = {
        name: float(part / whole) for name, part, whole in zip(class_names, common, union, strict=True) if whole > 0
    }
    return {"mIoU": sum(by_class.values()) / len(by_class), **by_class}


def _ground_truth(annotations: Sequence[Annotation], class_names: Sequence[str]) -> COCO:
    boxes = [
        (image, _xywh(box), int(label))
        for image, annotation in enumerate(annotations)
        for box, label in zip(annotation.boxes, annotation.labels, strict=True)
    ]
    truth = COCO()
    truth.dataset = {
        "images": [{"id": image} for image in range(len(annotations))],
        "categories": [{"id": index, "name": name} for index, name in enumerate(class_names)],
        "annotations": [
            {"id": number, "image_id": image, "category_id": label, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
            for number, (image, box, label) in enumerate(boxes, start=1)
        ],
    }
    truth.createIndex()
    return truth


def _xywh(box: torch.Tensor) -> list[float]:
    left, top, right, bottom = box.tolist()
    return [left, top, right - left, bottom - top]
