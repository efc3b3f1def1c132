"""Annotated objects: what a network finds of them, and how sure it is of them in changed pictures.

Axes: B picture, H W picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torchvision.ops import box_iou

from lcrp.attribution.task import NetworkOutput, Prediction, Task
from lcrp.values.sample import Annotation, Sample
from lcrp.values.target import ExplainedTarget, Target

MIN_IOU = 0.5  # of a detection with the object that it is taken for


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatedObject:
    """An object of a picture.

    Attributes:
        sample: the picture.
        annotation: of the picture.
        number: of the object in the annotation.
        mask: [H, W] bool, its visible pixels.
    """

    sample: Sample
    annotation: Annotation
    number: int
    mask: torch.Tensor

    @property
    def box(self) -> torch.Tensor:
        """[4] xyxy in input pixels."""
        return self.annotation.boxes[self.number]


def found(task: Task, prediction: Prediction, item: AnnotatedObject, class_id: int) -> ExplainedTarget | None:
    """The decision that belongs to an object, or None if the model does not find it.

    Args:
        task: of the model.
        prediction: for the object's picture.
        item: the object.
        class_id: of its class in the model.
    """
    left, top, right, bottom = item.box.tolist()
    box = item.sample.geometry.box_to_picture((left, top, right, bottom))
    decision = task.at_object(prediction, item.sample, class_id, box)
    return decision if decision is not None and _overlap(item, decision) >= MIN_IOU else None


def all_found(
    task: Task, prediction: Prediction, objects: Sequence[AnnotatedObject], class_ids: Sequence[int]
) -> list[ExplainedTarget | None]:
    """What `found` gives for several objects of one picture; a detection goes to the one that it overlaps most."""
    decisions = [found(task, prediction, *pair) for pair in zip(objects, class_ids, strict=True)]
    owner: dict[Target, int] = {}
    for place, decision in enumerate(decisions):
        if decision is not None:
            rival = owner.setdefault(decision.target, place)
            if _overlap(objects[place], decision) > _overlap(objects[rival], decision):
                owner[decision.target] = place
    return [
        decision if decision is not None and owner[decision.target] == place else None
        for place, decision in enumerate(decisions)
    ]


def _overlap(item: AnnotatedObject, decision: ExplainedTarget) -> float:
    """IoU of an object's box with that of a decision; 1 for a mask."""
    if decision.box is None:
        return 1.0
    return float(box_iou(item.box[None], torch.tensor([decision.box], dtype=item.box.dtype)))


def readouts(task: Task, output: NetworkOutput, objects: Sequence[AnnotatedObject], class_id: int) -> list[float]:
    """How sure a network is of objects at their annotated places, [B] in [0, 1], whether it detects them or not.

    Args:
        task: of the model.
        output: for B pictures, perhaps changed ones.
        objects: B objects of one class, as they are in the unchanged pictures.
        class_id: of their class in the model.
    """
    boxes = torch.stack([item.box for item in objects])  # [B, 4]
    masks = torch.stack([item.mask for item in objects])  # [B, H, W]
    values: list[float] = task.readout(output, torch.full((len(objects),), class_id), boxes, masks).tolist()
    return values
