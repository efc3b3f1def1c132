"""What stands beside a decision: the model's other decisions, the classes that came next, the annotation.

Axes: K class, N annotated object, H W picture.
"""

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np
import torch
from torchvision.ops import box_iou

from lcrp.attribution.task import Prediction, Task
from lcrp.values.explanation import Annotated, OtherDecision
from lcrp.values.geometry import Geometry, Mask
from lcrp.values.sample import VOID, Annotation, Sample
from lcrp.values.target import ExplainedTarget

MAX_OTHERS = 8
MAX_RUNNERS_UP = 3
LEAST_CONFIDENCE = 0.01  # in a class that is named as coming next
HIT_IOU = 0.5  # of a decision with the annotated object that it is


def by_confidence(task: Task, prediction: Prediction, sample: Sample, class_id: int) -> list[ExplainedTarget]:
    """All decisions for a class, most confident first; ties in the order of their items.

    The place in this list is the decision's rank. Its item is the place by class probability alone.
    """
    return sorted(task.of_class(prediction, sample, class_id), key=lambda one: -one.confidence)


def without_background(task: Task, decisions: Sequence[ExplainedTarget]) -> list[ExplainedTarget]:
    """Decisions for classes that name something."""
    return [one for one in decisions if not task.is_background(one.target.class_id)]


def other_decisions(
    task: Task, prediction: Prediction, sample: Sample, explained: ExplainedTarget
) -> tuple[OtherDecision, ...]:
    """The model's other decisions about a picture, most confident first, `MAX_OTHERS` at most."""
    found, _ = task.predicted_targets(prediction, sample)
    others = [one for one in without_background(task, found) if not _is_same(one, explained)]
    others.sort(key=lambda one: -one.confidence)
    top, left, bottom, right = sample.geometry.content()
    size = (sample.image.shape[1], sample.image.shape[2])
    return tuple(
        OtherDecision(
            class_name=task.class_names[one.target.class_id],
            confidence=one.confidence,
            box=one.box,
            share=float(task.object_mask(prediction, one, size)[top:bottom, left:right].float().mean()),
        )
        for one in others[:MAX_OTHERS]
    )


def runners_up(task: Task, prediction: Prediction, explained: ExplainedTarget) -> tuple[tuple[str, float], ...]:
    """The other classes for a decision, with their confidence, best first; those of less than 1 % are left out.

    Args:
        task: reads the prediction.
        prediction: in which the decision was found.
        explained: the decision.
    """
    confidences = task.class_confidences(prediction, explained).cpu()  # [K]
    order = confidences.argsort(descending=True, stable=True).tolist()
    next_ones = [class_id for class_id in order if class_id != explained.target.class_id][:MAX_RUNNERS_UP]
    named = ((task.class_names[class_id], float(confidences[class_id])) for class_id in next_ones)
    return tuple((name, confidence) for name, confidence in named if confidence >= LEAST_CONFIDENCE)


def annotated(
    task: Task, sample: Sample, explained: ExplainedTarget, mask: Mask, data_names: Sequence[str] | None
) -> Annotated | None:
    """What the annotation says of a decision.

    A hit overlaps an annotated object of its class by an IoU of at least `HIT_IOU`: box by box, or the decision's mask
    by all annotated pixels of the class. Void pixels and bars do not count. A decision is unlabelled if its picture has
    no annotation of the kind, or if the data annotates no such class.

    Args:
        task: knows the model's classes.
        sample: the picture.
        explained: the decision.
        mask: [H, W] its object.
        data_names: the model's classes, empty where the data annotates none such; or other ones, if data and model have
            none in common; None for a person's own pictures, of which nothing is known.
    """
    if data_names is None:
        return None
    annotation = sample.annotation
    are_joined = all(name in ("", own) for name, own in zip_longest(data_names, task.class_names))
    if annotation is None or not are_joined or not data_names[explained.target.class_id]:
        return Annotated(verdict="unlabelled")
    if explained.box is not None:
        overlaps = _box_overlaps(annotation, explained, sample.geometry)
    else:
        overlaps = _mask_overlaps(annotation, mask, sample.geometry)
    if overlaps is None:
        return Annotated(verdict="unlabelled")
    of_class = [one for one in overlaps if one[0] == explained.target.class_id and one[1] >= HIT_IOU]
    class_id, overlap = max(of_class or overlaps, key=lambda one: one[1], default=(0, 0.0))
    name = data_names[class_id] if overlap > 0 else ""
    return Annotated(verdict="hit" if of_class else "false alarm", class_name=name, overlap=overlap)


def _is_same(one: ExplainedTarget, explained: ExplainedTarget) -> bool:
    """Whether two decisions are about the same box, or the same class's mask."""
    if explained.box is not None:
        return one.row == explained.row
    return one.target.class_id == explained.target.class_id


def _box_overlaps(
    annotation: Annotation, explained: ExplainedTarget, geometry: Geometry
) -> list[tuple[int, float]] | None:
    """Class and IoU of every annotated box; None if the data has masks of classes alone."""
    if annotation.has_classes_alone:
        return None
    boxes, decided = (
        torch.from_numpy(geometry.boxes_to_picture(one))
        for one in (annotation.boxes.double().numpy(), np.array([explained.box]))
    )
    overlap = box_iou(boxes, decided)[:, 0]  # [N]
    return list(zip(annotation.labels.tolist(), overlap.tolist(), strict=True))


def _mask_overlaps(annotation: Annotation, mask: Mask, geometry: Geometry) -> list[tuple[int, float]] | None:
    """Class and IoU of all annotated pixels of every class; None if the data has no masks of classes."""
    if annotation.class_mask is None:
        return None
    top, left, bottom, right = geometry.content()
    labels = annotation.class_mask.numpy()[top:bottom, left:right]
    decided = mask[top:bottom, left:right] & (labels != VOID)
    overlaps = []
    for class_id in np.unique(labels[labels != VOID]).tolist():
        of_class = labels == class_id
        overlaps.append((class_id, float((of_class & decided).sum() / (of_class | decided).sum())))
    return overlaps
