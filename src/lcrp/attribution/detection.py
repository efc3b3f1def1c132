"""Detection: which boxes are kept, which of them are targets, and how each is seeded.

Axes: B batch, M box of the raw output, D detection, K class, H W picture.
"""

import logging
import math
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torchvision.ops import box_iou, nms

from lcrp.attribution.task import Box, NetworkOutput, Prediction, Targets
from lcrp.errors import ConfigError, TargetError, at_least, one_of, refuse, within
from lcrp.values.prediction import Detections, DetectorOutput
from lcrp.values.sample import Annotation, Sample
from lcrp.values.target import ExplainedTarget, SkippedTarget, Target

Score = Literal["class", "objectness"]

MAX_CANDIDATES = 30_000
CLASS_SHIFT = 7_680.0  # pixels; moves the classes apart, so that one NMS serves them all
LISTED_DETECTIONS = 5
LISTED_NEAR = 3

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

    def predictions(self, output: NetworkOutput) -> list[Detections]:
        """The boxes kept of every image, on the CPU, in at least float32.

        Raises:
            ConfigError: the class names do not fit the output, or it has no objectness where that is to be explained.
        """
        assert isinstance(output, DetectorOutput)
        self._check(output)
        probabilities, objectness = output.class_probabilities(), output.objectness()
        if len(self.class_names) == 1 and output.objectness_logits is not None:
            probabilities = torch.ones_like(probabilities)
            self._tell()
        boxes = output.boxes.detach().to(probabilities)
        return [self._kept(*image) for image in zip(boxes, objectness, probabilities, strict=True)]

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

    def _kept(self, boxes: torch.Tensor, objectness: torch.Tensor, probabilities: torch.Tensor) -> Detections:
        """Detections of one image of boxes [M, 4], objectness [M] and class probabilities [M, K]."""
        best, labels = probabilities.max(dim=1)  # [M]
        confidence = objectness * best
        rows = ((objectness > self.confidence) & (confidence > self.confidence)).nonzero()[:, 0]
        rows = rows[confidence[rows].argsort(descending=True, stable=True)[:MAX_CANDIDATES]]
        shifted = boxes[rows].double() + CLASS_SHIFT * labels[rows, None]  # double: exact far from the origin too
        rows = rows[nms(shifted, confidence[rows].double(), self.iou)[: self.max_detections]]
        return Detections(
            rows=rows.cpu(),
            boxes=boxes[rows].cpu(),
            confidence=confidence[rows].cpu(),
            labels=labels[rows].cpu(),
            probabilities=probabilities[rows].cpu(),
            objectness=objectness[rows].cpu(),
        )

    def present_classes(self, annotation: Annotation) -> list[int]:
        """Class ids of the annotated boxes, ascending."""
        return sorted(set(annotation.labels.tolist()))

    def annotated_targets(self, prediction: Prediction, sample: Sample) -> Targets:
        """Best item of every annotated class; the classes that are not detected are skipped.

        Raises:
            TargetError: the sample has no annotation.
        """
        if sample.annotation is None:
            raise TargetError(f"{sample.key} has no annotation; explain its predicted targets instead")
        explained, skipped = [], []
        for class_id in self.present_classes(sample.annotation):
            target = Target(sample=sample.index, class_id=class_id)
            members = self._members(prediction, class_id)
            if members:
                explained.append(self._explained(prediction, members[0], target, sample.key))
            else:
                reason = f"not detected: no kept box has a class probability above {self.confidence:g}"
                skipped.append(SkippedTarget(target=target, key=sample.key, reason=reason))
        return explained, skipped

    def predicted_targets(self, prediction: Prediction, sample: Sample) -> Targets:
        """Every kept detection, most confident first: its best class, and its rank among the boxes of that class."""
        assert isinstance(prediction, Detections)
        labels = prediction.labels.tolist()
        members = {class_id: self._members(prediction, class_id) for class_id in set(labels)}
        explained = []
        for place, class_id in enumerate(labels):
            target = Target(sample=sample.index, class_id=class_id, item=members[class_id].index(place))
            explained.append(self._explained(prediction, place, target, sample.key))
        return explained, []

    def find(self, prediction: Prediction, sample_index: int, key: str, class_id: int, item: int) -> ExplainedTarget:
        """Item `item` (0 = best) of class `class_id`.

        Raises:
            TargetError: no such class, or fewer detections of it; the message says what is detected instead.
        """
        assert isinstance(prediction, Detections)
        if not 0 <= class_id < len(self.class_names):
            raise TargetError(f"class {class_id} does not exist: there are 0 to {len(self.class_names) - 1}")
        members = self._members(prediction, class_id)
        if not 0 <= item < len(members):
            name = f"'{self.class_names[class_id]}'"
            wanted = f"no item {item} of {name} (there are {len(members)})" if members else f"no {name}"
            raise TargetError(f"{wanted} in {key}: {self._listed(prediction)}")
        target = Target(sample=sample_index, class_id=class_id, item=item)
        return self._explained(prediction, members[item], target, key)

    def of_class(self, prediction: Prediction, sample: Sample, class_id: int) -> list[ExplainedTarget]:
        """All items of a class, best first."""
        members = self._members(prediction, class_id)
        targets = [Target(sample=sample.index, class_id=class_id, item=item) for item in range(len(members))]
        pairs = zip(members, targets, strict=True)
        return [self._explained(prediction, place, target, sample.key) for place, target in pairs]

    def match_box(self, prediction: Prediction, sample: Sample, box: Box, min_iou: float = 0.0) -> ExplainedTarget:
        """The detection with the highest IoU with `box`; its best class.

        Raises:
            TargetError: no detection overlaps the box, or none by `min_iou`.
        """
        assert isinstance(prediction, Detections)
        seen = torch.from_numpy(sample.geometry.boxes_to_picture(prediction.boxes.double().numpy()))
        overlap = box_iou(seen, torch.tensor([box], dtype=seen.dtype))[:, 0]  # [D]
        if not ((overlap > 0) & (overlap >= min_iou)).any():
            least = f" by an IoU of at least {min_iou:g}" if min_iou > 0 else ""
            near = self._near(prediction, seen, overlap)
            raise TargetError(f"no detection overlaps the box {_corners(box)}{least} in {sample.key}: {near}")
        place = int(overlap.argmax())
        class_id = int(prediction.labels[place])
        item = self._members(prediction, class_id).index(place)
        target = Target(sample=sample.index, class_id=class_id, item=item)
        return self._explained(prediction, place, target, sample.key)

    def class_probabilities(
        self,
        prediction: Prediction,
        explained: ExplainedTarget,
        region: torch.Tensor | None = None,  # noqa: ARG002
    ) -> torch.Tensor:
        """The class probabilities of a detection, without its objectness, [K]."""
        assert isinstance(prediction, Detections)
        return prediction.probabilities[prediction.rows == explained.row][0]

    def seed(
        self,
        output: NetworkOutput,
        explained: Sequence[ExplainedTarget | None],
        masks: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """1 at the logit of every target's box.

        Args:
            output: raw output for B images.
            explained: B targets; None for an image that takes no part.
            masks: must be None, a box is explained as a whole.

        Returns:
            Class logits and their seed [B, M, K], or objectness logits and their seed [B, M].

        Raises:
            TargetError: masks are given.
        """
        assert isinstance(output, DetectorOutput)
        if masks is not None:
            raise TargetError("a detection is explained as a whole: only segmentation can be restricted to a mask")
        logits = self._seeded(output)
        seed = torch.zeros_like(logits)
        for image, one in enumerate(explained):
            if one is not None:
                seed[_place(output, logits, image, one)] = 1
        return logits, seed

    def logits(
        self,
        output: NetworkOutput,
        explained: Sequence[ExplainedTarget],
        masks: torch.Tensor,  # noqa: ARG002
    ) -> torch.Tensor:
        """The logit that is seeded for each of B targets, at the row where it was found, [B]."""
        assert isinstance(output, DetectorOutput)
        logits = self._seeded(output).detach()
        return torch.stack([logits[_place(output, logits, image, one)] for image, one in enumerate(explained)])

    def object_mask(self, prediction: Prediction, explained: ExplainedTarget, size: tuple[int, int]) -> torch.Tensor:  # noqa: ARG002
        """[H, W] bool, every pixel that the target's box touches, in a picture of `size` (height, width)."""
        assert explained.box is not None
        height, width = size
        left, top, right, bottom = explained.box
        mask = torch.zeros(size, dtype=torch.bool)
        rows = slice(max(0, math.floor(top)), max(0, min(height, math.ceil(bottom))))
        mask[rows, max(0, math.floor(left)) : max(0, min(width, math.ceil(right)))] = True
        return mask

    def _seeded(self, output: DetectorOutput) -> torch.Tensor:
        """Class logits [B, M, K], or objectness logits [B, M]."""
        if not self._explains_objectness(output):
            return output.class_logits
        assert output.objectness_logits is not None
        return output.objectness_logits

    def _members(self, prediction: Prediction, class_id: int) -> list[int]:
        """Places of a class's detections among the kept ones, best first."""
        assert isinstance(prediction, Detections)
        probability = prediction.probabilities[:, class_id]
        rank_by = prediction.objectness if self.score == "objectness" else probability
        order = rank_by.argsort(descending=True, stable=True)  # detections lie by confidence, then row
        return [place for place in order.tolist() if probability[place] > self.confidence]

    def _explained(self, prediction: Prediction, place: int, target: Target, key: str) -> ExplainedTarget:
        assert isinstance(prediction, Detections)
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
        """What is detected, in words."""
        pairs = zip(prediction.labels.tolist(), prediction.confidence.tolist(), strict=True)
        texts = [f"'{self.class_names[label]}' {confidence:.2f}" for label, confidence in pairs]
        if not texts:
            return f"nothing is detected with a confidence above {self.confidence:g}"
        rest = f" and {len(texts) - LISTED_DETECTIONS} more" if len(texts) > LISTED_DETECTIONS else ""
        return f"detected are {', '.join(texts[:LISTED_DETECTIONS])}{rest}"

    def _near(self, prediction: Detections, boxes: torch.Tensor, overlap: torch.Tensor) -> str:
        """The detections nearest to a box, in words: those that overlap it, else all, with their boxes [D, 4]."""
        texts = [
            f"'{self.class_names[int(prediction.labels[place])]}' {float(prediction.confidence[place]):.2f} at "
            f"{_corners(boxes[place].tolist())}, IoU {float(overlap[place]):.2f}"
            for place in overlap.argsort(descending=True, stable=True)[:LISTED_NEAR].tolist()
        ]
        return f"nearest are {'; '.join(texts)}" if texts else self._listed(prediction)


def _corners(box: Sequence[float]) -> str:
    return f"({', '.join(f'{edge:.0f}' for edge in box)})"


def _place(output: DetectorOutput, logits: torch.Tensor, image: int, explained: ExplainedTarget) -> tuple[int, ...]:
    """Where a target's logit is among those of the raw output."""
    if logits.ndim == 2:
        return image, explained.row
    return image, explained.row, explained.target.class_id + output.has_background
