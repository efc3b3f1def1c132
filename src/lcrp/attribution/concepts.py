"""Concepts of a layer: its channels, scored and singled out.

Axes: B batch, T target, C concept, h w feature map.
"""

import torch

from lcrp.values.attribution import ConceptScores

NORM_STABILIZER = 1e-10


def relevance_scores(relevance: torch.Tensor) -> ConceptScores:
    """Share of every concept in the relevance of its layer.

    score_c = sum_hw R_c / (sum_c' |sum_hw R_c'| + 1e-10), as in CRP (Achtibat et al. 2023, section 4.1), signed.

    Args:
        relevance: [T, C, h, w] relevance at a layer's output.

    Returns:
        Scores in [-1, 1] and, per concept, the neuron with the most relevance.
    """
    return _scores(relevance.sum(dim=(2, 3)), relevance)  # [T, C]


def activation_scores(activation: torch.Tensor) -> ConceptScores:
    """Share of every concept in the strongest activations of its layer.

    score_c = max_hw a_c / (sum_c' |max_hw a_c'| + 1e-10), signed.

    Args:
        activation: [T, C, h, w] output of a layer.

    Returns:
        Scores in [-1, 1] and, per concept, the most active neuron.
    """
    return _scores(activation.amax(dim=(2, 3)), activation)  # [T, C]


def _scores(strength: torch.Tensor, maps: torch.Tensor) -> ConceptScores:
    norm = strength.abs().sum(dim=1, keepdim=True) + NORM_STABILIZER  # [T, 1]
    # adding zero turns -0.0 into 0.0, so that equal scores have equal bits
    return ConceptScores(score=strength / norm + 0.0, peak=maps.flatten(2).argmax(dim=2))


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
