"""Context scores, sensitivities and their agreement against numbers worked out by hand."""

import math

import numpy as np
import pytest

from lcrp.evidence.context import Agreement, Terms, agreement, pair_means, relative_change


def terms(pair: list[int], image: list[int], value: list[float], weight: list[float] | None = None) -> Terms:
    return Terms(
        pair=np.array(pair, dtype=np.int64),
        image=np.array(image, dtype=np.int64),
        value=np.array(value, dtype=np.float64),
        weight=np.ones(len(pair)) if weight is None else np.array(weight),
    )


def test_means_of_pairs_are_weighted_and_unknown_without_weight():
    found = pair_means(terms([0, 0, 2, 2, 3], [5, 6, 5, 7, 7], [0.2, 0.4, 1.0, 0.0, 0.9], [1, 1, 3, 1, 0]), 4)
    np.testing.assert_allclose(found, [0.3, math.nan, 0.75, math.nan])


def test_relative_change_by_hand():
    before = np.array([[2.0, -1.0, 0.0, 0.0, 4.0]])
    after = np.array([[[1.0, 1.0, 0.0, 3.0, 4.0], [4.0, -1.0, 0.0, 0.0, 0.0]]])
    # |2-1|/2, |2-4|/4 | |-1-1|/1 = 2 counts as 1, 0 | 0 where both are 0 | 1, 0 | 0, 1
    np.testing.assert_allclose(relative_change(before, after), [[0.5, 0.5, 0.0, 0.5, 0.5]])


def test_agreement_is_taken_over_pairs_that_both_know():
    scores = terms([0, 1, 2, 3], [0, 1, 2, 3], [0.1, 0.2, 0.3, 0.9])
    changes = terms([0, 1, 2], [0, 1, 2], [0.3, 0.4, 0.5])
    found = agreement(scores, changes, 5, num_draws=20)
    assert (found.num_pairs, found.num_images) == (3, 4)
    assert found.pearson.value == pytest.approx(1.0)
    assert found.spearman.value == pytest.approx(1.0)
    assert found.rmse.value == pytest.approx(0.2)


def test_draws_of_images_move_scores_and_sensitivities_together():
    """Scores and sensitivities of the two pairs agree in image 0 and are reversed in image 1."""
    pair, image = [0, 1, 0, 1], [0, 0, 1, 1]
    scores = terms(pair, image, [0.0, 1.0, 0.0, 1.0])
    changes = terms(pair, image, [0.0, 1.0, 1.0, 0.9])
    found = agreement(scores, changes, 2)
    # both images: sensitivities 0.5 and 0.95, r = 1; image 1 twice: 1 and 0.9, r = -1, in a quarter of the draws, which
    # are therefore moved by a half, and end at 1
    assert found.pearson.value == pytest.approx(1.0)
    assert (found.pearson.low, found.pearson.high) == (pytest.approx(-0.5, abs=0.06), 1.0)
    # image 0 twice: no difference; image 1 twice: sqrt((1 + 0.01) / 2); both: half of them
    both, twice = math.sqrt((0.25 + 0.0025) / 2), math.sqrt(0.505)
    moved = both - (2 * both + twice) / 4
    ends = (pytest.approx(moved, abs=0.02), pytest.approx(twice + moved, abs=0.02))
    assert (found.rmse.low, found.rmse.high) == ends
    assert found == agreement(scores, changes, 2)


def test_weights_are_shares_of_the_images_drawn():
    """An image drawn twice counts twice, whatever its weight is beside the others of its pair."""
    rows = terms([0, 0, 1, 1], [0, 1, 0, 1], [0.0, 1.0, 0.0, 1.0], [1.0, 3.0, 1.0, 1.0])
    np.testing.assert_allclose(pair_means(rows, 2), [0.75, 0.5])
    assert agreement(rows, rows, 2).rmse.high == 0.0


def test_terms_without_weight_say_nothing_in_any_draw():
    """Whatever their values are, and whichever image they belong to, they move neither a number nor its interval."""
    pair, image = [0, 1, 2, 0, 1, 2, 0, 1, 2], [0, 0, 0, 1, 1, 1, 2, 2, 2]
    weight = [1.0, 2.0, 5.0, 3.0, 0.0, 1.0, 0.0, 1.0, 4.0]  # image 1 knows nothing of pair 1, image 2 nothing of pair 0

    def found(lost: float, gone: float) -> Agreement:
        scores = terms(pair, image, [0.1, 0.4, 0.9, 0.2, lost, 0.7, gone, 0.6, 0.8], weight)
        changes = terms(pair, image, [0.3, 0.2, 0.8, 0.1, gone, 0.9, lost, 0.5, 0.4], weight)
        return agreement(scores, changes, 3, num_draws=50)

    assert found(0.0, 1.0) == found(1.0, 0.0) == found(0.0, 0.0)
    assert found(0.0, 1.0).rmse.low < found(0.0, 1.0).rmse.high


def test_draws_equal_a_literal_restatement():
    """An image drawn twice counts twice, with the weights of its terms; the interval is as wide as the draws are."""
    pair, image = [0, 1, 0, 1, 0, 1], [0, 0, 1, 1, 2, 2]
    scores, changes = [0.9, 0.8, 0.7, 0.9, 0.6, 1.0], [0.1, 0.3, 0.0, 0.2, 0.4, 0.1]
    weight = [1.0, 9.0, 4.0, 1.0, 2.0, 1.0]
    generator, drawn = np.random.default_rng(0), []
    for _ in range(40):
        rows = [row for one in generator.integers(3, size=3).tolist() for row in (2 * one, 2 * one + 1)]
        squares = []
        for number in (0, 1):
            members = [row for row in rows if pair[row] == number]
            total = sum(weight[row] for row in members)
            squares.append((sum(weight[row] * (scores[row] - changes[row]) for row in members) / total) ** 2)
        drawn.append(math.sqrt(sum(squares) / 2))
    low, high = np.quantile(drawn, [0.025, 0.975])
    found = agreement(terms(pair, image, scores, weight), terms(pair, image, changes, weight), 2, num_draws=40).rmse
    assert found.high - found.low == pytest.approx(high - low)


def test_nothing_known_is_no_number():
    nothing = terms([], [], [])
    found = agreement(nothing, nothing, 3)
    assert (found.num_pairs, found.num_images) == (0, 0)
    assert math.isnan(found.pearson.value)
    lone = agreement(terms([0, 1], [4, 4], [0.1, 0.2]), terms([0, 1], [4, 4], [0.1, 0.2]), 2)
    assert lone.pearson.value == pytest.approx(1.0)
    assert math.isnan(lone.pearson.low)
