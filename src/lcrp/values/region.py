"""Objects in pictures: which pixels belong to what is explained.

Axes: H W picture.
"""

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """Where the object of a decision is.

    Attributes:
        inside: [H, W] bool, the object.
        counted: [H, W] bool, pixels that count: the picture without padding and without void.
    """

    inside: torch.Tensor
    counted: torch.Tensor

    @property
    def num_pixels(self) -> int:
        """Pixels of the object."""
        return int((self.inside & self.counted).sum())

    @property
    def outside_area(self) -> float:
        """Share of the picture that is not the object, in [0, 1]."""
        return 1 - self.num_pixels / max(1, int(self.counted.sum()))
