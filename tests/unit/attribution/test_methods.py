"""What every reading makes of one round, worked out by hand."""

from dataclasses import replace

import pytest
import torch

from lcrp.attribution.methods import Method, Reading, concept_vectors, noise_for, plays_part, positive_heatmaps
from lcrp.composites.spec import GRADIENT
from lcrp.errors import LayerError
from lcrp.values.attribution import Attribution
from lcrp.values.target import ExplainedTarget, Target

ACTIVATION = torch.tensor([[4.0, -8.0], [2.0, 10.0], [-1.0, -3.0]])[:, None]  # three concepts of 1 x 2 neurons
RELEVANCE = torch.tensor([[3.0, 1.0], [-1.0, 0.0], [5.0, 7.0]])[:, None]
HEATMAP = torch.tensor([[1.0, -2.0, 0.0, 3.0]])
ROUND = Attribution(  # of two targets; the second one has the first one's relevance, reversed
    heatmap=torch.stack([HEATMAP, -HEATMAP]),
    relevance={"layer": torch.stack([RELEVANCE, -RELEVANCE])},
    activation={"layer": torch.stack([ACTIVATION, ACTIVATION])},
)


def method(reading: Reading) -> Method:
    return Method(name=reading, reading=reading, composite=GRADIENT)


@pytest.mark.parametrize(
    ("reading", "expected"),
    [
        ("relevance", [[4 / 17, -1 / 17, 12 / 17], [-4 / 17, 1 / 17, -12 / 17]]),
        # gradients are 2, -0.5 and 6 on average; positive activations sum to 4, 12 and 0
        ("gradcam", [[8 / 14, -6 / 14, 0.0], [-8 / 14, 6 / 14, 0.0]]),
        ("activation", [[4 / 15, 10 / 15, -1 / 15]] * 2),
        ("random", [[0.2, 0.3, 0.5], [0.25, 0.75, 0.0]]),
    ],
)
def test_scores_of_concepts_by_hand(reading: Reading, expected: list[list[float]]) -> None:
    noise = torch.tensor([[0.4, 0.6, 1.0], [0.1, 0.3, 0.0]])
    maps = ROUND.relevance["layer"], ROUND.activation["layer"]
    torch.testing.assert_close(concept_vectors(method(reading), *maps, noise), torch.tensor(expected))


@pytest.mark.parametrize(
    ("reading", "expected"),
    [
        ("relevance", [[1.0, 0.0, 0.0, 3.0], [0.0, 2.0, 0.0, 0.0]]),
        # 4 * 2 + 2 * -0.5 = 7 and 10 * -0.5 = -5; resized to two pixels each, where the inner ones are mixed 3 to 1
        ("gradcam", [[7.0, 5.25, 1.75, 0.0], [0.0, 1.25, 3.75, 5.0]]),
        ("activation", [[6.0, 7.0, 9.0, 10.0]] * 2),
        ("random", [[0.2, 0.3, 0.5, 0.6], [0.8, 0.6, 0.2, 0.0]]),
    ],
)
def test_heatmaps_by_hand(reading: Reading, expected: list[list[float]]) -> None:
    noise = torch.tensor([[[0.2, 0.6]], [[0.8, 0.0]]])
    found = positive_heatmaps(method(reading), ROUND, "layer", noise)
    torch.testing.assert_close(found, torch.tensor(expected)[:, None])


@pytest.mark.parametrize("reading", ["activation", "gradcam"])
def test_layers_without_a_map_have_no_heatmap(reading: Reading) -> None:
    """The places of regions of interest, resized to the picture, would look like a heatmap."""
    regions = replace(ROUND, without_map=frozenset(["layer"]))
    with pytest.raises(LayerError, match=f"layer 'layer' has no map of the picture, as {reading} needs it"):
        positive_heatmaps(method(reading), regions, "layer", torch.zeros(2, 1, 2))
    assert positive_heatmaps(method("relevance"), regions, "layer", torch.zeros(2, 1, 2)).shape == (2, 1, 4)


def test_gradients_that_cancel_lead_to_the_target_all_the_same() -> None:
    cancelling = torch.tensor([1.0, -1.0]).reshape(1, 1, 1, 2)
    assert plays_part(torch.cat([cancelling, 0 * cancelling])).tolist() == [True, False]


def test_noise_is_that_of_the_target_and_the_seed() -> None:
    def noise(seed: int = 0, **target: int) -> list[float]:
        which = Target(**{"sample": 3, "class_id": 1, "item": 2} | target)
        return noise_for(ExplainedTarget(target=which, key="", score=1.0, confidence=1.0), (4,), seed).tolist()

    assert noise() == noise()
    others = [noise(seed=1), noise(sample=4), noise(class_id=2), noise(item=0)]
    assert all(other != noise() for other in others)
    assert all(0 <= number < 1 for number in noise())
