"""Which rows of a dense detector answer for which object: task-aligned assignment.

Axes: B batch, N object (padded), M row of the output, K class. Boxes are xyxy in pixels.
"""

from dataclasses import dataclass

import torch

TOP_ROWS = 10  # per object
IOU_POWER = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """The object of every row, and how well the row fits it.

    Attributes:
        object_index: [B, M] int64, index of the row's object; meaningless in the background.
        foreground: [B, M] bool, whether the row answers for an object.
        certainty: [B, M] in [0, 1], 0 in the background; the best row of an object has 1.
        quality: [B, M] in [0, 1], 0 in the background; the best row of an object has its best IoU.
    """

    object_index: torch.Tensor
    foreground: torch.Tensor
    certainty: torch.Tensor
    quality: torch.Tensor


@torch.no_grad()
def assign(
    boxes: torch.Tensor,
    scores: torch.Tensor,
    centres: torch.Tensor,
    truth_boxes: torch.Tensor,
    truth_labels: torch.Tensor,
) -> Assignment:
    """Task-aligned assignment (Feng et al., TOOD, ICCV 2021, section 3.2).

    A row's alignment with an object is t = s u^6, with s its score for the object's class and u the IoU of their
    boxes. The ten best-aligned rows whose cell has its centre in the object answer for it (the nearest cells if there
    is no such row); a row wanted by several objects takes the one that it overlaps most. Certainty and quality are t,
    scaled for each object so that the maximum is 1 and the object's best IoU (the paper has the latter only). Rows of
    anchors and of anchor-free cells are treated alike.

    Args:
        boxes: [B, M, 4] predicted.
        scores: [B, M, K] class probabilities.
        centres: [M, 2] centre of every row's cell.
        truth_boxes: [B, N, 4].
        truth_labels: [B, N], -1 where there is no object.
    """
    exists = truth_labels >= 0  # [B, N]
    overlap = pairwise_iou(truth_boxes, boxes)  # [B, N, M]
    rows_of_class = truth_labels.clamp(min=0)[..., None].expand(-1, -1, boxes.shape[1])
    score = scores.transpose(1, 2).gather(1, rows_of_class)  # [B, N, M]
    alignment = score * overlap**IOU_POWER
    candidates = _candidates(centres, truth_boxes) & exists[..., None]
    best = alignment.masked_fill(~candidates, -1).topk(min(TOP_ROWS, boxes.shape[1]), dim=-1).indices
    chosen = torch.zeros_like(candidates).scatter_(-1, best, True) & candidates
    object_index = overlap.masked_fill(~chosen, -1).argmax(dim=1)  # [B, M]
    chosen &= torch.zeros_like(chosen).scatter_(1, object_index[:, None], True)
    alignment = alignment * chosen
    certainty = alignment / alignment.amax(-1, keepdim=True).clamp(min=1e-30)  # [B, N, M]
    quality = certainty * (overlap * chosen).amax(-1, keepdim=True)
    return Assignment(
        object_index=object_index,
        foreground=chosen.any(dim=1),
        certainty=certainty.amax(dim=1),
        quality=quality.amax(dim=1),
    )


def pairwise_iou(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Intersection over union of every box [B, N, 4] with every box [B, M, 4]: [B, N, M]."""
    corner = torch.maximum(first[:, :, None, :2], second[:, None, :, :2])
    opposite = torch.minimum(first[:, :, None, 2:], second[:, None, :, 2:])
    common = (opposite - corner).clamp(min=0).prod(dim=-1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(dim=-1) for boxes in (first, second)]
    return common / (areas[0][:, :, None] + areas[1][:, None] - common).clamp(min=1e-9)


def _candidates(centres: torch.Tensor, truth_boxes: torch.Tensor) -> torch.Tensor:
    """Rows whose cell has its centre in the object, or is the nearest to it: [B, N, M] bool."""
    corner, opposite = truth_boxes[:, :, None, :2], truth_boxes[:, :, None, 2:]
    inside = torch.minimum(centres - corner, opposite - centres).amin(dim=-1) > 0
    distance = (centres - (corner + opposite) / 2).square().sum(dim=-1)
    nearest = distance <= distance.amin(dim=-1, keepdim=True)
    return torch.where(inside.any(dim=-1, keepdim=True), inside, nearest)
