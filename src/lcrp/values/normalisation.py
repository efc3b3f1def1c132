"""How pictures are scaled before a network sees them.

Axes: B batch, H W picture.
"""

from dataclasses import dataclass

import torch

from lcrp.values import devices


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalisation:
    """(x - mean) / std per channel.

    Attributes:
        mean: [3], of RGB images in [0, 1].
        std: [3].
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Normalised images [B, 3, H, W], in their own dtype and on their device."""
        both = devices.sent(torch.tensor((self.mean, self.std), dtype=images.dtype), images.device)
        mean, std = both[:, :, None, None].unbind()  # [3, 1, 1]
        return (images - mean) / std
