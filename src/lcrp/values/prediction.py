"""Predictions: what a network says, raw and selected.

Axes: B batch, M box of the raw output, D detection, R row of class logits, K class, L column of logits, Q bin of
a distance, H W picture.
"""

from dataclasses import dataclass

import torch


def at_least_float32(values: torch.Tensor) -> torch.Tensor:
    """The values, in float32 if their own type is less precise."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorOutput:
    """Raw output of a dense detector, differentiable, before any selection.

    Attributes:
        boxes: [B, M, 4] xyxy in input pixels.
        class_logits: [B, M, K] before the sigmoid; [B, M, 1 + K] before the softmax if there is a background.
        objectness_logits: [B, M] before the sigmoid; None for detectors without objectness.
        has_background: whether column 0 of the class logits is the background.
        is_one_to_one: whether the detector learned to give every object one row, so that it needs no NMS.
        is_class_trained: whether class scores mean anything; not those of YOLOv5's one class, which it never trains.
        masks: of every row; None for detectors of boxes alone.
        sides: [B, M, 4] distances (left, top, right, bottom) of a box's sides from the middle of its row's cell, in
            strides; None where boxes are made otherwise.
        bins: of which these are expectations; None where the network puts distances out as they are.
    """

    boxes: torch.Tensor
    class_logits: torch.Tensor
    objectness_logits: torch.Tensor | None
    has_background: bool = False
    is_one_to_one: bool = False
    is_class_trained: bool = True
    masks: "ObjectMasks | None" = None
    sides: torch.Tensor | None = None
    bins: "DistanceBins | None" = None

    def class_probabilities(self) -> torch.Tensor:
        """[B, M, K] of the classes, detached, in at least float32; ones if their scores mean nothing."""
        if not self.is_class_trained:
            return torch.ones_like(at_least_float32(self.class_logits.detach()))
        logits = at_least_float32(self.class_logits.detach())
        return logits.softmax(dim=-1)[..., 1:] if self.has_background else logits.sigmoid()

    def objectness(self) -> torch.Tensor:
        """[B, M], detached, in at least float32; ones for detectors without."""
        if self.objectness_logits is None:
            return torch.ones_like(at_least_float32(self.class_logits[..., 0].detach()))
        return at_least_float32(self.objectness_logits.detach()).sigmoid()


@dataclass(frozen=True, slots=True, kw_only=True)
class DistanceBins:
    """What distances of sides are expected of: sum_q v_q softmax(l)_q (Li et al., Generalized Focal Loss, 2020).

    Attributes:
        logits: [B, M, 4, Q] of every row's sides (left, top, right, bottom).
        values: [Q] distances, in strides.
    """

    logits: torch.Tensor
    values: torch.Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectMasks:
    """Masks of single objects, as sums of prototypes that all objects share (Bolya et al., YOLACT, 2019).

    Attributes:
        coefficients: [B, M, P] of every row.
        prototypes: [B, P, h, w], of which the row's coefficients make the logits of its mask.
        stride: pixels of the input per place of the prototypes.
    """

    coefficients: torch.Tensor
    prototypes: torch.Tensor
    stride: int

    def logits(self, image: int, rows: torch.Tensor) -> torch.Tensor:
        """Logits [D, h, w] of the masks of D rows, before each is cut to its box; detached, in at least float32."""
        chosen = at_least_float32(self.coefficients[image, rows].detach())
        return torch.einsum("dp,phw->dhw", chosen, at_least_float32(self.prototypes[image].detach()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Detections:
    """Boxes of one image that survived the thresholds and NMS, by descending confidence.

    Attributes:
        rows: [D] int64, rows of the raw output.
        boxes: [D, 4] xyxy in input pixels.
        confidence: [D] objectness times the best class probability.
        labels: [D] int64, the best class.
        probabilities: [D, K] class probabilities.
        objectness: [D] objectness (ones for detectors without).
        beside: [D, K] probabilities of all classes where a box was found, if `probabilities` are of its label alone.
        masks: [D, H, W] bool, pixels of the input that belong to each object; None for detectors of boxes alone.
    """

    rows: torch.Tensor
    boxes: torch.Tensor
    confidence: torch.Tensor
    labels: torch.Tensor
    probabilities: torch.Tensor
    objectness: torch.Tensor
    beside: torch.Tensor | None = None
    masks: torch.Tensor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptBoxes:
    """What a detector that selects its boxes itself decided about one picture, and the logits behind it.

    Attributes:
        boxes: [D, 4] xyxy in input pixels, detached, by descending score.
        class_ids: [D] int64.
        scores: [D], detached.
        rows: [D] int64, the row of class logits from which each score came.
        logits: [R, L] class logits before any selection, differentiable.
        columns: [K] int64, the column of every class.
        probabilities: [R, K] of the classes, detached.
        places: [M, 4] xyxy in input pixels, the proposals of the first M rows; None if a row is the same anchor in
            every picture.
        num_unnamed: boxes of columns that no class has, which are left out.
    """

    boxes: torch.Tensor
    class_ids: torch.Tensor
    scores: torch.Tensor
    rows: torch.Tensor
    logits: torch.Tensor
    columns: torch.Tensor
    probabilities: torch.Tensor
    places: torch.Tensor | None
    num_unnamed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSelection:
    """How a detector selects its boxes itself.

    Attributes:
        confidence: above which a score must be; None for no threshold.
        iou: above which NMS drops the less confident of two boxes of a class; None for no NMS.
        max_detections: at most so many; None for no such bound.
    """

    confidence: float | None = None
    iou: float | None = None
    max_detections: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptOutput:
    """Output of a detector that selects its boxes itself.

    Attributes:
        pictures: B of them.
        selection: how it selected; None where nobody knows.
    """

    pictures: tuple[KeptBoxes, ...]
    selection: OwnSelection | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassTally:
    """What a segmenter says of the mask of every class of one image, on the CPU, by class id.

    Attributes:
        area: [K] pixels.
        score: [K] mean logit over the mask; NaN where there is none.
        confidence: [K] mean probability over the mask.
        seed: [K] sum of what is seeded in the mask.
        kind: of the seed.
    """

    area: torch.Tensor
    score: torch.Tensor
    confidence: torch.Tensor
    seed: torch.Tensor
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassMap:
    """The classes of every pixel of one image.

    With a softmax every pixel is of the one class whose logit is the largest. With sigmoids it is of every class whose
    probability is above a threshold, and of the background, which may have no logit, where it is of no other.

    Attributes:
        labels: [H, W] int64, the class of the largest logit; 0 where no sigmoid is above its threshold.
        logits: [K, H, W], one for every class, or for every class but the first, the background.
        threshold: of the sigmoids; None for a softmax.
        has_bare_background: whether class 0 is a background without a logit.
        tally: what is known of every class, where the map lies on a device that is better asked once.
    """

    labels: torch.Tensor
    logits: torch.Tensor
    threshold: float | None = None
    has_bare_background: bool = False
    tally: "ClassTally | None" = None

    @classmethod
    def of(cls, logits: torch.Tensor, threshold: float | None, *, has_bare_background: bool) -> "ClassMap":
        """The classes of every pixel by their logits."""
        labels = logits.argmax(dim=0)
        if threshold is not None:
            labels = (labels + has_bare_background) * _is_above(logits, threshold).any(dim=0)
        return cls(labels=labels, logits=logits, threshold=threshold, has_bare_background=has_bare_background)

    def has_logit(self, class_id: int) -> bool:
        """Whether a class can be explained: all but a background without a logit."""
        return class_id >= self.has_bare_background

    def mask(self, class_id: int) -> torch.Tensor:
        """[H, W] bool, the pixels of a class."""
        if self.threshold is None or not self.has_logit(class_id):
            return self.labels == class_id
        return _is_above(self.logits[class_id - self.has_bare_background], self.threshold)

    def masks(self) -> torch.Tensor:
        """[K, H, W] bool, the pixels of every class."""
        num_classes = len(self.logits) + self.has_bare_background
        if self.threshold is None:
            return self.labels == torch.arange(num_classes, device=self.labels.device)[:, None, None]
        return torch.stack([self.mask(class_id) for class_id in range(num_classes)])

    def probabilities(self) -> torch.Tensor:
        """[K, H, W] of the classes; that of a background without a logit is that of no other class: 1 - max."""
        if self.threshold is None:
            return self.logits.softmax(dim=0)
        probabilities = self.logits.sigmoid()
        if not self.has_bare_background:
            return probabilities
        return torch.cat([1 - probabilities.amax(dim=0, keepdim=True), probabilities])


def _is_above(logits: torch.Tensor, threshold: float) -> torch.Tensor:
    return at_least_float32(logits).sigmoid() > threshold
