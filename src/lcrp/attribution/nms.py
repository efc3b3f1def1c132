"""Which boxes of a detector's raw output are kept, and what removes the others.

Axes: M box of the raw output, N candidate, D detection, K class.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torchvision.ops import box_iou, nms

from lcrp.values.candidates import Candidates, Fate
from lcrp.values.prediction import Detections

MAX_CANDIDATES = 30_000
CLASS_SHIFT = 7_680.0  # pixels; moves the classes apart, so that one NMS serves them all
AT_ONCE = 1 << 22  # overlaps
ROUNDING = 1e-6  # of overlaps that are computed otherwise than within the NMS


@dataclass(frozen=True, slots=True, kw_only=True)
class Funnel:
    """What is left of the boxes of one image after each step, as rows of the raw output by descending confidence.

    Attributes:
        confidence: [M] objectness times the best class probability.
        labels: [M] the best class.
        above: rows above the threshold.
        best: the `MAX_CANDIDATES` best of them.
        apart: those that survive a class-wise NMS.
        kept: the most confident of them.
        shifted: [len(best), 4] boxes of `best` with the classes moved apart, in double: exact far from the origin too.
    """

    confidence: torch.Tensor
    labels: torch.Tensor
    above: torch.Tensor
    best: torch.Tensor
    apart: torch.Tensor
    kept: torch.Tensor
    shifted: torch.Tensor


def funnel(
    boxes: torch.Tensor,
    objectness: torch.Tensor,
    probabilities: torch.Tensor,
    *,
    confidence: float,
    iou: float | None,
    max_detections: int,
) -> Funnel:
    """How the boxes of one image become few.

    Args:
        boxes: [M, 4] xyxy.
        objectness: [M].
        probabilities: [M, K] of the classes.
        confidence: above which objectness, and its product with the best class probability, must be.
        iou: above which NMS drops the less confident of two boxes of a class; None for no NMS.
        max_detections: D at most.
    """
    best_probability, labels = probabilities.max(dim=1)  # [M]
    product = objectness * best_probability
    above = ((objectness > confidence) & (product > confidence)).nonzero()[:, 0]
    above = above[product[above].argsort(descending=True, stable=True)]
    best = apart = above[:MAX_CANDIDATES]
    shifted = boxes[best].double() + CLASS_SHIFT * labels[best, None]
    if iou is not None:
        apart = best[nms(shifted, product[best].double(), iou)]
    return Funnel(
        confidence=product,
        labels=labels,
        above=above,
        best=best,
        apart=apart,
        kept=apart[:max_detections],
        shifted=shifted,
    )


def kept_detections(
    boxes: torch.Tensor,
    objectness: torch.Tensor,
    probabilities: torch.Tensor,
    *,
    confidence: float,
    iou: float | None,
    max_detections: int,
) -> Detections:
    """The most confident boxes of one image that survive a class-wise NMS, on the CPU; arguments as of `funnel`."""
    steps = funnel(boxes, objectness, probabilities, confidence=confidence, iou=iou, max_detections=max_detections)
    rows = steps.kept
    return Detections(
        rows=rows.cpu(),
        boxes=boxes[rows].cpu(),
        confidence=steps.confidence[rows].cpu(),
        labels=steps.labels[rows].cpu(),
        probabilities=probabilities[rows].cpu(),
        objectness=objectness[rows].cpu(),
    )


def candidates_of(
    boxes: torch.Tensor,
    objectness: torch.Tensor,
    probabilities: torch.Tensor,
    *,
    confidence: float,
    iou: float | None,
    max_detections: int,
    least: float,
) -> Candidates:
    """The boxes of one image before the selection, and what removed each; arguments as of `funnel`.

    Args:
        boxes: [M, 4].
        objectness: [M].
        probabilities: [M, K].
        confidence: of a detection.
        iou: of the NMS.
        max_detections: D at most.
        least: score above which a row is a candidate; what is kept is one in any case.
    """
    steps = funnel(boxes, objectness, probabilities, confidence=confidence, iou=iou, max_detections=max_detections)
    fates = torch.full_like(steps.labels, Fate.BELOW_THRESHOLD)
    for rows, fate in (
        (steps.above, Fate.TOP_K),
        (steps.best, Fate.NMS),
        (steps.apart, Fate.MAX_DETECTIONS),
        (steps.kept, Fate.KEPT),
    ):
        fates[rows] = fate
    is_one = (steps.confidence > least) | (fates != Fate.BELOW_THRESHOLD)
    weak = (is_one & (fates == Fate.BELOW_THRESHOLD)).nonzero()[:, 0]
    rows = torch.cat([steps.above, weak])
    rows = rows[steps.confidence[rows].argsort(descending=True, stable=True)]
    place = torch.full_like(steps.labels, -1)
    place[rows] = torch.arange(len(rows), device=rows.device)
    neighbours = torch.full_like(steps.labels, -1)
    if iou is not None:
        lost = fates[steps.best] == Fate.NMS
        survivors = torch.isin(steps.best, steps.apart)
        winners = steps.best[survivors]
        found = suppressors(steps.shifted[lost], steps.shifted[survivors], iou)
        neighbours[steps.best[lost][found >= 0]] = place[winners[found[found >= 0]]]
    return Candidates(
        rows=_array(rows),
        boxes=_array(boxes[rows].double()),
        class_ids=_array(steps.labels[rows]),
        scores=_array(steps.confidence[rows].double()),
        fates=_array(fates[rows]).astype(np.int8),
        neighbours=_array(neighbours[rows]),
    )


def suppressors(lost: torch.Tensor, survivors: torch.Tensor, iou: float) -> torch.Tensor:
    """Number of the survivor of an NMS that dropped each of the boxes that are lost, [L] int64; -1 if none did.

    It is the most confident one whose IoU is above `iou`.

    Args:
        lost: [L, 4], classes moved apart.
        survivors: [S, 4] by descending score, likewise.
        iou: of the NMS.
    """
    found = []
    if not len(survivors):
        return torch.full((len(lost),), -1, dtype=torch.int64, device=lost.device)
    for part in torch.split(lost, max(1, AT_ONCE // len(survivors))):
        overlap = box_iou(part, survivors)  # [L, S]
        is_over = overlap > iou - ROUNDING
        found.append(torch.where(is_over.any(dim=1), is_over.int().argmax(dim=1), -1))
    return torch.cat(found) if found else torch.zeros(0, dtype=torch.int64, device=lost.device)


def _array(values: torch.Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    return values.detach().cpu().numpy()
