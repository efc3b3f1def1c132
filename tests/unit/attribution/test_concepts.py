"""Scores and masks of concepts."""

import pytest
import torch

from lcrp.attribution.concepts import activation_scores, only_concept, only_neuron, relevance_scores


def test_relevance_scores_are_signed_shares_of_the_spatial_sums():
    relevance = torch.tensor([[[[1.0, 2.0]], [[-4.0, 3.0]], [[0.0, 0.0]]]], dtype=torch.float64)
    found = relevance_scores(relevance)
    torch.testing.assert_close(found.score, torch.tensor([[3.0, -1.0, 0.0]], dtype=torch.float64) / (4 + 1e-10))
    assert found.peak.tolist() == [[1, 1, 0]]


@pytest.mark.parametrize("share", [0.0, 0.05, 0.9])
def test_neurons_are_found_where_the_score_matters(share):
    relevance = torch.randn(5, 40, 3, 4, generator=torch.Generator().manual_seed(0))
    everywhere = relevance_scores(relevance)
    assert torch.equal(everywhere.peak, relevance.flatten(2).argmax(dim=2))
    least = torch.full((5, 40), float(everywhere.score.quantile(1 - share)) + (share == 0))
    found = relevance_scores(relevance, least)
    assert torch.equal(found.score, everywhere.score)
    matters = found.score >= least
    assert torch.equal(found.peak[matters], everywhere.peak[matters])
    assert bool((found.peak[~matters] == -1).all()) == (share < 0.25)


def test_the_first_of_equal_neurons_is_the_peak():
    """In every memory format."""
    maps = torch.zeros(2, 3, 8, 9)
    maps[:, :, 3, 4] = maps[:, :, 5, 1] = 1.0
    for form in (torch.contiguous_format, torch.channels_last):
        assert (relevance_scores(maps.contiguous(memory_format=form)).peak == 3 * 9 + 4).all()
        assert (activation_scores(maps.contiguous(memory_format=form)).peak == 3 * 9 + 4).all()


@pytest.mark.parametrize("num_concepts", [1, 6, 16, 24, 32, 80])
@pytest.mark.parametrize("width", [1, 7, 8, 12])
def test_the_peak_is_the_first_of_the_largest_whatever_the_size(num_concepts, width):
    """Looked for in runs of channels, and of neighbours; whole numbers, so that many are equal."""
    maps = torch.randint(-2, 3, (2, num_concepts, 5, width), generator=torch.Generator().manual_seed(1)).float()
    for form in (torch.contiguous_format, torch.channels_last):
        found = activation_scores(maps.contiguous(memory_format=form))
        assert torch.equal(found.peak, maps.flatten(2).max(dim=2).indices)


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
