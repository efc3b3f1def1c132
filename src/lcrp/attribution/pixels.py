"""Pixels of pictures and boxes, [H, W] bool."""

import math

import torch
from torchvision.ops import box_iou

from lcrp.values.geometry import Box
from lcrp.values.sample import Annotation, Sample


def content_mask(sample: Sample) -> torch.Tensor:
    """The picture without the bars around it."""
    top, left, bottom, right = sample.geometry.content()
    mask = torch.zeros(sample.image.shape[1:], dtype=torch.bool)
    mask[top:bottom, left:right] = True
    return mask


def touched_pixels(box: Box, size: tuple[int, int]) -> torch.Tensor:
    """Every pixel of a picture of `size` (height, width) that a box, xyxy in input pixels, touches."""
    height, width = size
    left, top, right, bottom = box
    mask = torch.zeros(size, dtype=torch.bool)
    rows = slice(max(0, math.floor(top)), max(0, min(height, math.ceil(bottom))))
    mask[rows, max(0, math.floor(left)) : max(0, min(width, math.ceil(right)))] = True
    return mask


def centred_pixels(box: Box, like: torch.Tensor) -> torch.Tensor:
    """The pixels of a map `like` [H, W] whose centre lies in a box, xyxy in input pixels."""
    left, top, right, bottom = box
    height, width = like.shape
    y = torch.arange(height, device=like.device) + 0.5
    x = torch.arange(width, device=like.device) + 0.5
    return ((y >= top) & (y < bottom))[:, None] & ((x >= left) & (x < right))


def annotated_object(annotation: Annotation, box: Box, size: tuple[int, int], *, is_exact: bool) -> torch.Tensor | None:
    """The annotated object that overlaps a box most (IoU), in a picture of `size`; None if none does.

    Args:
        annotation: of the picture.
        box: xyxy in input pixels.
        size: (height, width).
        is_exact: take its mask, if it has one, instead of its box.
    """
    overlap = box_iou(annotation.boxes.double(), torch.tensor([box], dtype=torch.float64))[:, 0]  # [N]
    if not (overlap > 0).any():
        return None
    row = int(overlap.argmax())
    if is_exact and annotation.masks is not None:
        return annotation.masks[row]
    left, top, right, bottom = annotation.boxes[row].tolist()
    return touched_pixels((left, top, right, bottom), size)
