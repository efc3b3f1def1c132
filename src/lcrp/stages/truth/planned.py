"""Objects of a scene's plan: what a model finds of them, and how sure it is of them in changed pictures.

Axes: B picture, H W picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torchvision.ops import box_iou

from lcrp.attribution.task import NetworkOutput, Prediction, Task
from lcrp.data.scenes import CONTEXT_NAMES, ScenesDataset
from lcrp.values.sample import Annotation, Sample
from lcrp.values.target import ExplainedTarget, Target

MIN_IOU = 0.5  # of a detection with the object that it is taken for


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedObject:
    """An object of a picture's plan.

    Attributes:
        sample: the picture.
        annotation: of the picture.
        number: of the object in the plan.
        mask: [H, W] bool, its visible pixels; for a segmenter those of its whole class.
    """

    sample: Sample
    annotation: Annotation
    number: int
    mask: torch.Tensor

    @property
    def box(self) -> torch.Tensor:
        """[4] xyxy in input pixels."""
        return self.annotation.boxes[self.number]


def planned_object(dataset: ScenesDataset, sample: Sample, number: int) -> PlannedObject:
    """Object `number` of the plan of a picture."""
    annotation = sample.annotation
    assert annotation is not None
    assert annotation.masks is not None
    assert annotation.class_mask is not None
    assert number < len(annotation.labels), "a planned object is always visible"
    of_class = annotation.class_mask == annotation.labels[number]
    mask = of_class if dataset.segmentation else annotation.masks[number]
    return PlannedObject(sample=sample, annotation=annotation, number=number, mask=mask)


def found(task: Task, prediction: Prediction, planned: PlannedObject, class_id: int) -> ExplainedTarget | None:
    """The decision that belongs to an object, or None if the model does not find it.

    Args:
        task: of the model.
        prediction: for the object's picture.
        planned: the object.
        class_id: of its class in the model.
    """
    left, top, right, bottom = planned.box.tolist()
    box = planned.sample.geometry.box_to_picture((left, top, right, bottom))
    decision = task.at_object(prediction, planned.sample, class_id, box)
    return decision if decision is not None and _overlap(planned, decision) >= MIN_IOU else None


def all_found(
    task: Task, prediction: Prediction, objects: Sequence[PlannedObject], class_ids: Sequence[int]
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


def _overlap(planned: PlannedObject, decision: ExplainedTarget) -> float:
    """IoU of an object's box with that of a decision; 1 for a mask."""
    if decision.box is None:
        return 1.0
    return float(box_iou(planned.box[None], torch.tensor([decision.box], dtype=planned.box.dtype)))


def readouts(task: Task, output: NetworkOutput, objects: Sequence[PlannedObject], class_id: int) -> list[float]:
    """How sure a network is of objects at their planned places, [B] in [0, 1], whether it detects them or not.

    Args:
        task: of the model.
        output: for B pictures, perhaps changed ones.
        objects: B objects of one class, as they are in the unchanged pictures.
        class_id: of their class in the model.
    """
    boxes = torch.stack([planned.box for planned in objects])  # [B, 4]
    masks = torch.stack([planned.mask for planned in objects])  # [B, H, W]
    values: list[float] = task.readout(output, torch.full((len(objects),), class_id), boxes, masks).tolist()
    return values


def visible_context(annotation: Annotation, context_name: str) -> torch.Tensor:
    """[H, W] bool, where a context is seen: neither an object nor a companion stands before it."""
    assert annotation.class_mask is not None
    assert annotation.context is not None
    hidden = annotation.class_mask > 0
    for mask in annotation.parts.values():
        hidden = hidden | mask
    return (annotation.context == CONTEXT_NAMES.index(context_name)) & ~hidden
