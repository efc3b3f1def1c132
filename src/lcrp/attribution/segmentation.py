"""Segmentation: which classes are there, and how the mask of each is seeded.

Axes: B batch, K class, H W picture.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import torch

from lcrp.attribution.class_masks import (
    Seed,
    area_and_seed,
    class_areas,
    class_mask,
    explained_mask,
    seed_values,
    tallied,
)
from lcrp.attribution.contrast import beside, contrasted_mask, other_class
from lcrp.attribution.pixels import centred_pixels, content_mask
from lcrp.attribution.readout import mask_readout, mean_in_masks
from lcrp.attribution.task import Box, Targets, annotation_of, check_class
from lcrp.attribution.wording import corners, listed_classes
from lcrp.errors import ConfigError, TargetError, at_least, one_of, refuse, within
from lcrp.values import devices
from lcrp.values.prediction import ClassMap, at_least_float32
from lcrp.values.region import Region
from lcrp.values.sample import VOID, Annotation, Sample
from lcrp.values.target import ExplainedTarget, SkippedTarget, Target

Activation = Literal["softmax", "sigmoid"]

BACKGROUND = "background"
NORM_STABILIZER = 1e-12
THRESHOLD = 0.5  # of sigmoids
LEAST_COVERED = 0.1  # of a box, by the class that it is taken for


class SegmentationTask:
    """Explains a class's mask: the pixels where its logit is the largest, or its sigmoid above a threshold.

    The seed of class t at pixel i is v_i / (sum_j v_j + 1e-12) over the pixels j of its mask, with v = max(logit, 0)
    ('positive_logit', the z+ seed of Dreyer et al. 2023, section 3.2), 1 ('ones'), the probability ('prob') or
    the signed logit ('logit'). A class is there if its mask has at least `min_area` pixels and sum_j v_j > 0. The
    forerunner divides by the sum over the whole batch; here each target stands alone. `instead` explains by how
    much the logits of the class exceed those of another in its mask (`lcrp.attribution.contrast`).

    Args:
        class_names: index = class id. For sigmoids a background is put in front if none is named.
        seed: v.
        min_area: pixels that a mask needs.
        activation: 'sigmoid' if classes do not exclude each other. A background without a logit is never explained.
        threshold: of sigmoids; None is 0.5.
        instead: name or id of another class; None explains the class alone.
    """

    options: tuple[str, ...] = ("instead",)  # settings without which a decision is the same
    instead: int | None = None

    def __init__(
        self,
        class_names: Sequence[str],
        *,
        seed: Seed = "positive_logit",
        min_area: int = 1,
        activation: Activation = "softmax",
        threshold: float | None = None,
        instead: str | int | None = None,
    ) -> None:
        is_softmax = activation == "softmax"
        refuse(
            [
                *one_of("seed", seed, get_args(Seed)),
                *at_least("min_area", min_area, 1),
                *one_of("activation", activation, get_args(Activation)),
                *within("threshold", threshold, 0, 1),
                *[f"threshold={threshold} says nothing to a softmax"] * (is_softmax and threshold is not None),
            ]
        )
        self.class_names = tuple(class_names)
        if not is_softmax and BACKGROUND not in class_names[:1]:
            self.class_names = (BACKGROUND, *class_names)
        self.instead = other_class(instead, self.class_names)
        self.seed_values = seed
        self.min_area = min_area
        self.threshold = None if is_softmax else THRESHOLD if threshold is None else threshold

    def identity(self) -> dict[str, object]:
        """What decisions and seeds depend on, as plain values."""
        common: dict[str, object] = {"name": "segmentation", "seed": self.seed_values, "min_area": self.min_area}
        if self.seed_values in ("ones", "prob"):  # which lie on negative logits, too
            common["signed"] = True
        if self.instead is not None:
            common["instead"] = self.instead
        return common if self.threshold is None else common | {"activation": "sigmoid", "threshold": self.threshold}

    def predictions(self, output: torch.Tensor) -> list[ClassMap]:
        """The class of every pixel of every image, on the output's device, in at least float32.

        Raises:
            ConfigError: the class names do not fit the output.
        """
        found, known = output.shape[1], len(self.class_names)
        if found == 1 and self.threshold is None:
            raise ConfigError(
                "the segmenter has one channel, which no softmax can tell from another; write activation=sigmoid"
            )
        if found != known and not (self.threshold is not None and found == known - 1):
            raise ConfigError(f"the segmenter has {found} classes, but {known} class names are given")
        maps = [self._class_map(logits) for logits in at_least_float32(output.detach())]
        return tallied(maps, self.seed_values) if devices.waits(output) else maps

    def _class_map(self, logits: torch.Tensor) -> ClassMap:
        return ClassMap.of(logits, self.threshold, has_bare_background=len(logits) < len(self.class_names))

    def present_classes(self, annotation: Annotation) -> list[int]:
        """Class ids of the annotated pixels, ascending, without void (255).

        Raises:
            TargetError: the annotation has no class mask.
        """
        if annotation.class_mask is None:
            raise TargetError("the annotation has no class mask; explain the predicted targets instead")
        counts = annotation.class_mask.flatten().bincount().tolist()
        return [class_id for class_id, count in enumerate(counts) if count and class_id != VOID]

    def annotated_targets(self, prediction: ClassMap, sample: Sample) -> Targets:
        """The mask of every annotated class; the classes that are not predicted are skipped.

        Raises:
            TargetError: the sample has no annotation.
        """
        return self._targets(prediction, sample, self.present_classes(annotation_of(sample)))

    def predicted_targets(self, prediction: ClassMap, sample: Sample) -> Targets:
        """The mask of every class that some pixel is given."""
        return self._targets(prediction, sample, list(class_areas(prediction)))

    def _targets(self, prediction: ClassMap, sample: Sample, class_ids: list[int]) -> Targets:
        explained, skipped = [], []
        for class_id in class_ids:
            if not prediction.has_logit(class_id):
                continue
            target = Target(sample=sample.index, class_id=class_id)
            reason = self._missing(prediction, class_id)
            if reason:
                skipped.append(SkippedTarget(target=target, key=sample.key, reason=reason))
            else:
                explained.append(self._explained(prediction, target, sample.key))
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
            reason, areas = self._missing(prediction, class_id), class_areas(prediction)
            areas = {one: area for one, area in areas.items() if prediction.has_logit(one)}
            there = listed_classes(areas, prediction.labels.numel(), self.class_names)
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
        part = sample.geometry.box_to_input(box)
        areas, num_pixels = class_areas(prediction, part), int(centred_pixels(part, prediction.labels).sum())
        place = f"the box {corners(box)}"
        if not areas:
            raise TargetError(f"{place} holds no pixel of {sample.key}")
        named = {one: area for one, area in areas.items() if not self.is_background(one)} or areas
        class_id = max(named, key=lambda one: named[one])
        if named[class_id] < LEAST_COVERED * num_pixels:
            there = listed_classes(areas, num_pixels, self.class_names)
            raise TargetError(f"no class covers {LEAST_COVERED:.0%} of {place} in {sample.key}: it holds {there}")
        reason = self._missing(prediction, class_id)
        if reason:
            raise TargetError(f"no '{self.class_names[class_id]}' in {sample.key}: {reason}")
        return self._explained(prediction, Target(sample=sample.index, class_id=class_id), sample.key, part)

    def class_confidences(self, prediction: ClassMap, explained: ExplainedTarget) -> torch.Tensor:
        """The mean probability of every class over the target's mask, [K]."""
        return prediction.probabilities()[:, class_mask(prediction, explained.target.class_id, explained.within)].mean(
            dim=1
        )

    @property
    def seeds_logits(self) -> bool:
        """Whether seeds lie on logits."""
        return True

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
            prediction = self._class_map(logits[image])
            if self.instead is not None:
                seed[image] = contrasted_mask(prediction, one, self.instead, self.class_names, logits[image])
                continue
            values = seed_values(prediction, class_id, self.seed_values)  # [H, W]
            if one.within is not None:
                values = values * centred_pixels(one.within, values).to(values)
            total = values.sum()
            if (one.within is not None or not devices.waits(total)) and not total > 0:
                raise TargetError(f"nothing of '{self.class_names[class_id]}' in {one.key} lies within the box")
            share = (total + NORM_STABILIZER).masked_fill(~(total > 0), torch.nan)  # NaN is refused by the round
            seed[image, class_id - prediction.has_bare_background] = values / share
        return output, seed

    def logits(self, output: torch.Tensor, explained: Sequence[ExplainedTarget], masks: torch.Tensor) -> torch.Tensor:
        """Mean logit of the class over each of B masks [B, H, W], [B]."""
        first = len(self.class_names) - output.shape[1]
        columns = [one.target.class_id - first for one in explained]
        logits = at_least_float32(output.detach()[range(len(columns)), columns])  # [B, H, W]
        return mean_in_masks(logits, masks.to(logits))

    def readout(
        self,
        output: torch.Tensor,
        class_ids: torch.Tensor,
        boxes: torch.Tensor,  # noqa: ARG002
        masks: torch.Tensor,
    ) -> torch.Tensor:
        """How sure the segmenter is of classes in masks, as `mask_readout`."""
        masks = masks.to(output.device)
        if self.threshold is None:
            return mask_readout(output, masks, class_ids.to(output.device))
        pairs = zip(self.predictions(output), class_ids.tolist(), strict=True)
        return mean_in_masks(torch.stack([one.probabilities()[class_id] for one, class_id in pairs]), masks)

    def object_mask(self, prediction: ClassMap, explained: ExplainedTarget, size: tuple[int, int]) -> torch.Tensor:
        """[H, W] bool, the target's mask; `size` must be the picture's."""
        assert tuple(prediction.labels.shape) == tuple(size)
        return class_mask(prediction, explained.target.class_id, explained.within)

    def region(
        self,
        prediction: ClassMap,
        explained: ExplainedTarget,
        sample: Sample,
        *,
        is_exact: bool = False,  # noqa: ARG002
    ) -> Region:
        """The annotated pixels of the class, without void; the target's own mask where there are none."""
        counted = content_mask(sample)
        predicted = class_mask(prediction, explained.target.class_id, explained.within).cpu()
        if sample.annotation is None or sample.annotation.class_mask is None:
            return Region(inside=predicted, counted=counted)
        annotated = sample.annotation.class_mask
        inside = annotated == explained.target.class_id
        return Region(inside=inside if inside.any() else predicted, counted=counted & (annotated != VOID))

    def _found(self, prediction: ClassMap, target: Target, key: str) -> ExplainedTarget | None:
        is_there = target.item == 0 and not self._missing(prediction, target.class_id)
        return self._explained(prediction, target, key) if is_there else None

    def _explained(self, prediction: ClassMap, target: Target, key: str, part: Box | None = None) -> ExplainedTarget:
        found = explained_mask(prediction, target, key, part)
        if self.instead is None:
            return found
        return beside(found, self.instead, self.class_names, self.class_confidences(prediction, found))

    def _missing(self, prediction: ClassMap, class_id: int) -> str:
        """Why a class is no target; empty if it is one."""
        if not prediction.has_logit(class_id):
            return "it has no logit of its own that could be explained"
        area, seed = area_and_seed(prediction, class_id, self.seed_values)
        if area < self.min_area:
            return f"its mask has {area} pixels, at least {self.min_area} are needed"
        if not seed > 0:
            return f"its mask of {area} pixels has no positive seed"
        return ""
