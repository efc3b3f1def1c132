"""Objects of a scene's plan, and what is seen of their contexts.

Axes: H W picture.
"""

import torch

from lcrp.data.scenes import CONTEXT_NAMES, ScenesDataset
from lcrp.decisions.annotated_objects import AnnotatedObject
from lcrp.values.sample import Annotation, Sample


def planned_object(dataset: ScenesDataset, sample: Sample, number: int) -> AnnotatedObject:
    """Object `number` of the plan of a picture."""
    annotation = sample.annotation
    assert annotation is not None
    assert annotation.masks is not None
    assert annotation.class_mask is not None
    assert number < len(annotation.labels), "a planned object is always visible"
    of_class = annotation.class_mask == annotation.labels[number]
    mask = of_class if dataset.segmentation else annotation.masks[number]
    return AnnotatedObject(sample=sample, annotation=annotation, number=number, mask=mask)


def visible_context(annotation: Annotation, context_name: str) -> torch.Tensor:
    """[H, W] bool, where a context is seen: neither an object nor a companion stands before it."""
    assert annotation.class_mask is not None
    assert annotation.context is not None
    hidden = annotation.class_mask > 0
    for mask in annotation.parts.values():
        hidden = hidden | mask
    return (annotation.context == CONTEXT_NAMES.index(context_name)) & ~hidden
