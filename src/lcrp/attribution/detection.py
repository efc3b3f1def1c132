"""Detection: which boxes are kept, which of them are targets, and how each is seeded.

Axes: B batch, M box of the raw output, D detection, K class, H W picture.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, get_args

import torch

from lcrp.attribution.boxes import BoxDecisions, best_fit
from lcrp.attribution.contrast import check_other, contrast, other_class
from lcrp.attribution.instances import both_factors, mask_logits, mask_seed, predicted_masks
from lcrp.attribution.nms import candidates_of, kept_detections
from lcrp.attribution.nms_together import detections_together
from lcrp.attribution.readout import box_readout
from lcrp.attribution.sides import SIDES, is_linearised, side_sizes
from lcrp.errors import ConfigError, at_least, one_of, refuse, within
from lcrp.values import devices
from lcrp.values.candidates import Candidates
from lcrp.values.geometry import Box
from lcrp.values.prediction import Detections, DetectorOutput
from lcrp.values.target import ExplainedTarget

Score = Literal["class", "objectness"]
Read = Literal["class", "objectness", "mask", "left", "top", "right", "bottom"]

logger = logging.getLogger(__name__)


class DetectionTask(BoxDecisions):
    """Explains single detections.

    Kept are the boxes with objectness > `confidence` and objectness * max_c p_c > `confidence` that survive a
    class-wise NMS, the `max_detections` most confident. Item k of class t is the k-th kept box by p_t among those with
    p_t > `confidence` (ties: by confidence, then by row). The seed is 1 at the chosen logit, its sigmoid passed through
    (Dreyer et al. 2023, section 3.2).

    With `score='objectness'` the objectness logit is explained and ranks the boxes of a class. Where the class score
    was never trained (YOLOv5's of one class), objectness takes its place. `read` explains something else of the same
    decisions: the logit of their class, of objectness, those of their mask, or how far out a side of their box lies
    (`lcrp.attribution.sides` where distances are expected over bins). `instead` explains by how much the logit of their
    class exceeds that of another (`lcrp.attribution.contrast`).
    """

    options = ("read", "instead")  # settings without which a decision is the same

    def __init__(
        self,
        class_names: Sequence[str],
        *,
        score: Score = "class",
        confidence: float = 0.25,
        iou: float = 0.45,
        max_detections: int = 25,
        read: Read | None = None,
        instead: str | int | None = None,
    ) -> None:
        super().__init__(class_names, confidence=confidence, by_objectness=score == "objectness")
        self.instead = other_class(instead, self.class_names)
        self.score = score
        self.read = None if read == score else read
        self.iou = iou
        self.max_detections = max_detections
        shares = (*within("confidence", confidence, 0, 1), *within("iou", iou, 0, 1))
        kinds = (*one_of("score", score, get_args(Score)), *one_of("read", read or score, get_args(Read)))
        both = [f"instead contrasts classes, and read={read} is none; leave one of them out"]
        both *= instead is not None and read not in (None, "class")
        refuse([*kinds, *shares, *at_least("max_detections", max_detections, 1), *both])
        self._has_told = False

    def identity(self) -> dict[str, object]:
        """What decisions and seeds depend on, as plain values."""
        return {
            "name": "detection",
            "score": self.score,
            "confidence": self.confidence,
            "iou": self.iou,
            "max_detections": self.max_detections,
            "signed": True,
            **({} if self.read is None else {"read": self.read}),
            **({} if self.instead is None else {"instead": self.instead}),
        }

    def predictions(self, output: DetectorOutput) -> list[Detections]:
        """The boxes kept of every image, on the CPU, in at least float32.

        Raises:
            ConfigError: the class names do not fit the output, or it has no objectness where that is to be explained.
        """
        iou = None if output.is_one_to_one else self.iou
        limits = {"confidence": self.confidence, "iou": iou, "max_detections": self.max_detections}
        batch = self._batch(output)
        if devices.waits(output.boxes):
            kept = detections_together(*batch, **limits)  # type: ignore[arg-type]
        else:
            kept = [kept_detections(*image, **limits) for image in zip(*batch, strict=True)]  # type: ignore[arg-type]
        if output.masks is None:
            return kept
        masks = [predicted_masks(output.masks, image, one.rows, one.boxes) for image, one in enumerate(kept)]
        return [replace(one, masks=own) for one, own in zip(kept, masks, strict=True)]

    def candidates(
        self,
        output: DetectorOutput,
        opened: DetectorOutput | None = None,  # noqa: ARG002
        *,
        least: float,
    ) -> list[Candidates]:
        """What might have been kept of every image, and what removed each.

        Args:
            output: of the network.
            opened: nothing here: `output` has all rows.
            least: confidence above which a row is a candidate, whatever the threshold.
        """
        iou = None if output.is_one_to_one else self.iou
        limits = {"confidence": self.confidence, "max_detections": self.max_detections, "least": least}
        return [candidates_of(*image, iou=iou, **limits) for image in zip(*self._batch(output), strict=True)]  # type: ignore[arg-type]

    def best_at(
        self, output: DetectorOutput, class_id: int, box: Box, *, row: int | None = None, image: int = 0
    ) -> Detections | None:
        """As `BoxDecisions.best_at`; `output` has all rows."""
        boxes, objectness, probabilities = (values[image] for values in self._batch(output))
        scores = objectness * probabilities[:, class_id]
        place = best_fit(boxes, scores, box) if row is None else row
        if place is None:
            return None
        return Detections(
            rows=torch.tensor([place]),
            boxes=boxes[[place]].cpu(),
            confidence=scores[[place]].cpu(),
            labels=torch.tensor([class_id]),
            probabilities=probabilities[[place]].cpu(),
            objectness=objectness[[place]].cpu(),
        )

    def _batch(self, output: DetectorOutput) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Boxes [B, M, 4], objectness [B, M] and class probabilities [B, M, K], from which boxes are selected."""
        self._check(output)
        probabilities, objectness = output.class_probabilities(), output.objectness()
        if not output.is_class_trained:
            self._tell()
        return output.boxes.detach().to(probabilities), objectness, probabilities

    def _explains_objectness(self, output: DetectorOutput) -> bool:
        if self.instead is not None:
            return False
        if self.read is not None:
            return self.read == "objectness"
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
            raise ConfigError("'objectness' cannot be explained: the detector has none; choose 'class'")
        if output.sides is None and self.read in SIDES:
            raise ConfigError(
                f"read '{self.read}' cannot be explained: this detector puts out no sides of boxes, as do "
                "YOLOv8, YOLO11 and YOLO26; choose 'class'"
            )
        if output.masks is None and self.read == "mask":
            raise ConfigError("read 'mask' cannot be explained: the detector predicts boxes alone; choose 'class'")

    @property
    def seeds_logits(self) -> bool:
        """Whether seeds lie on logits; those of masks lie on coefficients and prototypes."""
        return self.read != "mask"

    def seeded(self, output: DetectorOutput) -> torch.Tensor:
        """Class logits [B, M, K], objectness logits [B, M], the factors of all masks [B, M P + P h w], or sides.

        Sides are distances [B, M, 4], or the logits of their bins [B, M, 4, Q].
        """
        if self.read == "mask":
            assert output.masks is not None
            return both_factors(output.masks)
        if self.read in SIDES:
            assert output.sides is not None
            return output.sides if output.bins is None else output.bins.logits
        if not self._explains_objectness(output):
            return output.class_logits
        assert output.objectness_logits is not None
        return output.objectness_logits

    def seed(
        self, output: DetectorOutput, explained: Sequence[ExplainedTarget | None]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """1 at the logit of every target's box, among class logits [B, M, K] or objectness logits [B, M].

        Of masks as `mask_seed`, of two classes as `contrast`, of bins as `side_sizes`.
        """
        if self.read == "mask":
            assert output.masks is not None
            return mask_seed(output.masks, explained, self.class_names)
        logits = self.seeded(output)
        seed = torch.zeros_like(logits)
        for image, one in enumerate(explained):
            if one is None:
                continue
            place = self._place(output, logits, image, one)
            if is_linearised(self, output):
                assert output.bins is not None
                seed[place] = side_sizes(output.bins, place)
                continue
            if self.instead is None:
                seed[place].fill_(1)
                continue
            check_other(one.target.class_id, self.instead, self.class_names)
            other = (*place[:-1], self.instead + output.has_background)
            seed[place], seed[other] = contrast(logits.detach()[place], logits.detach()[other])
        return logits, seed

    def logits(
        self,
        output: DetectorOutput,
        explained: Sequence[ExplainedTarget],
        masks: torch.Tensor,
    ) -> torch.Tensor:
        """The logit that is seeded for each of B targets, at the row where it was found, [B].

        Of masks it is their mean, of sides their distance in strides.
        """
        if self.read == "mask":
            assert output.masks is not None
            return mask_logits(output.masks, explained, masks)
        read = output.sides if self.read in SIDES else self.seeded(output)
        assert read is not None
        logits = read.detach()
        return torch.stack([logits[self._place(output, logits, image, one)] for image, one in enumerate(explained)])

    def readout(
        self,
        output: DetectorOutput,
        class_ids: torch.Tensor,
        boxes: torch.Tensor,
        masks: torch.Tensor,  # noqa: ARG002
    ) -> torch.Tensor:
        """How sure the detector is of classes at boxes, as `box_readout`."""
        return box_readout(output, boxes.to(output.boxes), class_ids.to(output.boxes.device))

    def _place(
        self, output: DetectorOutput, logits: torch.Tensor, image: int, explained: ExplainedTarget
    ) -> tuple[int, ...]:
        """Where a target's logit is among those of the raw output."""
        if logits.ndim == 2:
            return image, explained.row
        if self.read in SIDES:
            return image, explained.row, SIDES.index(self.read)
        return image, explained.row, explained.target.class_id + output.has_background
