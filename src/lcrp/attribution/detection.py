"""Detection: which boxes are kept, which of them are targets, and how each is seeded.

Axes: B batch, M box of the raw output, D detection, K class, H W picture.
"""

import logging
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torchvision.ops import box_iou

from lcrp.attribution.nms import kept_detections
from lcrp.attribution.pixels import annotated_object, content_mask, touched_pixels
from lcrp.attribution.readout import box_readout
from lcrp.attribution.task import Box, Targets, annotation_of, check_class
from lcrp.attribution.wording import corners, listed_detections, near_detections
from lcrp.errors import ConfigError, TargetError, at_least, one_of, refuse, within
from lcrp.values.prediction import Detections, DetectorOutput
from lcrp.values.region import Region
from lcrp.values.sample import Annotation, Sample
from lcrp.values.target import ExplainedTarget, SkippedTarget, Target

Score = Literal["class", "objectness"]

logger = logging.getLogger(__name__)


class DetectionTask:
    """Explains single detections.

    Kept are the boxes with objectness > `confidence` and objectness * max_c p_c > `confidence` that survive a
    class-wise NMS, the `max_detections` most confident. Item k of class t is the k-th kept box by p_t among those with
    p_t > `confidence` (ties: by confidence, then by row). The seed is 1 at the chosen logit, its sigmoid passed through
    (Dreyer et al. 2023, section 3.2).

    With `score='objectness'` the objectness logit is explained and ranks the boxes of a class. A detector with one
    class never trained its class score: there, objectness takes the place of the class probability.
    """

    def __init__(
        self,
        class_names: Sequence[str],
        *,
        score: Score = "class",
        confidence: float = 0.25,
        iou: float = 0.45,
        max_detections: int = 25,
    ) -> None:
        self.class_names = tuple(class_names)
        self.score = score
        self.confidence = confidence
        self.iou = iou
        self.max_detections = max_detections
        shares = (*within("confidence", confidence, 0, 1), *within("iou", iou, 0, 1))
        refuse([*one_of("score", score, get_args(Score)), *shares, *at_least("max_detections", max_detections, 1)])
        self._has_told = False

    def identity(self) -> dict[str, object]:
        """What decisions and seeds depend on, as plain values."""
        return {
            "name": "detection",
            "score": self.score,
            "confidence": self.confidence,
            "iou": self.iou,
            "max_detections": self.max_detections,
        }

    def predictions(self, output: DetectorOutput) -> list[Detections]:
        """The boxes kept of every image, on the CPU, in at least float32.

        Raises:
            ConfigError: the class names do not fit the output, or it has no objectness where that is to be explained.
        """
        self._check(output)
        probabilities, objectness = output.class_probabilities(), output.objectness()
        if len(self.class_names) == 1 and output.objectness_logits is not None:
            probabilities = torch.ones_like(probabilities)
            self._tell()
        boxes = output.boxes.detach().to(probabilities)
        images = zip(boxes, objectness, probabilities, strict=True)
        return [
            kept_detections(*image, confidence=self.confidence, iou=self.iou, max_detections=self.max_detections)
            for image in images
        ]

    def _explains_objectness(self, output: DetectorOutput) -> bool:
        return self.score == "objectness" or (len(self.class_names) == 1 and output.objectness_logits is not None)

    def _tell(self) -> None:
        if not self._has_told:
            logger.info("one class: the class score is untrained, objectness is explained")
            self._has_told = True

    def _check(self, output: DetectorOutput) -> None:
        num_classes = output.class_logits.shape[2] - output.has_background
        if num_classes != len(self.class_names):
            raise ConfigError(
                f"the detector has {num_classes} classes, but {len(self.class_names)} class names are given"
            )
        if output.objectness_logits is None and self.score == "objectness":
            raise ConfigError("score 'objectness' cannot be explained: the detector has none; choose score 'class'")

    def present_classes(self, annotation: Annotation) -> list[int]:
        """Class ids of the annotated boxes, ascending."""
        return sorted(set(annotation.labels.tolist()))

    def annotated_targets(self, prediction: Detections, sample: Sample) -> Targets:
        """Best item of every annotated class; the classes that are not detected are skipped.

        Raises:
            TargetError: the sample has no annotation.
        """
        explained, skipped = [], []
        for class_id in self.present_classes(annotation_of(sample)):
            target = Target(sample=sample.index, class_id=class_id)
            members = self._members(prediction, class_id)
            if members:
                explained.append(self._explained(prediction, members[0], target, sample.key))
            else:
                reason = f"not detected: no kept box has a class probability above {self.confidence:g}"
                skipped.append(SkippedTarget(target=target, key=sample.key, reason=reason))
        return explained, skipped

    def predicted_targets(self, prediction: Detections, sample: Sample) -> Targets:
        """Every kept detection, most confident first: its best class, and its rank among the boxes of that class."""
        labels = prediction.labels.tolist()
        members = {class_id: self._members(prediction, class_id) for class_id in set(labels)}
        explained = []
        for place, class_id in enumerate(labels):
            target = Target(sample=sample.index, class_id=class_id, item=members[class_id].index(place))
            explained.append(self._explained(prediction, place, target, sample.key))
        return explained, []

    def is_background(self, class_id: int) -> bool:  # noqa: ARG002
        """Never: what no box holds is no class."""
        return False

    def found(self, prediction: Detections, sample: Sample, class_id: int, item: int = 0) -> ExplainedTarget | None:
        """Item `item` (0 = best) of class `class_id`, or None if there are fewer detections of it."""
        members = self._members(prediction, class_id)
        if not 0 <= item < len(members):
            return None
        target = Target(sample=sample.index, class_id=class_id, item=item)
        return self._explained(prediction, members[item], target, sample.key)

    def find(self, prediction: Detections, sample: Sample, class_id: int, item: int = 0) -> ExplainedTarget:
        """Item `item` (0 = best) of class `class_id`.

        Raises:
            TargetError: no such class, or fewer detections of it; the message says what is detected instead.
        """
        check_class(class_id, self.class_names)
        found = self.found(prediction, sample, class_id, item)
        if found is None:
            count, name = len(self._members(prediction, class_id)), f"'{self.class_names[class_id]}'"
            wanted = f"no item {item} of {name} (there are {count})" if count else f"no {name}"
            raise TargetError(f"{wanted} in {sample.key}: {self._listed(prediction)}")
        return found

    def again(self, prediction: Detections, explained: ExplainedTarget) -> ExplainedTarget | None:  # noqa: ARG002
        """The same row, whatever is detected there now."""
        return explained

    def at_object(self, prediction: Detections, sample: Sample, class_id: int, box: Box) -> ExplainedTarget | None:
        """The detection with the highest IoU with the object's box, if it is of its class."""
        if not self._overlaps(prediction, sample, box).any():
            return None
        explained = self.match_box(prediction, sample, box)
        return explained if explained.target.class_id == class_id else None

    def of_class(self, prediction: Detections, sample: Sample, class_id: int) -> list[ExplainedTarget]:
        """All items of a class, best first."""
        members = self._members(prediction, class_id)
        targets = [Target(sample=sample.index, class_id=class_id, item=item) for item in range(len(members))]
        pairs = zip(members, targets, strict=True)
        return [self._explained(prediction, place, target, sample.key) for place, target in pairs]

    def match_box(self, prediction: Detections, sample: Sample, box: Box, min_iou: float = 0.0) -> ExplainedTarget:
        """The detection with the highest IoU with `box`; its best class.

        Raises:
            TargetError: no detection overlaps the box, or none by `min_iou`.
        """
        overlap = self._overlaps(prediction, sample, box)
        if not ((overlap > 0) & (overlap >= min_iou)).any():
            least = f" by an IoU of at least {min_iou:g}" if min_iou > 0 else ""
            seen = _seen(prediction, sample)
            near = near_detections(prediction, self.class_names, seen, overlap) or self._listed(prediction)
            raise TargetError(f"no detection overlaps the box {corners(box)}{least} in {sample.key}: {near}")
        place = int(overlap.argmax())
        class_id = int(prediction.labels[place])
        item = self._members(prediction, class_id).index(place)
        target = Target(sample=sample.index, class_id=class_id, item=item)
        return self._explained(prediction, place, target, sample.key)

    def class_confidences(self, prediction: Detections, explained: ExplainedTarget) -> torch.Tensor:
        """Objectness times class probability of a detection, [K]."""
        row = prediction.rows == explained.row
        return (prediction.objectness[row, None] * prediction.probabilities[row])[0]

    def seeded(self, output: DetectorOutput) -> torch.Tensor:
        """Class logits [B, M, K], or objectness logits [B, M]."""
        if not self._explains_objectness(output):
            return output.class_logits
        assert output.objectness_logits is not None
        return output.objectness_logits

    def seed(
        self, output: DetectorOutput, explained: Sequence[ExplainedTarget | None]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """1 at the logit of every target's box, among class logits [B, M, K] or objectness logits [B, M]."""
        logits = self.seeded(output)
        seed = torch.zeros_like(logits)
        for image, one in enumerate(explained):
            if one is not None:
                seed[_place(output, logits, image, one)] = 1
        return logits, seed

    def logits(
        self,
        output: DetectorOutput,
        explained: Sequence[ExplainedTarget],
        masks: torch.Tensor,  # noqa: ARG002
    ) -> torch.Tensor:
        """The logit that is seeded for each of B targets, at the row where it was found, [B]."""
        logits = self.seeded(output).detach()
        return torch.stack([logits[_place(output, logits, image, one)] for image, one in enumerate(explained)])

    def object_mask(self, prediction: Detections, explained: ExplainedTarget, size: tuple[int, int]) -> torch.Tensor:  # noqa: ARG002
        """[H, W] bool, every pixel that the target's box touches, in a picture of `size` (height, width)."""
        assert explained.box is not None
        return touched_pixels(explained.box, size)

    def readout(
        self,
        output: DetectorOutput,
        class_ids: torch.Tensor,
        boxes: torch.Tensor,
        masks: torch.Tensor,  # noqa: ARG002
    ) -> torch.Tensor:
        """How sure the detector is of classes at boxes, as `box_readout`."""
        return box_readout(output, boxes.to(output.boxes), class_ids.to(output.boxes.device))

    def region(
        self, prediction: Detections, explained: ExplainedTarget, sample: Sample, *, is_exact: bool = False
    ) -> Region:
        """The annotated box that overlaps most (IoU), or its object's mask; the target's own box if none overlaps."""
        assert explained.box is not None
        size = (sample.image.shape[1], sample.image.shape[2])
        annotated = None
        if sample.annotation is not None:
            annotated = annotated_object(sample.annotation, explained.box, size, is_exact=is_exact)
        inside = self.object_mask(prediction, explained, size) if annotated is None else annotated
        return Region(inside=inside, counted=content_mask(sample))

    def _overlaps(self, prediction: Detections, sample: Sample, box: Box) -> torch.Tensor:
        """IoU [D] of the detections with a box, in pixels of the picture."""
        seen = _seen(prediction, sample)
        overlaps: torch.Tensor = box_iou(seen, torch.tensor([box], dtype=seen.dtype))[:, 0]
        return overlaps

    def _members(self, prediction: Detections, class_id: int) -> list[int]:
        """Places of a class's detections among the kept ones, best first."""
        probability = prediction.probabilities[:, class_id]
        rank_by = prediction.objectness if self.score == "objectness" else probability
        order = rank_by.argsort(descending=True, stable=True)  # detections lie by confidence, then row
        return [place for place in order.tolist() if probability[place] > self.confidence]

    def _explained(self, prediction: Detections, place: int, target: Target, key: str) -> ExplainedTarget:
        probability, objectness = prediction.probabilities[place, target.class_id], prediction.objectness[place]
        left, top, right, bottom = prediction.boxes[place].tolist()
        confidence = objectness * probability
        score = objectness if self.score == "objectness" else probability
        if len(self.class_names) == 1:  # one of the two factors is 1
            score = confidence
        return ExplainedTarget(
            target=target,
            key=key,
            score=float(score),
            confidence=float(confidence),
            box=(left, top, right, bottom),
            row=int(prediction.rows[place]),
        )

    def _listed(self, prediction: Detections) -> str:
        return listed_detections(prediction, self.class_names, self.confidence)


def _seen(prediction: Detections, sample: Sample) -> torch.Tensor:
    """Boxes [D, 4] in pixels of the picture."""
    return torch.from_numpy(sample.geometry.boxes_to_picture(prediction.boxes.double().numpy()))


def _place(output: DetectorOutput, logits: torch.Tensor, image: int, explained: ExplainedTarget) -> tuple[int, ...]:
    """Where a target's logit is among those of the raw output."""
    if logits.ndim == 2:
        return image, explained.row
    return image, explained.row, explained.target.class_id + output.has_background
