"""Objects cut out of their pictures and put elsewhere, with feathered seams.

Axes: H W picture.
"""

from dataclasses import dataclass, replace

import torch
from torch.nn.functional import avg_pool2d, interpolate

from lcrp.values.geometry import Box

FEATHER = 0.01  # width of the seam outside an object, as a share of the picture's shorter side
MARGIN = 0.02  # around objects that are filled, likewise: soft edges and shadows go with them


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutout:
    """An object that can be put before other grounds.

    Attributes:
        image: [3, H, W] the picture in which it stands.
        mask: [H, W] bool, its pixels.
        opacity: [H, W] 1 on the object, falling to 0 over the width of the seam outside it.
        box: xyxy.
    """

    image: torch.Tensor
    mask: torch.Tensor
    opacity: torch.Tensor
    box: Box

    @classmethod
    def of(cls, image: torch.Tensor, mask: torch.Tensor, box: Box) -> "Cutout":
        """An object [H, W] of a picture [3, H, W]."""
        width = pixels_of(FEATHER, mask)
        opacity = mask.to(image.dtype)
        for step in range(1, width + 1):
            rim = grown(mask, step) & (opacity == 0)
            opacity = torch.where(rim, 1.0 - step / (width + 1), opacity)
        return cls(image=image, mask=mask, opacity=opacity, box=box)

    def before(self, ground: torch.Tensor) -> torch.Tensor:
        """The object before a ground [3, H, W]; nothing of its own pixels is lost."""
        return self.opacity * self.image + (1 - self.opacity) * ground

    def moved(self, right: int, down: int) -> "Cutout":
        """The same so many pixels further right and down; what leaves the picture is lost."""
        if not right and not down:
            return self
        left, top, right_side, bottom = self.box
        image, mask, opacity = (_shifted(values, right, down) for values in (self.image, self.mask, self.opacity))
        return replace(
            self,
            image=image,
            mask=mask,
            opacity=opacity,
            box=(left + right, top + down, right_side + right, bottom + down),
        )


def way_to(box: Box, other: Box, content: tuple[int, int, int, int]) -> tuple[int, int]:
    """How far right and down a box goes to stand where another one stands: the middle of its foot meets the other's.

    Args:
        box: xyxy.
        other: where it goes.
        content: top, left, bottom and right of the picture, which it does not leave.
    """
    top, left, bottom, right = content
    across = (other[0] + other[2] - box[0] - box[2]) / 2
    down = other[3] - box[3]
    return _within(across, left - box[0], right - box[2]), _within(down, top - box[1], bottom - box[3])


def _within(wanted: float, least: float, most: float) -> int:
    return round(max(min(wanted, max(most, 0.0)), min(least, 0.0)))


def _shifted(values: torch.Tensor, right: int, down: int) -> torch.Tensor:
    """[..., H, W] moved; zeros come in."""
    height, width = values.shape[-2:]
    moved = torch.zeros_like(values)
    rows, columns = _overlap(down, height), _overlap(right, width)
    moved[..., rows[1], columns[1]] = values[..., rows[0], columns[0]]
    return moved


def _overlap(step: int, size: int) -> tuple[slice, slice]:
    """What stays in sight, before and after a step."""
    step = max(-size, min(step, size))
    return slice(max(0, -step), size - max(0, step)), slice(max(0, step), size - max(0, -step))


def pixels_of(share: float, like: torch.Tensor) -> int:
    """A length in pixels of a picture [..., H, W], at least one."""
    return max(1, round(share * min(like.shape[-2:])))


def grown(mask: torch.Tensor, radius: int) -> torch.Tensor:
    """[H, W] bool with every pixel whose distance from the mask is at most `radius` pixels."""
    wide = mask.clone()
    for down in range(-radius, radius + 1):
        reach = int((radius**2 - down**2) ** 0.5)
        line = _shifted(mask, 0, down)[None].to(torch.float32)
        wide |= torch.nn.functional.max_pool1d(line, 2 * reach + 1, stride=1, padding=reach)[0] > 0
    return wide


def filled(image: torch.Tensor, hole: torch.Tensor) -> torch.Tensor:
    """A picture [3, H, W] whose hole [H, W] is filled smoothly from what surrounds it (push-pull, Gortler et al. 1996).

    Colours are averaged to ever coarser pictures, by what is known of them; where nothing is known, the coarser
    picture tells.
    """
    if not hole.any() or hole.all():
        return image
    weights = [(~hole).to(image.dtype)[None, None]]
    pictures = [image[None] * weights[0]]
    while max(pictures[-1].shape[-2:]) > 1:
        pictures.append(avg_pool2d(pictures[-1], 2, ceil_mode=True))
        weights.append(avg_pool2d(weights[-1], 2, ceil_mode=True))
    known = pictures.pop() / weights.pop()
    while pictures:
        picture, weight = pictures.pop(), weights.pop()
        above = interpolate(known, size=tuple(picture.shape[-2:]), mode="bilinear", align_corners=False)
        known = torch.where(weight > 0, picture / weight.clamp_min(torch.finfo(weight.dtype).tiny), above)
    return known[0]
