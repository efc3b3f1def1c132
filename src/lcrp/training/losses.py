"""What training minimises, for dense detectors and for segmenters.

Axes: B batch, N object (padded), M row of the output, K class, H W picture.
"""

from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional
from torchvision.ops import complete_box_iou_loss

from lcrp.training.assignment import assign
from lcrp.training.pictures import Truth
from lcrp.values.prediction import DetectorOutput
from lcrp.values.sample import VOID

BOX_WEIGHT = 3.0

Losses = dict[str, torch.Tensor]  # scalars by name; training minimises their sum


def detection_objective(network: nn.Module, images: torch.Tensor, truth: Truth) -> Losses:
    """Losses of a dense detector on normalised images [B, 3, H, W]."""
    height, width = images.shape[-2:]
    return detection_losses(network(images), network.cell_centres(height, width), truth)  # type: ignore[operator]


def segmentation_objective(network: nn.Module, images: torch.Tensor, truth: Truth) -> Losses:
    """Losses of a segmenter on normalised images [B, 3, H, W]."""
    return segmentation_losses(network(images), truth)


def detection_losses(output: DetectorOutput, centres: torch.Tensor, truth: Truth) -> Losses:
    """Losses of a dense detector, anchor-based or anchor-free.

    Classes and objectness: cross entropy over all rows, background included, so that a class score alone says that
    there is an object. Their soft targets are the certainty and the quality of a row's assignment: the class score
    tells that there is one, objectness how good the box is. Both are sigmoids; a softmax with a background gives it the
    rest of the certainty. Boxes: complete IoU loss (Zheng et al., AAAI 2020) over the rows that answer for an object.
    The first two are divided by the sum of their targets (at least 1), the last by the number of such rows.

    Args:
        output: of the network, B images, M rows.
        centres: [M, 2] of the cells of the rows, in input pixels.
        truth: what is in the images.
    """
    boxes, logits = output.boxes.float(), output.class_logits
    scores = replace(output, is_class_trained=True).class_probabilities()  # they are about to be
    assignment = assign(boxes.detach(), scores, centres, truth.boxes, truth.labels)
    foreground, certainty = assignment.foreground, assignment.certainty
    classes = truth.labels.gather(1, assignment.object_index)[foreground]
    class_target = torch.zeros_like(scores)
    class_target[foreground] = functional.one_hot(classes, class_target.shape[-1]) * certainty[foreground][:, None]
    losses = {"class": (_soft_cross_entropy if output.has_background else _cross_entropy)(logits, class_target)}
    if output.objectness_logits is not None:
        losses["objectness"] = _cross_entropy(output.objectness_logits, assignment.quality)
    target_boxes = truth.boxes.gather(1, assignment.object_index[..., None].expand(-1, -1, 4))
    deviation = complete_box_iou_loss(boxes[foreground], target_boxes[foreground], reduction="sum")
    return losses | {"box": BOX_WEIGHT * deviation / foreground.sum().clamp(min=1)}


def segmentation_losses(logits: torch.Tensor, truth: Truth) -> Losses:
    """Cross entropy of every pixel, and 1 - Dice (Milletari et al., 3DV 2016) averaged over the classes present.

    Void pixels do not count.

    Args:
        logits: [B, K, H, W].
        truth: with a class mask.
    """
    assert truth.class_mask is not None
    target = truth.class_mask.long()
    known = target != VOID
    probability = logits.softmax(dim=1) * known[:, None]
    one_hot = functional.one_hot(target.masked_fill(~known, 0), logits.shape[1]).permute(0, 3, 1, 2) * known[:, None]
    common = 2 * (probability * one_hot).sum(dim=(0, 2, 3))
    total = (probability + one_hot).sum(dim=(0, 2, 3))
    present = one_hot.sum(dim=(0, 2, 3)) > 0
    dice = (common / total.clamp(min=1e-6))[present].mean()
    return {"pixel": functional.cross_entropy(logits, target, ignore_index=VOID), "dice": 1 - dice}


def _soft_cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross entropy of a softmax with a leading background column over the sum of the targets without it."""
    background = 1 - target.sum(dim=-1, keepdim=True)
    full = torch.cat((background, target), dim=-1)
    return -(full * logits.log_softmax(dim=-1)).sum() / target.sum().clamp(min=1)


def _cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Binary cross entropy over the sum of its targets."""
    total = functional.binary_cross_entropy_with_logits(logits, target, reduction="sum")
    return total / target.sum().clamp(min=1)
