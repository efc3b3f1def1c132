"""The pixels of classes in what a segmenter says of one picture."""

from typing import Literal

import torch

from lcrp.attribution.pixels import centred_pixels
from lcrp.values.geometry import Box
from lcrp.values.prediction import ClassMap
from lcrp.values.target import ExplainedTarget, Target

Seed = Literal["positive_logit", "ones", "prob", "logit"]


def class_areas(prediction: ClassMap, part: Box | None = None) -> dict[int, int]:
    """Pixels of every class that occurs, perhaps only those within a box, by ascending class id."""
    if prediction.threshold is None:
        labels = prediction.labels if part is None else prediction.labels[centred_pixels(part, prediction.labels)]
        counts = labels.flatten().bincount().tolist()
    else:
        class_ids = range(len(prediction.logits) + prediction.has_bare_background)
        counts = [int(class_mask(prediction, class_id, part).sum()) for class_id in class_ids]
    return {class_id: count for class_id, count in enumerate(counts) if count}


def class_mask(prediction: ClassMap, class_id: int, part: Box | None = None) -> torch.Tensor:
    """[H, W] bool, the pixels of a class, perhaps only those within a box."""
    mask = prediction.mask(class_id)
    return mask if part is None else mask & centred_pixels(part, mask)


def explained_mask(prediction: ClassMap, target: Target, key: str, part: Box | None = None) -> ExplainedTarget:
    """A target with what the segmenter says of its mask, or of the part of it within a box."""
    mask = class_mask(prediction, target.class_id, part)
    return ExplainedTarget(
        target=target,
        key=key,
        score=float(prediction.logits[target.class_id - prediction.has_bare_background][mask].mean()),
        confidence=float(prediction.probabilities()[target.class_id][mask].mean()),
        area=int(mask.sum()),
        within=part,
    )


def seed_values(prediction: ClassMap, class_id: int, kind: Seed) -> torch.Tensor:
    """Seed of one class before it is normalised, [H, W]."""
    logit = prediction.logits[class_id - prediction.has_bare_background]
    match kind:
        case "positive_logit":
            values = logit.clamp(min=0)
        case "ones":
            values = torch.ones_like(logit)
        case "prob":
            values = prediction.probabilities()[class_id]
        case "logit":
            values = logit
    return values * prediction.mask(class_id)
