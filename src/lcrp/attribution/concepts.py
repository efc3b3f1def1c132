"""Concepts of a layer: its channels, scored and singled out.

Axes: B batch, T target, C concept, h w feature map.
"""

from math import gcd

import torch

from lcrp.values import devices
from lcrp.values.attribution import ConceptScores
from lcrp.values.prediction import at_least_float32

NORM_STABILIZER = 1e-10
GATHERED_SHARE = 0.25  # of a layer's maps up to which picking them out costs less than looking at all
_RUN = 32  # numbers side by side that torch reduces together; those left over take twenty times as long


def relevance_scores(relevance: torch.Tensor, least: torch.Tensor | None = None) -> ConceptScores:
    """Share of every concept in the relevance of its layer.

    score_c = sum_hw R_c / (sum_c' |sum_hw R_c'| + 1e-10), as in CRP (Achtibat et al. 2023, section 4.1), signed.

    Args:
        relevance: [T, C, h, w] relevance at a layer's output.
        least: [T, C] score from which on the neuron matters; where the score is lower, `peak` may be -1. None: always,
            as on all devices but CPUs.

    Returns:
        Scores in [-1, 1] and, per concept, the neuron with the most relevance.
    """
    precise = torch.promote_types(relevance.dtype, torch.float32)
    score = _shares(relevance.sum(dim=(2, 3), dtype=precise))  # [T, C]
    if least is None or devices.waits(relevance):
        return ConceptScores(score=score, peak=_strongest(relevance)[1])
    rows, concepts = (score >= least).nonzero(as_tuple=True)
    if len(rows) > GATHERED_SHARE * score.numel():
        return ConceptScores(score=score, peak=_strongest(relevance)[1])
    peak = torch.full_like(score, -1, dtype=torch.int64)
    peak[rows, concepts] = relevance[rows, concepts].flatten(1).max(dim=1).indices
    return ConceptScores(score=score, peak=peak)


def activation_scores(activation: torch.Tensor) -> ConceptScores:
    """Share of every concept in the strongest activations of its layer.

    score_c = max_hw a_c / (sum_c' |max_hw a_c'| + 1e-10), signed.

    Args:
        activation: [T, C, h, w] output of a layer.

    Returns:
        Scores in [-1, 1] and, per concept, the most active neuron.
    """
    strength, peak = _strongest(activation)
    return ConceptScores(score=_shares(at_least_float32(strength)), peak=peak)


def _strongest(maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Largest value [T, C] of every concept of [T, C, h, w], and its neuron, the first of equal ones.

    On CPUs first its row, then its column: reductions without an index are an order of magnitude faster there.
    """
    if devices.waits(maps):
        strongest = maps.flatten(2).max(dim=2)
        return strongest.values, strongest.indices
    pixels = maps.permute(0, 2, 3, 1)  # [T, h, w, C], as it lies in memory in channels last
    row = _row_maxima(pixels).max(dim=1).indices  # [T, C]
    width = pixels.shape[2]
    in_row = pixels.gather(1, row[:, None, None].expand(-1, 1, width, -1))[:, 0].max(dim=1)  # of [T, w, C]
    return in_row.values, row * width + in_row.indices


def _row_maxima(pixels: torch.Tensor) -> torch.Tensor:
    """Largest value [T, h, C] of every row of [T, h, w, C].

    Channels that lie side by side, but are no multiple of `_RUN`, are first reduced together with their neighbours'.
    """
    *_, width, num_concepts = pixels.shape
    apart = gcd(width, _RUN // gcd(num_concepts, _RUN))  # neighbours whose channels are a multiple
    if apart == 1 or pixels.stride(3) != 1:
        return pixels.amax(dim=2)
    return pixels.reshape(*pixels.shape[:2], -1, apart, num_concepts).amax(dim=2).amax(dim=2)


def _shares(strength: torch.Tensor) -> torch.Tensor:
    """Strength of every concept [T, C] as a share of all."""
    norm = strength.abs().sum(dim=1, keepdim=True) + NORM_STABILIZER  # [T, 1]
    return strength / norm + 0.0  # turns -0.0 into 0.0, so that equal scores have equal bits


def only_concept(relevance: torch.Tensor, concept_ids: torch.Tensor) -> torch.Tensor:
    """Relevance of one concept per sample; zero elsewhere.

    Args:
        relevance: [B, C, h, w].
        concept_ids: [B] int64, the concept that is kept in each sample.

    Returns:
        [B, C, h, w].
    """
    rows = torch.arange(len(relevance), device=relevance.device)
    kept = torch.zeros_like(relevance)
    kept[rows, concept_ids] = relevance[rows, concept_ids]
    return kept


def only_neuron(relevance: torch.Tensor, concept_ids: torch.Tensor, peaks: torch.Tensor) -> torch.Tensor:
    """Relevance of one neuron of one concept per sample; zero elsewhere.

    Args:
        relevance: [B, C, h, w].
        concept_ids: [B] int64, the neuron's concept.
        peaks: [B] int64, the neuron's flat position y * w + x.

    Returns:
        [B, C, h, w].
    """
    rows = torch.arange(len(relevance), device=relevance.device)
    flat = relevance.flatten(2)  # [B, C, h * w]
    kept = torch.zeros_like(flat)
    kept[rows, concept_ids, peaks] = flat[rows, concept_ids, peaks]
    return kept.view(relevance.shape)
