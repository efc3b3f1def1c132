"""Detection: which boxes are kept, which of them are targets, and how each is seeded.

Axes: B batch, M box of the raw output, D detection, K class, H W picture.
"""

import logging
from collections.abc import Sequence
from typing import Literal, get_args

import torch

from lcrp.attribution.boxes import BoxDecisions
from lcrp.attribution.nms import kept_detections
from lcrp.attribution.readout import box_readout
from lcrp.errors import ConfigError, at_least, one_of, refuse, within
from lcrp.values.prediction import Detections, DetectorOutput
from lcrp.values.target import ExplainedTarget

Score = Literal["class", "objectness"]

logger = logging.getLogger(__name__)


class DetectionTask(BoxDecisions):
    """Explains single detections.

    Kept are the boxes with objectness > `confidence` and objectness * max_c p_c > `confidence` that survive a
    class-wise NMS, the `max_detections` most confident. Item k of class t is the k-th kept box by p_t among those with
    p_t > `confidence` (ties: by confidence, then by row). The seed is 1 at the chosen logit, its sigmoid passed through
    (Dreyer et al. 2023, section 3.2).

    With `score='objectness'` the objectness logit is explained and ranks the boxes of a class. Where the class score
    was never trained (YOLOv5's of one class), objectness takes its place.
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
        super().__init__(class_names, confidence=confidence, by_objectness=score == "objectness")
        self.score = score
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
        if not output.is_class_trained:
            self._tell()
        boxes = output.boxes.detach().to(probabilities)
        images = zip(boxes, objectness, probabilities, strict=True)
        iou = None if output.is_one_to_one else self.iou
        return [
            kept_detections(*image, confidence=self.confidence, iou=iou, max_detections=self.max_detections)
            for image in images
        ]

    def _explains_objectness(self, output: DetectorOutput) -> bool:
        return self.score == "objectness" or not output.is_class_trained

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
        if output.objectness_logits is None and self._explains_objectness(output):
            raise ConfigError("score 'objectness' cannot be explained: the detector has none; choose score 'class'")

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

    def readout(
        self,
        output: DetectorOutput,
        class_ids: torch.Tensor,
        boxes: torch.Tensor,
        masks: torch.Tensor,  # noqa: ARG002
    ) -> torch.Tensor:
        """How sure the detector is of classes at boxes, as `box_readout`."""
        return box_readout(output, boxes.to(output.boxes), class_ids.to(output.boxes.device))


def _place(output: DetectorOutput, logits: torch.Tensor, image: int, explained: ExplainedTarget) -> tuple[int, ...]:
    """Where a target's logit is among those of the raw output."""
    if logits.ndim == 2:
        return image, explained.row
    return image, explained.row, explained.target.class_id + output.has_background
