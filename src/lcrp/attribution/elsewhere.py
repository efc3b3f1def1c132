"""One decision in other pictures: relevance of the same logits, where the network may decide something else.

Axes: V picture, H W picture.
"""

import torch

from lcrp.attribution.engine import Attributor
from lcrp.attribution.kept import KeptDetectionTask
from lcrp.attribution.query_masks import QueryMaskTask
from lcrp.attribution.trace import Trace
from lcrp.values.prediction import KeptOutput
from lcrp.values.query_masks import QueryMasks
from lcrp.values.target import ExplainedTarget


class Elsewhere:
    """The logits of one decision, in its own picture and in others.

    They are those of the same row, or of the same pixels, which weigh as they do in the own picture. Boxes that a
    network has selected itself are found again by their place; pixels of masks are those of the queries that own them.

    Args:
        attributor: within its context.
        explained: the decision, found in the first of all pictures that `weights` is asked for.
    """

    def __init__(self, attributor: Attributor, explained: ExplainedTarget) -> None:
        self._task, self._explained = attributor.task, explained
        self._own: torch.Tensor | None = None  # weights [1, ...] of logits, or values [H, W] of pixels

    def weights(self, trace: Trace) -> tuple[torch.Tensor, torch.Tensor]:
        """The tensor that is explained, [V, ...], and how its logits weigh; they sum to 1 in each picture."""
        task, output = self._task, trace.output
        logits = task.seeded(output)
        count = len(logits)
        if isinstance(task, KeptDetectionTask) and isinstance(output, KeptOutput):
            logits, seed = task.seed(output, [self._explained] * count)
            return logits, seed / seed.flatten(1).sum(dim=1).reshape(-1, *[1] * (seed.ndim - 1))
        if isinstance(task, QueryMaskTask) and isinstance(output, QueryMasks):
            if self._own is None:
                self._own = task.pixels(output, 0, self._explained)
            return logits, task.seed_of_pixels(output, self._explained.target.class_id, self._own)
        if self._own is None:
            logits, seed = task.seed(output, [self._explained, *[None] * (count - 1)])
            self._own = seed[:1] / seed[:1].sum()
        return logits, self._own.expand(count, *self._own.shape[1:]).contiguous()
