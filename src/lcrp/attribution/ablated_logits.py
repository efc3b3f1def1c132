"""The logit of one decision while channels of a layer are taken away: what variants share is computed once.

Axes: V variant, C concept, H W picture, h w feature map.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from lcrp.attribution.ablation import ablated_outputs, flipping_masks
from lcrp.attribution.engine import Attributor
from lcrp.attribution.replay.replayed import Replayed
from lcrp.values.target import ExplainedTarget

VARIANT_PIXELS = 1 << 21  # of variants that go through the network together on CPUs
MANY_PIXELS = 1 << 24  # on GPUs


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedAt:
    """One decision.

    Attributes:
        image: [3, H, W] RGB in [0, 1], its picture.
        explained: the decision.
        mask: [H, W] bool, where its logit is read out (segmentation).
    """

    image: torch.Tensor
    explained: ExplainedTarget
    mask: torch.Tensor


class AblatedLogits:
    """Logits of a decision with other channels of a layer replaced.

    Args:
        attributor: within its context, for as long as logits are asked for; its composite leaves forward passes alone.
        layer: name.
        fill: what channels become that do not stay, [C, h, w] or broadcast to it.
        decision: whose logit is read out.
        num_variants: that go through the network together, if they fit; as many as the first call has by default.
            Logits of other numbers differ by rounding.

    A tape of the network behind the layer (`Replayed`) is compared with the whole network for two batches of variants
    of the layer's first decision, and for one variant of every further decision.
    """

    def __init__(
        self, attributor: Attributor, layer: str, fill: torch.Tensor, decision: LookedAt, num_variants: int = 0
    ) -> None:
        pixels = VARIANT_PIXELS if attributor.device.type == "cpu" else MANY_PIXELS
        self._most = max(1, pixels // decision.image[0].numel())
        self._size = min(num_variants, self._most)

        def read(keep: torch.Tensor) -> torch.Tensor:
            output = ablated_outputs(attributor, decision.image[None], layer, keep, fill[None])
            explained, masks = [decision.explained] * len(keep), decision.mask.expand(len(keep), -1, -1)
            return attributor.task.logits(output, explained, masks).double().cpu()

        self._checked, self._kind = attributor.checked, (layer, decision.image.shape, fill.shape)
        self._read = Replayed(read, is_like_checked=self._kind in self._checked)

    def __call__(self, keep: torch.Tensor) -> torch.Tensor:
        """Logits [V]; variants that are the same are looked at once.

        Args:
            keep: [V, C] bool, the channels that stay.
        """
        distinct, place = torch.unique(keep.cpu(), dim=0, return_inverse=True)
        if not self._size:
            self._size = min(len(distinct), self._most)
        logits = []
        for part in torch.split(distinct, self._size):
            whole = torch.cat([part, part[-1:].expand(self._size - len(part), -1)])  # a shape for all
            logits.append(self._read(whole.to(keep.device))[: len(part)])
        if self._read.is_checked:
            self._checked.add(self._kind)
        return torch.cat(logits)[place]

    def curves(self, vector: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
        """Logits [2, X] while channels are taken away, the most relevant first, and while they are all that is kept.

        Args:
            vector: [C] how much every channel counts.
            counts: X numbers of channels.
        """
        mask = flipping_masks(vector.argsort(descending=True, stable=True), counts)
        return self(torch.cat((mask, ~mask))).reshape(2, len(counts))
