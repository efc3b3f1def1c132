"""Annotated objects of a dataset, and which of them a network finds: what grounds and decisions are drawn from.

Axes: N object, P picture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from lcrp.attribution.boxes import BoxDecisions
from lcrp.attribution.engine import Attributor
from lcrp.attribution.pixels import touched_pixels
from lcrp.attribution.task import Prediction, Task
from lcrp.data.labelled.parts import objects_of
from lcrp.decisions.annotated_objects import AnnotatedObject, all_found
from lcrp.evidence.matching import matching
from lcrp.values.geometry import Box
from lcrp.values.prediction import ClassMap, Detections
from lcrp.values.sample import Annotation, Batch, Sample
from lcrp.values.target import ExplainedTarget

Array = npt.NDArray[Any]

LEAST_PIXELS = 16  # of an object: of less nothing is told
HALF = 0.5  # of an object's pixels
OUTSIDE = (
    0.5  # of a part's pixels outside the objects of its class, from which on it is a companion, as a kite's string
)
BOXED = 0.98  # of its box's pixels, from which on an object has no outline
SIDES = ("left", "top", "right", "bottom")


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    """All annotated objects, picture by picture.

    Attributes:
        sample: [N] index of the picture.
        number: [N] of the object in its picture.
        class_id: [N].
        box: [N, 4] xyxy as shares of the picture's visible part.
        is_found: [N] bool, whether the network decides for it.
        is_boxed: [N] bool, whether its box is all that is known of its outline.
        pictures: [P] indices of the pictures.
        covered: [P] share of each that objects cover.
        false_alarms: [P] detections without an object, of classes that the data annotates; 0 of segmenters.
        companions: names of the companions in pictures, as often as they are there.
    """

    sample: Array
    number: Array
    class_id: Array
    box: Array
    is_found: Array
    is_boxed: Array
    pictures: Array
    covered: Array
    false_alarms: Array
    companions: Array

    @property
    def companion_names(self) -> tuple[str, ...]:
        """Names of all companions there are."""
        return tuple(str(name) for name in np.unique(self.companions))

    @classmethod
    def joined(cls, parts: Sequence[Mapping[str, Array]]) -> "Objects":
        """Those of all units."""
        return cls(**{name: np.concatenate([part[name] for part in parts]) for name in cls.__slots__})


def annotated(sample: Sample, task: Task) -> Annotation | None:
    """Boxes, labels and masks of a picture's objects; of a class mask its connected parts; None without annotation."""
    annotation = sample.annotation
    if annotation is None:
        return None
    if annotation.masks is None and annotation.class_mask is not None:
        background = next((one for one in range(len(task.class_names)) if task.is_background(one)), None)
        annotation = objects_of(annotation.class_mask.numpy(), background)
    if annotation.masks is None:
        size = (sample.image.shape[1], sample.image.shape[2])
        boxes = [touched_pixels(_box(one), size) for one in annotation.boxes]
        annotation = replace(annotation, masks=torch.stack(boxes) if boxes else torch.zeros(0, *size, dtype=torch.bool))
    return annotation


def objects_in(attributor: Attributor, batch: Batch | None, known: Sequence[bool]) -> dict[str, Array]:
    """The objects of a batch's pictures, as arrays by the names of `Objects`; pictures without annotation tell none.

    Args:
        attributor: within its context.
        batch: of pictures, or None.
        known: [K] whether the data annotates each of the network's classes.
    """
    parts = [_columns([], [], np.zeros((0, 4)), [], [], [])]
    if batch is not None:
        predictions = attributor.task.predictions(attributor.output(batch.images))
        for sample, row in zip(batch.samples, batch.rows, strict=True):
            annotation = annotated(sample, attributor.task)
            if annotation is not None:
                columns = _of_picture(attributor.task, predictions[row], sample, annotation)
                number = _false_alarms(predictions[row], annotation, known)
                names = companions_in(annotation, attributor.task.class_names)
                own = {"false_alarms": np.array([number], dtype=np.int64), "companions": np.array(names, dtype=np.str_)}
                parts.append({**columns, **own})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def companions_in(annotation: Annotation, class_names: Sequence[str]) -> list[str]:
    """Annotated parts of classes that lie outside the objects of their class, such as a kite's string.

    Args:
        annotation: with masks.
        class_names: of its labels.
    """
    assert annotation.masks is not None
    found = []
    for name, mask in annotation.parts.items():
        class_name = name.partition(".")[0]
        if class_name in class_names and mask.any():
            own = annotation.masks[annotation.labels == class_names.index(class_name)]
            outside = mask & ~own.any(dim=0) if len(own) else mask
            if float(outside.sum()) >= OUTSIDE * float(mask.sum()):
                found.append(name)
    return found


def _of_picture(task: Task, prediction: Prediction, sample: Sample, annotation: Annotation) -> dict[str, Array]:
    assert annotation.masks is not None
    masks = annotation.masks
    kept = [number for number in range(len(masks)) if int(masks[number].sum()) >= LEAST_PIXELS]
    items = [AnnotatedObject(sample=sample, annotation=annotation, number=one, mask=masks[one]) for one in kept]
    class_ids = [int(annotation.labels[one]) for one in kept]
    found = decisions(task, prediction, items, class_ids)
    top, left, bottom, right = sample.geometry.content()
    content = np.array([right - left, bottom - top] * 2, dtype=np.float64)
    boxes = (annotation.boxes[kept].double().numpy() - np.array([left, top] * 2)) / content
    sizes = [float((box[2] - box[0]) * (box[3] - box[1])) for box in annotation.boxes[kept]]
    is_boxed = [float(masks[one].sum()) >= BOXED * size for one, size in zip(kept, sizes, strict=True)]
    columns = _columns(kept, class_ids, boxes, [one is not None for one in found], is_boxed, [sample.index])
    columns["covered"] = np.array([float(masks.any(dim=0).sum()) / (content[0] * content[1])])
    return columns


def decisions(
    task: Task, prediction: Prediction, items: Sequence[AnnotatedObject], class_ids: Sequence[int]
) -> list[ExplainedTarget | None]:
    """What the network decides for objects of one picture: a detection each, or of segmenters its class's mask."""
    if isinstance(task, BoxDecisions):
        return all_found(task, prediction, items, class_ids)
    assert isinstance(prediction, ClassMap)
    pairs = zip(items, class_ids, strict=True)
    return [
        task.at_object(prediction, item.sample, class_id, _box(item.box))
        if is_of_class(prediction, class_id, item.mask)
        else None
        for item, class_id in pairs
    ]


def is_of_class(prediction: ClassMap, class_id: int, mask: torch.Tensor) -> bool:
    """Whether a segmenter finds an object [H, W]: at least half of its pixels are of its class."""
    found = prediction.mask(class_id)
    return bool(found[mask.to(found.device)].double().mean() >= HALF)


def _false_alarms(prediction: Prediction, annotation: Annotation, known: Sequence[bool]) -> int:
    """Detections without an object; those of classes that the data does not annotate cannot be judged."""
    if not isinstance(prediction, Detections):
        return 0
    boxes, labels = prediction.boxes.double().numpy(), prediction.labels.numpy()
    matched = matching(boxes, labels, annotation.boxes.double().numpy(), annotation.labels.numpy())
    return int(((matched.objects < 0) & np.asarray(known, dtype=bool)[labels]).sum())


def _columns(
    numbers: Sequence[int],
    class_ids: Sequence[int],
    boxes: Array,
    is_found: Sequence[bool],
    is_boxed: Sequence[bool],
    pictures: Sequence[int],
) -> dict[str, Array]:
    """Columns of one picture's objects, or of none."""
    return {
        "sample": np.array([pictures[0]] * len(numbers) if pictures else [], dtype=np.int64),
        "number": np.array(numbers, dtype=np.int64),
        "class_id": np.array(class_ids, dtype=np.int64),
        "box": boxes.reshape(-1, 4),
        "is_found": np.array(is_found, dtype=np.bool_),
        "is_boxed": np.array(is_boxed, dtype=np.bool_),
        "pictures": np.array(pictures, dtype=np.int64),
        "covered": np.zeros(0),
        "false_alarms": np.zeros(0, dtype=np.int64),
        "companions": np.zeros(0, dtype=np.str_),
    }


def _box(values: torch.Tensor) -> Box:
    left, top, right, bottom = values.tolist()
    return left, top, right, bottom
