"""Scores and masks of concepts."""

import torch

from lcrp.attribution.concepts import activation_scores, only_concept, only_neuron, relevance_scores


def test_relevance_scores_are_signed_shares_of_the_spatial_sums():
    relevance = torch.tensor([[[[1.0, 2.0]], [[-4.0, 3.0]], [[0.0, 0.0]]]], dtype=torch.float64)
    found = relevance_scores(relevance)
    torch.testing.assert_close(found.score, torch.tensor([[3.0, -1.0, 0.0]], dtype=torch.float64) / (4 + 1e-10))
    assert found.peak.tolist() == [[1, 1, 0]]


def test_activation_scores_are_shares_of_the_spatial_maxima():
    activation = torch.tensor([[[[1.0, 2.0], [8.0, 0.0]], [[-4.0, -3.0], [-2.0, -2.5]]]], dtype=torch.float64)
    found = activation_scores(activation)
    torch.testing.assert_close(found.score, torch.tensor([[8.0, -2.0]], dtype=torch.float64) / (10 + 1e-10))
    assert found.peak.tolist() == [[2, 2]]


def test_no_relevance_gives_zero_scores_without_a_sign():
    found = relevance_scores(torch.full((1, 2, 2, 2), -0.0))
    assert torch.equal(found.score, torch.zeros(1, 2))
    assert not found.score.signbit().any()


def test_masks_keep_one_concept_or_neuron_of_every_sample():
    torch.manual_seed(0)
    relevance = torch.randn(3, 4, 2, 5)
    concepts, peaks = torch.tensor([2, 0, 2]), torch.tensor([7, 0, 9])
    concept, neuron = only_concept(relevance, concepts), only_neuron(relevance, concepts, peaks)
    for b in range(3):
        expected = torch.zeros(4, 2, 5)
        expected[concepts[b]] = relevance[b, concepts[b]]
        assert torch.equal(concept[b], expected)
        y, x = divmod(int(peaks[b]), 5)
        expected = torch.zeros(4, 2, 5)
        expected[concepts[b], y, x] = relevance[b, concepts[b], y, x]
        assert torch.equal(neuron[b], expected)
