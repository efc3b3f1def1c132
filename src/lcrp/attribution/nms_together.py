"""Which boxes of all pictures of a batch are kept: together on a device, which is asked once for all of them.

The same boxes as `lcrp.attribution.nms.kept_detections` keeps picture by picture: the most confident one, then the most
confident one whose overlap with none of these is above the IoU, and so on.

Axes: B picture, M box of the raw output, D detection, K class.
"""

import torch

from lcrp.attribution.nms import CLASS_SHIFT, MAX_CANDIDATES
from lcrp.values import devices
from lcrp.values.prediction import Detections

_UNASKED = 32  # detections that are looked for in all pictures before it is asked whether any candidate is left


def detections_together(
    boxes: torch.Tensor,
    objectness: torch.Tensor,
    probabilities: torch.Tensor,
    *,
    confidence: float,
    iou: float | None,
    max_detections: int,
) -> list[Detections]:
    """The most confident boxes of every image that survive a class-wise NMS, on the CPU.

    Args:
        boxes: [B, M, 4] xyxy.
        objectness: [B, M].
        probabilities: [B, M, K] of the classes.
        confidence: as of `funnel`.
        iou: as of `funnel`.
        max_detections: as of `funnel`.
    """
    best, labels = probabilities.max(dim=2)  # [B, M]
    product = objectness * best
    is_above = (objectness > confidence) & (product > confidence)
    left = product.masked_fill(~is_above, -torch.inf)
    if left.shape[1] > MAX_CANDIDATES:
        order = left.argsort(dim=1, descending=True, stable=True)
        left = left.scatter(1, order[:, MAX_CANDIDATES:], -torch.inf)
    shifted = boxes.double() + CLASS_SHIFT * labels[..., None]
    rows = _survivors(left, shifted, iou, min(max_detections, left.shape[1]))  # [B, D]
    places = rows.clamp(min=0)
    of_boxes = [places[..., None].expand(-1, -1, values.shape[2]) for values in (boxes, probabilities)]
    columns = devices.fetched(
        rows,
        boxes.gather(1, of_boxes[0]),
        product.gather(1, places),
        labels.gather(1, places),
        probabilities.gather(1, of_boxes[1]),
        objectness.gather(1, places),
    )
    return [_detections(*(column[image] for column in columns)) for image in range(len(boxes))]


def _survivors(left: torch.Tensor, boxes: torch.Tensor, iou: float | None, most: int) -> torch.Tensor:
    """Rows [B, D] of the boxes that are kept, by descending score, the lower row first among equals; -1 behind them.

    Args:
        left: [B, M] scores, minus infinity for what is no candidate.
        boxes: [B, M, 4], classes moved apart.
        iou: above which the less confident of two is dropped; None for no NMS.
        most: D.
    """
    if iou is None:
        score, rows = left.sort(dim=1, descending=True, stable=True)
        return rows.masked_fill(score == -torch.inf, -1)[:, :most]
    areas = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])  # [B, M]
    found = []
    for number in range(most):
        if number % _UNASKED == 0 and number and not devices.fetched(left.isfinite().any())[0]:
            break
        score, row = left.max(dim=1, keepdim=True)  # [B, 1], the first of equal ones
        found.append(row.masked_fill(score == -torch.inf, -1))
        box = boxes.gather(1, row[..., None].expand(-1, -1, 4))  # [B, 1, 4]
        sides = (torch.minimum(box[..., 2:], boxes[..., 2:]) - torch.maximum(box[..., :2], boxes[..., :2])).clamp(min=0)
        shared = sides[..., 0] * sides[..., 1]  # [B, M]
        overlap = shared / (areas.gather(1, row) + areas - shared)
        left = left.masked_fill(overlap > iou, -torch.inf).scatter(1, row, -torch.inf)
    return torch.cat(found, dim=1)


def _detections(rows: torch.Tensor, *columns: torch.Tensor) -> Detections:
    """Of one image, from its rows [D], -1 behind the last, and what is told of them."""
    count = int((rows >= 0).sum())
    names = ("rows", "boxes", "confidence", "labels", "probabilities", "objectness")
    return Detections(**{name: column[:count] for name, column in zip(names, (rows, *columns), strict=True)})
