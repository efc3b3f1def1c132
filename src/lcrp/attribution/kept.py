"""Detection by networks that select their boxes themselves: a decision is a box of the network's own.

Axes: B batch, D detection, R row of class logits, K class, L column of logits.
"""

from collections.abc import Sequence

import torch
from torch.nn.functional import pad
from torchvision.ops import box_iou

from lcrp.attribution.boxes import BoxDecisions
from lcrp.errors import ConfigError, at_least, refuse, within
from lcrp.values.prediction import Detections, KeptBoxes, KeptOutput
from lcrp.values.target import ExplainedTarget

SAME_IOU = 0.5  # from which on a box of the same class is the same decision in another forward pass


class KeptDetectionTask(BoxDecisions):
    """Explains single detections of a network that applies thresholds and NMS itself.

    Kept are its boxes with a score > `confidence`, the `max_detections` most confident. Item k of class t is the k-th
    of them whose label is t. The seed is 1 at the class logit from which the score was computed, its sigmoid or
    softmax passed through.

    In another forward pass a decision is found again at the same row of class logits, if rows are anchors. Where rows
    are proposals, which are others in every picture, it is the box of its class that overlaps its box most, by an IoU
    of at least 0.5, else the proposal that overlaps its box most.

    `confidence` shows no box that the network's own threshold drops; that is a setting of the network.
    """

    def __init__(self, class_names: Sequence[str], *, confidence: float = 0.25, max_detections: int = 25) -> None:
        super().__init__(class_names, confidence=confidence)
        self.max_detections = max_detections
        refuse([*within("confidence", confidence, 0, 1), *at_least("max_detections", max_detections, 1)])

    def identity(self) -> dict[str, object]:
        """What decisions and seeds depend on, as plain values."""
        return {
            "name": "detection",
            "confidence": self.confidence,
            "max_detections": self.max_detections,
            "signed": True,
        }

    def predictions(self, output: KeptOutput) -> list[Detections]:
        """The boxes kept of every image, on the CPU, in at least float32.

        Raises:
            ConfigError: the class names do not fit the output.
        """
        return [self._prediction(picture) for picture in output.pictures]

    def _prediction(self, picture: KeptBoxes) -> Detections:
        if len(picture.columns) != len(self.class_names):
            raise ConfigError(
                f"the detector has {len(picture.columns)} classes, but {len(self.class_names)} class names are given"
            )
        order = picture.scores.argsort(descending=True, stable=True)
        order = order[picture.scores[order] > self.confidence][: self.max_detections]
        scores = picture.scores[order].to(picture.probabilities)
        labels = picture.class_ids[order]
        probabilities = torch.zeros(len(order), len(self.class_names)).to(scores)  # a box is of its label alone
        probabilities[torch.arange(len(order), device=labels.device), labels] = scores
        return Detections(
            rows=picture.rows[order].cpu(),
            boxes=picture.boxes[order].to(scores).cpu(),
            confidence=scores.cpu(),
            labels=labels.cpu(),
            probabilities=probabilities.cpu(),
            objectness=torch.ones_like(scores).cpu(),
            beside=picture.probabilities[picture.rows[order]].cpu(),
        )

    def class_confidences(self, prediction: Detections, explained: ExplainedTarget) -> torch.Tensor:
        """What the network would score its box with for every class, [K]: score_t p_k / p_t for target t.

        Of a score that is a geometric mean of p_t and a centreness (FCOS) the root of p_k / p_t is taken.
        """
        row = int((prediction.rows == explained.row).nonzero()[0, 0])
        assert prediction.beside is not None
        found = prediction.beside[row]
        own = found[explained.target.class_id]
        if torch.isclose(own, own.new_tensor(explained.confidence), rtol=1e-4, atol=1e-6):
            return found
        return explained.confidence * (found / own).sqrt()

    def seeded(self, output: KeptOutput) -> torch.Tensor:
        """Class logits [B, R, L]."""
        most = max(len(picture.logits) for picture in output.pictures)
        with torch.enable_grad():  # whatever the caller is about
            return torch.stack([pad(one.logits, (0, 0, 0, most - len(one.logits))) for one in output.pictures])

    def seed(
        self, output: KeptOutput, explained: Sequence[ExplainedTarget | None]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """1 at the logit of every target, among class logits [B, R, L]."""
        logits = self.seeded(output)
        seed = torch.zeros_like(logits)
        for image, one in enumerate(explained):
            if one is not None:
                seed[image, *_place(output.pictures[image], one)] = 1
        return logits, seed

    def logits(
        self,
        output: KeptOutput,
        explained: Sequence[ExplainedTarget],
        masks: torch.Tensor,  # noqa: ARG002
    ) -> torch.Tensor:
        """The logit that is seeded for each of B targets, [B], where the decision is found again."""
        pairs = zip(output.pictures, explained, strict=True)
        return torch.stack([picture.logits.detach()[_place(picture, one)] for picture, one in pairs])

    def readout(
        self,
        output: KeptOutput,
        class_ids: torch.Tensor,
        boxes: torch.Tensor,
        masks: torch.Tensor,  # noqa: ARG002
    ) -> torch.Tensor:
        """How sure the detector is of class t at box b: max_j IoU(b, b_j) s_j over its kept boxes of class t.

        The read-out of D-RISE (Petsiuk et al. 2021, equation 4, without the class-vector term), of every box that the
        network keeps, also below the task's confidence; 0 if it keeps none.
        """
        found = []
        for picture, class_id, box in zip(output.pictures, class_ids.tolist(), boxes, strict=True):
            of_class = picture.class_ids == class_id
            overlap = _overlap(box.to(picture.boxes)[None], picture.boxes[of_class])
            products = overlap * picture.scores[of_class]
            found.append(torch.cat((products, products.new_zeros(1))).max())
        return torch.stack(found)


def _place(picture: KeptBoxes, explained: ExplainedTarget) -> tuple[int, int]:
    """Row and column of the logit of a target that was found in this forward pass, or in another."""
    column = int(picture.columns[explained.target.class_id])
    if picture.places is None:
        return explained.row, column
    box = picture.boxes.new_tensor([explained.box])
    of_class = picture.class_ids == explained.target.class_id
    overlap = _overlap(box, picture.boxes[of_class])
    if len(overlap) and float(overlap.max()) >= SAME_IOU:
        return int(picture.rows[of_class][overlap.argmax()]), column
    if not len(picture.places):
        return 0, column
    return int(_overlap(box, picture.places).argmax()), column


def _overlap(box: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """IoU of a box [1, 4] with others [N, 4]; 0 of two without area."""
    overlap: torch.Tensor = box_iou(box, others)[0].nan_to_num()
    return overlap
