"""The pixels of classes in what a segmenter says of one picture."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch

from lcrp.attribution.pixels import centred_pixels
from lcrp.values import devices
from lcrp.values.geometry import Box
from lcrp.values.prediction import ClassMap, ClassTally
from lcrp.values.target import ExplainedTarget, Target

Seed = Literal["positive_logit", "ones", "prob", "logit"]


def class_areas(prediction: ClassMap, part: Box | None = None) -> dict[int, int]:
    """Pixels of every class that occurs, perhaps only those within a box, by ascending class id."""
    if prediction.tally is not None and part is None:
        counts = prediction.tally.area.tolist()
    elif prediction.threshold is None:
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
    class_id, tally = target.class_id, prediction.tally
    if tally is not None and part is None:
        score, confidence, area = tally.score[class_id], tally.confidence[class_id], tally.area[class_id]
    else:
        mask = class_mask(prediction, class_id, part)
        score = prediction.logits[class_id - prediction.has_bare_background][mask].mean()
        confidence, area = prediction.probabilities()[class_id][mask].mean(), mask.sum()
    return ExplainedTarget(
        target=target, key=key, score=float(score), confidence=float(confidence), area=int(area), within=part
    )


def area_and_seed(prediction: ClassMap, class_id: int, kind: Seed) -> tuple[int, float]:
    """Pixels of a class, and the sum of its seed before it is normalised."""
    tally = prediction.tally
    if tally is not None and tally.kind == kind:
        return int(tally.area[class_id]), float(tally.seed[class_id])
    area = int(prediction.mask(class_id).sum())
    return area, float(seed_values(prediction, class_id, kind).sum()) if area else 0.0


def tallied(maps: Sequence[ClassMap], kind: Seed) -> list[ClassMap]:
    """Maps on a device with their tallies, of all classes and all images by one copy.

    Args:
        maps: one for every image.
        kind: of the seed.
    """
    tables = devices.fetched(*(_table(one, kind) for one in maps))
    tallies = [
        ClassTally(area=area.long(), score=score, confidence=confidence, seed=seed, kind=kind)
        for area, score, confidence, seed in tables
    ]
    return [replace(one, tally=tally) for one, tally in zip(maps, tallies, strict=True)]


def _table(prediction: ClassMap, kind: Seed) -> torch.Tensor:
    """Area, mean logit, mean probability and sum of the seed of every class, [4, K] in float64."""
    first, logits, probabilities = prediction.has_bare_background, prediction.logits, prediction.probabilities()
    masks = prediction.masks()  # [K, H, W]
    area = masks.sum(dim=(1, 2), dtype=torch.float64)
    confidence = probabilities.masked_fill(~masks, 0).sum(dim=(1, 2), dtype=torch.float64) / area
    score = logits.masked_fill(~masks[first:], 0).sum(dim=(1, 2), dtype=torch.float64) / area[first:]
    seed = (_values(logits, probabilities[first:], kind) * masks[first:]).sum(dim=(1, 2), dtype=torch.float64)
    nothing = score.new_full((int(first),), torch.nan)
    return torch.stack([area, torch.cat([nothing, score]), confidence, torch.cat([nothing, seed])])


def _values(logits: torch.Tensor, probabilities: torch.Tensor, kind: Seed) -> torch.Tensor:
    """Seed of every pixel of a map, whether it is in a mask or not."""
    match kind:
        case "positive_logit":
            return logits.clamp(min=0)
        case "ones":
            return torch.ones_like(logits)
        case "prob":
            return probabilities
        case "logit":
            return logits


def seed_values(prediction: ClassMap, class_id: int, kind: Seed) -> torch.Tensor:
    """Seed of one class before it is normalised, [H, W]."""
    logit = prediction.logits[class_id - prediction.has_bare_background]
    probability = prediction.probabilities()[class_id] if kind == "prob" else logit
    return _values(logit, probability, kind) * prediction.mask(class_id)
