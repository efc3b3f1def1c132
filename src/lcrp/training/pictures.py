"""Pictures that a network is trained on, in memory, and their augmentation.

Axes: P picture, B batch, N object (padded), H W picture. Boxes are xyxy in pixels.
"""

from dataclasses import dataclass

import torch
from torch.nn import functional

NO_OBJECT = -1  # label of padding
JITTER = 0.2  # brightness, contrast and saturation change by at most this factor


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What is in the pictures.

    Attributes:
        boxes: [B, N, 4] float32.
        labels: [B, N] int64, -1 where there is no further object.
        class_mask: [B, H, W] uint8, 255 = void; None where the dataset has none.
    """

    boxes: torch.Tensor
    labels: torch.Tensor
    class_mask: torch.Tensor | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """All pictures of a dataset.

    Attributes:
        images: [P, 3, H, W] uint8 RGB.
        truth: what is in them, B = P.
    """

    images: torch.Tensor
    truth: Truth

    def __len__(self) -> int:
        return len(self.images)


def augmented_batch(
    pictures: Pictures, rows: torch.Tensor, side: int, generator: torch.Generator
) -> tuple[torch.Tensor, Truth]:
    """Some of the pictures, resized, some of them mirrored, with slightly altered colours.

    Args:
        pictures: all pictures.
        rows: [B] which to take.
        side: longer side of the result, in pixels.
        generator: of the random choices.

    Returns:
        Images [B, 3, h, w] float32 in [0, 1] and what is in them.
    """
    images, truth = resized(
        pictures.images[rows].float() / 255,
        Truth(
            boxes=pictures.truth.boxes[rows],
            labels=pictures.truth.labels[rows],
            class_mask=None if pictures.truth.class_mask is None else pictures.truth.class_mask[rows],
        ),
        side,
    )
    mirrored = torch.rand(len(rows), generator=generator) < 0.5
    images, truth = flipped(images, truth, mirrored)
    return jittered(images, 1 + JITTER * (2 * torch.rand(3, len(rows), 1, 1, 1, generator=generator) - 1)), truth


def resized(images: torch.Tensor, truth: Truth, side: int) -> tuple[torch.Tensor, Truth]:
    """Images whose longer side is `side`, with their boxes and masks."""
    height, width = images.shape[-2:]
    scale = side / max(height, width)
    if scale == 1:
        return images, truth
    size = (round(height * scale), round(width * scale))
    mask = truth.class_mask
    if mask is not None:
        mask = functional.interpolate(mask[:, None], size=size, mode="nearest-exact")[:, 0]
    smaller = functional.interpolate(images, size=size, mode="bilinear", antialias=True)
    return smaller, Truth(boxes=truth.boxes * scale, labels=truth.labels, class_mask=mask)


def flipped(images: torch.Tensor, truth: Truth, mirrored: torch.Tensor) -> tuple[torch.Tensor, Truth]:
    """Images mirrored left to right where `mirrored` [B] says so, with their boxes and masks."""
    left, top, right, bottom = truth.boxes.unbind(-1)
    width = images.shape[-1]
    other = torch.stack((width - right, top, width - left, bottom), dim=-1)
    mask = truth.class_mask
    if mask is not None:
        mask = torch.where(mirrored[:, None, None], mask.flip(-1), mask)
    return torch.where(mirrored[:, None, None, None], images.flip(-1), images), Truth(
        boxes=torch.where(mirrored[:, None, None], other, truth.boxes), labels=truth.labels, class_mask=mask
    )


def jittered(images: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Images with other brightness, contrast and saturation.

    Args:
        images: [B, 3, H, W] in [0, 1].
        factors: [3, B, 1, 1, 1] for brightness, contrast and saturation; 1 leaves a picture as it is.
    """
    brightness, contrast, saturation = factors
    grey = images.mean(dim=1, keepdim=True)
    images = grey + (images - grey) * saturation
    mean = grey.mean(dim=(1, 2, 3), keepdim=True)
    altered: torch.Tensor = (mean + (images - mean) * contrast) * brightness
    return altered.clamp(0, 1)
