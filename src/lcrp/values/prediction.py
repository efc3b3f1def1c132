"""Predictions: what a network says, raw and selected.

Axes: B batch, M box of the raw output, D detection, K class, H W picture.
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
    """

    boxes: torch.Tensor
    class_logits: torch.Tensor
    objectness_logits: torch.Tensor | None
    has_background: bool = False

    def class_probabilities(self) -> torch.Tensor:
        """[B, M, K] of the classes, detached, in at least float32."""
        logits = at_least_float32(self.class_logits.detach())
        return logits.softmax(dim=-1)[..., 1:] if self.has_background else logits.sigmoid()

    def objectness(self) -> torch.Tensor:
        """[B, M], detached, in at least float32; ones for detectors without."""
        if self.objectness_logits is None:
            return torch.ones_like(at_least_float32(self.class_logits[..., 0].detach()))
        return at_least_float32(self.objectness_logits.detach()).sigmoid()


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
    """

    rows: torch.Tensor
    boxes: torch.Tensor
    confidence: torch.Tensor
    labels: torch.Tensor
    probabilities: torch.Tensor
    objectness: torch.Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassMap:
    """The class of every pixel of one image.

    Attributes:
        labels: [H, W] int64, argmax over the classes.
        logits: [K, H, W].
    """

    labels: torch.Tensor
    logits: torch.Tensor
