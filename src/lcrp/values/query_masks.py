"""Segmentation by queries, each of which says a class and a mask, and by all of them together (Mask2Former).

Axes: B batch, Q query, K class, H W picture, h w feature map.
"""

from dataclasses import dataclass

import torch
from torch.nn.functional import interpolate

from lcrp.values.prediction import ClassMap, at_least_float32

MASK_SIDE = 384  # to which the library scales masks, whatever the picture's size


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryMasks:
    """Raw output of a segmenter by queries, differentiable.

    Attributes:
        class_logits: [B, Q, K + 1], the last column for 'no object'.
        mask_logits: [B, Q, h, w].
        size: (height, width) of the picture.
    """

    class_logits: torch.Tensor
    mask_logits: torch.Tensor
    size: tuple[int, int]

    def class_probabilities(self, picture: int) -> torch.Tensor:
        """[Q, K] of one picture, detached, in at least float32."""
        return at_least_float32(self.class_logits[picture].detach()).softmax(dim=-1)[:, :-1]

    def scores(self, picture: int) -> torch.Tensor:
        """How much all queries speak for every class, [K, H, W]: sum_q p_qc sigmoid(mask_q), as the library does it."""
        masks = at_least_float32(self.mask_logits[picture : picture + 1].detach())
        masks = interpolate(masks, size=(MASK_SIDE, MASK_SIDE), mode="bilinear", align_corners=False)
        classes = self.class_probabilities(picture)[None]
        scores = torch.einsum("bqc, bqhw -> bchw", classes, masks.sigmoid())
        return interpolate(scores, size=self.size, mode="bilinear", align_corners=False)[0]

    def owners(self, picture: int, class_id: int) -> torch.Tensor:
        """The query that speaks most for a class in every cell of its masks, [h, w]: argmax_q p_qc sigmoid(mask_q)."""
        masks = at_least_float32(self.mask_logits[picture].detach()).sigmoid()
        return (self.class_probabilities(picture)[:, class_id, None, None] * masks).argmax(dim=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreMap(ClassMap):
    """The classes of every pixel of one image, by scores that are no logits: sums of probabilities of queries."""

    def probabilities(self) -> torch.Tensor:
        """The scores [K, H, W], 1 where several queries together say more."""
        return self.logits.clamp(max=1)
