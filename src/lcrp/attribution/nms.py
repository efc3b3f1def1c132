"""Which boxes of a detector's raw output are kept.

Axes: M box of the raw output, D detection, K class.
"""

import torch
from torchvision.ops import nms

from lcrp.values.prediction import Detections

MAX_CANDIDATES = 30_000
CLASS_SHIFT = 7_680.0  # pixels; moves the classes apart, so that one NMS serves them all


def kept_detections(
    boxes: torch.Tensor,
    objectness: torch.Tensor,
    probabilities: torch.Tensor,
    *,
    confidence: float,
    iou: float | None,
    max_detections: int,
) -> Detections:
    """The most confident boxes of one image that survive a class-wise NMS, on the CPU.

    Args:
        boxes: [M, 4] xyxy.
        objectness: [M].
        probabilities: [M, K] of the classes.
        confidence: above which objectness, and its product with the best class probability, must be.
        iou: above which NMS drops the less confident of two boxes of a class; None for no NMS.
        max_detections: D at most.
    """
    best, labels = probabilities.max(dim=1)  # [M]
    product = objectness * best
    rows = ((objectness > confidence) & (product > confidence)).nonzero()[:, 0]
    rows = rows[product[rows].argsort(descending=True, stable=True)[:MAX_CANDIDATES]]
    if iou is not None:
        shifted = boxes[rows].double() + CLASS_SHIFT * labels[rows, None]  # double: exact far from the origin too
        rows = rows[nms(shifted, product[rows].double(), iou)]
    rows = rows[:max_detections]
    return Detections(
        rows=rows.cpu(),
        boxes=boxes[rows].cpu(),
        confidence=product[rows].cpu(),
        labels=labels[rows].cpu(),
        probabilities=probabilities[rows].cpu(),
        objectness=objectness[rows].cpu(),
    )
