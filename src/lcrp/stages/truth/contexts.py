"""What a context is worth: relevance on it, beside the relevance on what could be there instead.

How much relevance lies on a context does not say whether the decision needs this one: over another context about as
much relevance can lie at the same pixels. The difference says it, and in the unit of the read-out: seeded with the
logits themselves, relevance sums to them wherever the rules conserve it.

Axes: V picture (as it is, then over each other context), H W picture.
"""

from dataclasses import dataclass

import torch

from lcrp.attribution.elsewhere import Elsewhere
from lcrp.attribution.engine import Attributor
from lcrp.stages.truth.interventions import TruthTarget
from lcrp.values.prediction import at_least_float32


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextFall:
    """How far the numbers of a decision fall, in logits, on the mean over other contexts.

    Attributes:
        logit: the logit that is explained (of a mask: its mean, weighted as it is seeded).
        relevance: the relevance on the pixels of the own context, of either sign.
    """

    logit: float
    relevance: float


def context_fall(attributor: Attributor, target: TruthTarget) -> ContextFall:
    """What a decision loses over other contexts: the same box or the same pixels are explained in each.

    Args:
        attributor: within its context.
        target: an object that stands in its own context.
    """
    pictures = torch.cat([target.planned.sample.image[None], target.others])  # [V, 3, H, W]
    elsewhere, on_context = Elsewhere(attributor, target.explained), torch.from_numpy(target.context)
    logits, relevance = [], []
    for part in torch.split(pictures, 1 if attributor.takes_one else len(pictures)):
        trace = attributor.forward(part)
        explained_output, weights = elsewhere.weights(trace)
        seeds = weights * explained_output.detach()
        heatmaps = at_least_float32(trace.attribute(explained_output, seeds).heatmap).double().cpu()  # [V, H, W]
        logits.append(at_least_float32(seeds).double().flatten(1).sum(dim=1).cpu())  # [V]
        relevance.append((heatmaps * on_context).sum(dim=(1, 2)))  # [V]
    return ContextFall(logit=_fall(torch.cat(logits)), relevance=_fall(torch.cat(relevance)))


def _fall(values: torch.Tensor) -> float:
    """The first value less the mean of the others."""
    return float(values[0] - values[1:].mean())
