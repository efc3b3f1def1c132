"""Attributions: relevance of pixels and concepts for targets.

Axes: T target, C concept, H W picture, h w feature map.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from lcrp.values.ledger import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """Relevance and activation of one backward round.

    Attributes:
        heatmap: [T, H, W] relevance of the input, summed over its channels.
        relevance: layer name to [T, C, h, w], relevance at the layer's output.
        activation: layer name to [T, C, h, w], the layer's output.
        ledgers: of every target, where it was kept; None where rules on modules keep none.
        without_map: layers whose h and w are no places of the picture: regions of interest, or several maps in a row.
    """

    heatmap: torch.Tensor
    relevance: Mapping[str, torch.Tensor]
    activation: Mapping[str, torch.Tensor]
    ledgers: tuple[Ledger, ...] | None = None
    without_map: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConceptScores:
    """A layer's maps reduced to one number and one neuron per concept.

    Attributes:
        score: [T, C] normalised over the concepts of the layer.
        peak: [T, C] int64, flat index (y * w + x) of the strongest neuron.
    """

    score: torch.Tensor
    peak: torch.Tensor
