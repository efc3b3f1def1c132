"""Read-outs: one number per picture that says how sure a network is of one given object.

Unlike a target's score they exist for any picture, also where the object is no longer detected, so they can be compared
before and after a change of the picture.

Axes: B batch, M box of the raw output, K class, H W picture.
"""

import torch
from torchvision.ops import box_iou

from lcrp.values.prediction import DetectorOutput, at_least_float32


def box_readout(output: DetectorOutput, boxes: torch.Tensor, class_ids: torch.Tensor) -> torch.Tensor:
    """How sure a detector is of class t at box b: max_j IoU(b, b_j) p_jt, with p times objectness if there is one.

    The read-out of D-RISE (Petsiuk et al. 2021, equation 4, without the class-vector term).

    Args:
        output: raw output for B pictures.
        boxes: [B, 4] xyxy in input pixels, the object's box in each.
        class_ids: [B] int64.

    Returns:
        [B] in [0, 1].
    """
    probability = output.class_probabilities() * output.objectness()[..., None]  # [B, M, K]
    overlap = torch.stack(
        [box_iou(box[None], all_boxes)[0] for box, all_boxes in zip(boxes, output.boxes.detach(), strict=True)]
    )  # [B, M]
    rows = torch.arange(len(boxes), device=boxes.device)
    return (overlap * probability[rows, :, class_ids]).amax(dim=1)


def mask_readout(logits: torch.Tensor, masks: torch.Tensor, class_ids: torch.Tensor) -> torch.Tensor:
    """How sure a segmenter is of class t in a mask: the mean softmax probability of t over its pixels.

    Args:
        logits: [B, K, H, W].
        masks: [B, H, W] bool, the object's pixels in each picture; none may be empty.
        class_ids: [B] int64.

    Returns:
        [B] in [0, 1].
    """
    rows = torch.arange(len(masks), device=masks.device)
    return mean_in_masks(at_least_float32(logits.detach()).softmax(dim=1)[rows, class_ids], masks)


def mean_in_masks(values: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """The mean of values [B, H, W] over masks of the same shape, [B]."""
    return (values * masks).sum(dim=(1, 2)) / masks.sum(dim=(1, 2))
