"""Conditional heatmaps of several concepts, of the decisions of one or several pictures.

Axes: B picture, C concept, H W picture, h w feature map.
"""

from collections.abc import Iterator, Mapping, Sequence

import torch

from lcrp.attribution.concepts import only_concept
from lcrp.attribution.trace import Trace


def concept_maps(
    trace: Trace, layer: str, relevance: torch.Tensor, concepts: Mapping[int, Sequence[int]]
) -> Iterator[tuple[int, int, torch.Tensor]]:
    """Heatmaps of relevance that passes through one concept alone; every round is for one concept of every picture.

    Args:
        trace: of the pictures.
        layer: name of a recorded layer.
        relevance: [B, C, h, w] of a decision about every picture at the layer.
        concepts: of some pictures, by their number.

    Yields:
        Number of the picture, place among its concepts, and heatmap [H, W].
    """
    for place in range(max(map(len, concepts.values()), default=0)):
        rows = [row for row, own in concepts.items() if place < len(own)]
        chosen = torch.tensor([concepts[row][place] for row in rows], device=relevance.device)
        restart = torch.zeros_like(relevance)
        restart[rows] = only_concept(relevance[rows], chosen)
        heatmaps = trace.conditional(layer, restart)
        yield from ((row, place, heatmaps[row]) for row in rows)
