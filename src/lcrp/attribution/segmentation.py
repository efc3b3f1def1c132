"""Segmentation: which classes are there, and how the mask of each is seeded.

Axes: B batch, K class, H W picture.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import torch

from lcrp.attribution.pixels import centred_pixels, content_mask
from lcrp.attribution.readout import mask_readout
from lcrp.attribution.task import Box, Targets, annotation_of, check_class
from lcrp.attribution.wording import corners, listed_classes
from lcrp.errors import ConfigError, TargetError, at_least, one_of, refuse
from lcrp.values.prediction import ClassMap, at_least_float32
from lcrp.values.region import Region
from lcrp.values.sample import VOID, Annotation, Sample
from lcrp.values.target import ExplainedTarget, SkippedTarget, Target

Seed = Literal["positive_logit", "ones", "prob", "logit"]

BACKGROUND = "background"
NORM_STABILIZER = 1e-12
LEAST_COVERED = 0.1  # of a box, by the class that it is taken for


class SegmentationTask:
    """Explains a class's mask: the pixels where its logit is the largest.

    The seed of class t at pixel i is v_i / (sum_j v_j + 1e-12) over the pixels j of its mask, with v = max(logit, 0)
    ('positive_logit', the z+ seed of Dreyer et al. 2023, section 3.2), 1 ('ones'), the softmax probability ('prob') or
    the signed logit ('logit'). A class is there if its mask has at least `min_area` pixels and sum_j v_j > 0. The
    forerunner divides by the sum over the whole batch; here each target stands alone.
    """

    def __init__(
        self,
        class_names: Sequence[str],
        *,
        seed: Seed = "positive_logit",
        min_area: int = 1,
    ) -> None:
        self.class_names = tuple(class_names)
        self.seed_values = seed
        self.min_area = min_area
        refuse([*one_of("seed", seed, get_args(Seed)), *at_least("min_area", min_area, 1)])

    def identity(self) -> dict[str, object]:
        """What decisions and seeds depend on, as plain values."""
        return {"name": "segmentation", "seed": self.seed_values, "min_area": self.min_area}

    def predictions(self, output: torch.Tensor) -> list[ClassMap]:
        """The class of every pixel of every image, on the output's device, in at least float32.

        Raises:
            ConfigError: the class names do not fit the output.
        """
        if output.shape[1] != len(self.class_names):
            raise ConfigError(
                f"the segmenter has {output.shape[1]} classes, but {len(self.class_names)} class names are given"
            )
        logits = at_least_float32(output.detach())
        labels = logits.argmax(dim=1)  # [B, H, W]
        return [ClassMap(labels=of_image, logits=values) for of_image, values in zip(labels, logits, strict=True)]

    def present_classes(self, annotation: Annotation) -> list[int]:
        """Class ids of the annotated pixels, ascending, without void (255).

        Raises:
            TargetError: the annotation has no class mask.
        """
        if annotation.class_mask is None:
            raise TargetError("the annotation has no class mask; explain the predicted targets instead")
        return [class_id for class_id in _areas(annotation.class_mask) if class_id != VOID]

    def annotated_targets(self, prediction: ClassMap, sample: Sample) -> Targets:
        """The mask of every annotated class; the classes that are not predicted are skipped.

        Raises:
            TargetError: the sample has no annotation.
        """
        return self._targets(prediction, sample, self.present_classes(annotation_of(sample)))

    def predicted_targets(self, prediction: ClassMap, sample: Sample) -> Targets:
        """The mask of every class that some pixel is given."""
        return self._targets(prediction, sample, list(_areas(prediction.labels)))

    def _targets(self, prediction: ClassMap, sample: Sample, class_ids: list[int]) -> Targets:
        explained, skipped = [], []
        for class_id in class_ids:
            target = Target(sample=sample.index, class_id=class_id)
            reason = self._missing(prediction, class_id)
            if reason:
                skipped.append(SkippedTarget(target=target, key=sample.key, reason=reason))
            else:
                explained.append(_explained(prediction, target, sample.key))
        return explained, skipped

    def is_background(self, class_id: int) -> bool:
        """Whether the class is called 'background'."""
        return self.class_names[class_id] == BACKGROUND

    def found(self, prediction: ClassMap, sample: Sample, class_id: int, item: int = 0) -> ExplainedTarget | None:
        """The mask of class `class_id`, or None if it is no target; `item` is 0."""
        return self._found(prediction, Target(sample=sample.index, class_id=class_id, item=item), sample.key)

    def find(self, prediction: ClassMap, sample: Sample, class_id: int, item: int = 0) -> ExplainedTarget:
        """The mask of class `class_id`; `item` must be 0.

        Raises:
            TargetError: no such class, or it is not predicted; the message says what is there instead.
        """
        check_class(class_id, self.class_names)
        name = self.class_names[class_id]
        if item != 0:
            raise TargetError(f"no item {item} of '{name}' in {sample.key}: a class has one mask, item 0")
        found = self.found(prediction, sample, class_id)
        if found is None:
            reason, there = self._missing(prediction, class_id), listed_classes(prediction.labels, self.class_names)
            raise TargetError(f"no '{name}' in {sample.key} ({reason}): predicted are {there}")
        return found

    def of_class(self, prediction: ClassMap, sample: Sample, class_id: int) -> list[ExplainedTarget]:
        """The mask of a class, if it is a target."""
        found = self.found(prediction, sample, class_id)
        return [] if found is None else [found]

    def again(self, prediction: ClassMap, explained: ExplainedTarget) -> ExplainedTarget | None:
        """The mask of the class, wherever it is now, if it is a target there."""
        return self._found(prediction, explained.target, explained.key)

    def at_object(
        self,
        prediction: ClassMap,
        sample: Sample,
        class_id: int,
        box: Box,  # noqa: ARG002
    ) -> ExplainedTarget | None:
        """The mask of the object's class, if it is a target."""
        return self.found(prediction, sample, class_id)

    def match_box(self, prediction: ClassMap, sample: Sample, box: Box, min_iou: float = 0.0) -> ExplainedTarget:  # noqa: ARG002
        """The class that covers most of `box`, a tenth at least; background only where there is nothing else.

        Score, confidence and area are those of the mask's part within the box. `min_iou` is for boxes of detections.

        Raises:
            TargetError: the box holds no pixel, little of every class, or its class is no target.
        """
        within = sample.geometry.box_to_input(box)
        labels = prediction.labels[centred_pixels(within, prediction.labels)]
        areas = _areas(labels)
        place = f"the box {corners(box)}"
        if not areas:
            raise TargetError(f"{place} holds no pixel of {sample.key}")
        named = {one: area for one, area in areas.items() if not self.is_background(one)} or areas
        class_id = max(named, key=lambda one: named[one])
        if named[class_id] < LEAST_COVERED * sum(areas.values()):
            there = listed_classes(labels, self.class_names)
            raise TargetError(f"no class covers {LEAST_COVERED:.0%} of {place} in {sample.key}: it holds {there}")
        reason = self._missing(prediction, class_id)
        if reason:
            raise TargetError(f"no '{self.class_names[class_id]}' in {sample.key}: {reason}")
        return _explained(prediction, Target(sample=sample.index, class_id=class_id), sample.key, within)

    def class_confidences(self, prediction: ClassMap, explained: ExplainedTarget) -> torch.Tensor:
        """The mean softmax probability of every class over the target's mask, [K]."""
        return prediction.logits.softmax(dim=0)[
            :, _mask(prediction.labels, explained.target.class_id, explained.within)
        ].mean(dim=1)

    def seeded(self, output: torch.Tensor) -> torch.Tensor:
        """All logits [B, K, H, W]."""
        return output

    def seed(
        self, output: torch.Tensor, explained: Sequence[ExplainedTarget | None]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The values of every target's mask, normalised to sum 1 per target.

        Args:
            output: logits [B, K, H, W].
            explained: B targets; None for an image that takes no part.

        Returns:
            The logits and their seed, both [B, K, H, W].

        Raises:
            TargetError: nothing of the class's mask lies within the part that is explained.
        """
        logits = output.detach()
        seed = torch.zeros_like(logits)
        for image, one in enumerate(explained):
            if one is None:
                continue
            class_id = one.target.class_id
            values = self._values(logits[image], logits[image].argmax(dim=0), class_id)  # [H, W]
            if one.within is not None:
                values = values * centred_pixels(one.within, values).to(values)
            total = values.sum()
            if not total > 0:
                raise TargetError(f"nothing of '{self.class_names[class_id]}' in {one.key} lies within the box")
            seed[image, class_id] = values / (total + NORM_STABILIZER)
        return output, seed

    def logits(self, output: torch.Tensor, explained: Sequence[ExplainedTarget], masks: torch.Tensor) -> torch.Tensor:
        """Mean logit of the class over each of B masks [B, H, W], [B]."""
        class_ids = [one.target.class_id for one in explained]
        logits = at_least_float32(output.detach()[range(len(class_ids)), class_ids])  # [B, H, W]
        masks = masks.to(logits)
        return (logits * masks).sum(dim=(1, 2)) / masks.sum(dim=(1, 2))

    def readout(
        self,
        output: torch.Tensor,
        class_ids: torch.Tensor,
        boxes: torch.Tensor,  # noqa: ARG002
        masks: torch.Tensor,
    ) -> torch.Tensor:
        """How sure the segmenter is of classes in masks, as `mask_readout`."""
        return mask_readout(output, masks.to(output.device), class_ids.to(output.device))

    def object_mask(self, prediction: ClassMap, explained: ExplainedTarget, size: tuple[int, int]) -> torch.Tensor:
        """[H, W] bool, the target's mask; `size` must be the picture's."""
        assert tuple(prediction.labels.shape) == tuple(size)
        return _mask(prediction.labels, explained.target.class_id, explained.within)

    def region(
        self,
        prediction: ClassMap,
        explained: ExplainedTarget,
        sample: Sample,
        *,
        is_exact: bool = False,  # noqa: ARG002
    ) -> Region:
        """The annotated pixels of the class, without void; the target's own mask where there are none."""
        counted, predicted = (
            content_mask(sample),
            _mask(prediction.labels, explained.target.class_id, explained.within).cpu(),
        )
        if sample.annotation is None or sample.annotation.class_mask is None:
            return Region(inside=predicted, counted=counted)
        class_mask = sample.annotation.class_mask
        inside = class_mask == explained.target.class_id
        return Region(inside=inside if inside.any() else predicted, counted=counted & (class_mask != VOID))

    def _found(self, prediction: ClassMap, target: Target, key: str) -> ExplainedTarget | None:
        is_there = target.item == 0 and not self._missing(prediction, target.class_id)
        return _explained(prediction, target, key) if is_there else None

    def _values(self, logits: torch.Tensor, labels: torch.Tensor, class_id: int) -> torch.Tensor:
        """Seed of one class before it is normalised, [H, W], of logits [K, H, W] and their argmax [H, W]."""
        logit = logits[class_id]
        match self.seed_values:
            case "positive_logit":
                values = logit.clamp(min=0)
            case "ones":
                values = torch.ones_like(logit)
            case "prob":
                values = logits.softmax(dim=0)[class_id]
            case "logit":
                values = logit
        return values * (labels == class_id)

    def _missing(self, prediction: ClassMap, class_id: int) -> str:
        """Why a class is no target; empty if it is one."""
        area = int((prediction.labels == class_id).sum())
        if area < self.min_area:
            return f"its mask has {area} pixels, at least {self.min_area} are needed"
        if not self._values(prediction.logits, prediction.labels, class_id).sum() > 0:
            return f"its mask of {area} pixels has no positive seed"
        return ""


def _areas(labels: torch.Tensor) -> dict[int, int]:
    """Pixels of every class that occurs in labels [...], by ascending class id."""
    counts = labels.flatten().bincount().tolist()
    return {class_id: count for class_id, count in enumerate(counts) if count}


def _mask(labels: torch.Tensor, class_id: int, within: Box | None) -> torch.Tensor:
    """[H, W] bool, the pixels of a class, perhaps only those within a box."""
    mask = labels == class_id
    return mask if within is None else mask & centred_pixels(within, labels)


def _explained(prediction: ClassMap, target: Target, key: str, within: Box | None = None) -> ExplainedTarget:
    mask = _mask(prediction.labels, target.class_id, within)
    probability = prediction.logits.softmax(dim=0)[target.class_id]
    return ExplainedTarget(
        target=target,
        key=key,
        score=float(prediction.logits[target.class_id][mask].mean()),
        confidence=float(probability[mask].mean()),
        area=int(mask.sum()),
        within=within,
    )
