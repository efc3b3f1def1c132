"""Segmentation: which classes are there, and how the mask of each is seeded.

Axes: B batch, K class, H W picture.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import torch

from lcrp.attribution.task import Box, NetworkOutput, Prediction, Targets
from lcrp.errors import ConfigError, TargetError, at_least, one_of, refuse
from lcrp.values.prediction import ClassMap, at_least_float32
from lcrp.values.sample import Annotation, Sample
from lcrp.values.target import ExplainedTarget, SkippedTarget, Target

Seed = Literal["positive_logit", "ones", "prob", "logit"]

VOID = 255
BACKGROUND = "background"
NORM_STABILIZER = 1e-12
LISTED_CLASSES = 5
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

    def predictions(self, output: NetworkOutput) -> list[ClassMap]:
        """The class of every pixel of every image, on the output's device, in at least float32.

        Raises:
            ConfigError: the class names do not fit the output.
        """
        assert isinstance(output, torch.Tensor)
        if output.shape[1] != len(self.class_names):
            raise ConfigError(
                f"the segmenter has {output.shape[1]} classes, but {len(self.class_names)} class names are given"
            )
        logits = at_least_float32(output.detach())
        labels = logits.argmax(dim=1)  # [B, H, W]
        return [ClassMap(labels=one, logits=its) for one, its in zip(labels, logits, strict=True)]

    def present_classes(self, annotation: Annotation) -> list[int]:
        """Class ids of the annotated pixels, ascending, without void (255).

        Raises:
            TargetError: the annotation has no class mask.
        """
        if annotation.class_mask is None:
            raise TargetError("the annotation has no class mask; explain the predicted targets instead")
        return [class_id for class_id in _areas(annotation.class_mask) if class_id != VOID]

    def annotated_targets(self, prediction: Prediction, sample: Sample) -> Targets:
        """The mask of every annotated class; the classes that are not predicted are skipped.

        Raises:
            TargetError: the sample has no annotation.
        """
        if sample.annotation is None:
            raise TargetError(f"{sample.key} has no annotation; explain its predicted targets instead")
        return self._targets(prediction, sample, self.present_classes(sample.annotation))

    def predicted_targets(self, prediction: Prediction, sample: Sample) -> Targets:
        """The mask of every class that some pixel is given."""
        assert isinstance(prediction, ClassMap)
        return self._targets(prediction, sample, list(_areas(prediction.labels)))

    def _targets(self, prediction: Prediction, sample: Sample, class_ids: list[int]) -> Targets:
        assert isinstance(prediction, ClassMap)
        explained, skipped = [], []
        for class_id in class_ids:
            target = Target(sample=sample.index, class_id=class_id)
            reason = self._missing(prediction, class_id)
            if reason:
                skipped.append(SkippedTarget(target=target, key=sample.key, reason=reason))
            else:
                explained.append(_explained(prediction, target, sample.key))
        return explained, skipped

    def find(self, prediction: Prediction, sample_index: int, key: str, class_id: int, item: int) -> ExplainedTarget:
        """The mask of class `class_id`; `item` must be 0.

        Raises:
            TargetError: no such class, or it is not predicted; the message says what is there instead.
        """
        assert isinstance(prediction, ClassMap)
        if not 0 <= class_id < len(self.class_names):
            raise TargetError(f"class {class_id} does not exist: there are 0 to {len(self.class_names) - 1}")
        if item != 0:
            name = self.class_names[class_id]
            raise TargetError(f"no item {item} of '{name}' in {key}: a class has one mask, item 0")
        reason = self._missing(prediction, class_id)
        if reason:
            name = self.class_names[class_id]
            raise TargetError(f"no '{name}' in {key} ({reason}): predicted are {self._listed(prediction.labels)}")
        return _explained(prediction, Target(sample=sample_index, class_id=class_id), key)

    def of_class(self, prediction: Prediction, sample: Sample, class_id: int) -> list[ExplainedTarget]:
        """The mask of a class, if it is a target."""
        assert isinstance(prediction, ClassMap)
        if self._missing(prediction, class_id):
            return []
        return [_explained(prediction, Target(sample=sample.index, class_id=class_id), sample.key)]

    def match_box(self, prediction: Prediction, sample: Sample, box: Box, min_iou: float = 0.0) -> ExplainedTarget:  # noqa: ARG002
        """The class that covers most of `box`, a tenth at least; background only where there is nothing else.

        Score, confidence and area are those of the mask's part within the box. `min_iou` is for boxes of detections.

        Raises:
            TargetError: the box holds no pixel, little of every class, or its class is no target.
        """
        assert isinstance(prediction, ClassMap)
        region = box_region(sample.geometry.box_to_input(box), prediction.labels)
        areas = _areas(prediction.labels[region])
        place = f"the box ({', '.join(f'{edge:.0f}' for edge in box)})"
        if not areas:
            raise TargetError(f"{place} holds no pixel of {sample.key}")
        named = {one: area for one, area in areas.items() if self.class_names[one] != BACKGROUND} or areas
        class_id = max(named, key=lambda one: named[one])
        if named[class_id] < LEAST_COVERED * sum(areas.values()):
            within = self._listed(prediction.labels[region])
            raise TargetError(f"no class covers {LEAST_COVERED:.0%} of {place} in {sample.key}: it holds {within}")
        reason = self._missing(prediction, class_id)
        if reason:
            raise TargetError(f"no '{self.class_names[class_id]}' in {sample.key}: {reason}")
        return _explained(prediction, Target(sample=sample.index, class_id=class_id), sample.key, region)

    def class_probabilities(
        self, prediction: Prediction, explained: ExplainedTarget, region: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The mean softmax probability of every class over the target's mask, [K]."""
        assert isinstance(prediction, ClassMap)
        mask = prediction.labels == explained.target.class_id  # [H, W]
        if region is not None:
            mask = mask & region
        return prediction.logits.softmax(dim=0)[:, mask].mean(dim=1)

    def seed(
        self,
        output: NetworkOutput,
        explained: Sequence[ExplainedTarget | None],
        masks: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The values of every target's mask, normalised to sum 1 per target.

        Args:
            output: logits [B, K, H, W].
            explained: B targets; None for an image that takes no part.
            masks: [B, H, W] bool, only these pixels are explained.

        Returns:
            The logits and their seed, both [B, K, H, W].

        Raises:
            TargetError: nothing of the class's mask lies within the given one.
        """
        assert isinstance(output, torch.Tensor)
        logits = output.detach()
        seed = torch.zeros_like(logits)
        for image, one in enumerate(explained):
            if one is None:
                continue
            class_id = one.target.class_id
            values = self._values(logits[image], logits[image].argmax(dim=0), class_id)  # [H, W]
            if masks is not None:
                values = values * masks[image].to(values)
            total = values.sum()
            if not total > 0:
                raise TargetError(f"nothing of '{self.class_names[class_id]}' in {one.key} lies within the mask")
            seed[image, class_id] = values / (total + NORM_STABILIZER)
        return output, seed

    def logits(self, output: NetworkOutput, explained: Sequence[ExplainedTarget], masks: torch.Tensor) -> torch.Tensor:
        """Mean logit of the class over each of B masks [B, H, W], [B]."""
        assert isinstance(output, torch.Tensor)
        class_ids = [one.target.class_id for one in explained]
        logits = at_least_float32(output.detach()[range(len(class_ids)), class_ids])  # [B, H, W]
        masks = masks.to(logits)
        return (logits * masks).sum(dim=(1, 2)) / masks.sum(dim=(1, 2))

    def object_mask(self, prediction: Prediction, explained: ExplainedTarget, size: tuple[int, int]) -> torch.Tensor:
        """[H, W] bool, the target's mask; `size` must be the picture's."""
        assert isinstance(prediction, ClassMap)
        assert tuple(prediction.labels.shape) == tuple(size)
        return prediction.labels == explained.target.class_id

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

    def _listed(self, labels: torch.Tensor) -> str:
        """What is predicted, in words, the largest area first."""
        areas = sorted(_areas(labels).items(), key=lambda pair: -pair[1])
        texts = [f"'{self.class_names[class_id]}' {area / labels.numel():.1%}" for class_id, area in areas]
        rest = f" and {len(texts) - LISTED_CLASSES} more" if len(texts) > LISTED_CLASSES else ""
        return f"{', '.join(texts[:LISTED_CLASSES])}{rest}"


def _areas(labels: torch.Tensor) -> dict[int, int]:
    """Pixels of every class that occurs in labels [...], by ascending class id."""
    counts = labels.flatten().bincount().tolist()
    return {class_id: count for class_id, count in enumerate(counts) if count}


def box_region(box: Box, labels: torch.Tensor) -> torch.Tensor:
    """[H, W] bool, the pixels of `labels` [H, W] whose centre lies in `box`, xyxy in input pixels."""
    left, top, right, bottom = box
    height, width = labels.shape
    y = torch.arange(height, device=labels.device) + 0.5
    x = torch.arange(width, device=labels.device) + 0.5
    return ((y >= top) & (y < bottom))[:, None] & ((x >= left) & (x < right))  # [H, W]


def _explained(prediction: ClassMap, target: Target, key: str, region: torch.Tensor | None = None) -> ExplainedTarget:
    mask = prediction.labels == target.class_id  # [H, W]
    if region is not None:
        mask = mask & region
    probability = prediction.logits.softmax(dim=0)[target.class_id]
    return ExplainedTarget(
        target=target,
        key=key,
        score=float(prediction.logits[target.class_id][mask].mean()),
        confidence=float(probability[mask].mean()),
        area=int(mask.sum()),
    )
