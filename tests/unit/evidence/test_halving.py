"""Successive halving beside a literal restatement, and whether a confirmed gain is one."""

import numpy as np
import numpy.typing as npt
import pytest

from lcrp.evidence.confirming import differences, is_better, rank_gain
from lcrp.evidence.halving import Halving, Rung, mean_ranks, num_looks, rungs, survivors

NUM_MEASURES = 3


def literal_ranks(scores: npt.NDArray[np.float64]) -> list[float]:
    """Mean over decisions and measures of one plus how many are better, half of those that are as good."""
    found = []
    for own in range(len(scores)):
        places = []
        for decision in range(scores.shape[1]):
            for measure in range(scores.shape[2]):
                column = scores[:, decision, measure]
                if any(np.isnan(one) for one in column):
                    continue
                better = sum(one > column[own] for one in column)
                equal = sum(one == column[own] for one in column) - 1
                places.append(1 + better + equal / 2)
        found.append(sum(places) / len(places) if places else 1.0)
    return found


def literal_search(scores: npt.NDArray[np.float64], counts: list[int], decisions: list[int]) -> tuple[list[int], int]:
    """The order of the last candidates, and how many pairs were looked at."""
    alive, seen = list(range(counts[0])), set()
    for count, num in zip(counts, decisions, strict=True):
        alive = alive[:count]
        seen |= {(one, decision) for one in alive for decision in range(num)}
        ranks = literal_ranks(scores[alive][:, :num])
        alive = [alive[place] for place in sorted(range(len(alive)), key=lambda place: (ranks[place], place))]
    return alive, len(seen)


def drawn(seed: int, num_candidates: int = 24, num_decisions: int = 16) -> npt.NDArray[np.float64]:
    generated = np.random.default_rng(seed)
    scores = generated.integers(0, 6, (num_candidates, num_decisions, NUM_MEASURES)).astype(float)  # with ties
    scores[:, generated.integers(num_decisions), 1] = np.nan
    scores[generated.integers(num_candidates), 0] = -np.inf
    return scores


@pytest.mark.parametrize("seed", range(5))
def test_halving_is_the_literal_one(seed: int) -> None:
    scores = drawn(seed)
    plan = rungs(24, 16)
    search = Halving(plan)
    pairs = []
    for candidate, decision in search.asked():
        pairs.append((candidate, decision))
        search.tell(candidate, decision, scores[candidate, decision])
    order, looks = literal_search(scores, [24, 12, 6, 3], [2, 4, 8, 16])
    assert search.order == order
    assert len(pairs) == len(set(pairs)) == looks == num_looks(plan)


def test_half_go_on_with_twice_the_decisions() -> None:
    expected = [(24, 2), (12, 4), (6, 8), (3, 16)]
    assert [(one.num_candidates, one.num_decisions) for one in rungs(24, 16)] == expected
    assert rungs(3, 2) == (Rung(num_candidates=3, num_decisions=2),)
    assert [one.num_decisions for one in rungs(12, 3)] == [1, 1, 3]


def test_ranks_are_the_literal_ones() -> None:
    scores = drawn(9, 7, 4)
    np.testing.assert_allclose(mean_ranks(scores), literal_ranks(scores))
    assert survivors([4, 2], np.zeros((2, 1, 1)), 1) == [4]  # of equal ones the first
    assert mean_ranks(np.full((2, 1, 1), np.nan)).tolist() == [1.0, 1.0]


def searched(generated: np.random.Generator, gain: float, *, is_permuted: bool) -> bool:
    """Whether a search's winner is confirmed, where the last candidate is better than all others by `gain`."""
    quality = np.zeros(24)
    quality[-1] = gain
    level = generated.normal(size=(1, 16, NUM_MEASURES))
    scores = quality[:, None, None] + level + generated.normal(size=(24, 16, NUM_MEASURES))
    if is_permuted:
        scores = scores[generated.permutation(24)]
    search = Halving(rungs(24, 16))
    for pair in search.asked():
        search.tell(*pair, scores[pair])
    pair = quality[[search.order[0], 0]]
    fresh = pair[:, None, None] + generated.normal(size=(1, 40, 3)) + generated.normal(size=(2, 40, 3))
    return search.order[0] != 0 and is_better(fresh[0], fresh[1], np.arange(40))


def test_nothing_is_confirmed_where_scores_are_permuted_among_candidates() -> None:
    """The winner is ahead in the search, as winners of noise are; on other decisions it must not be."""
    found = [searched(np.random.default_rng(seed), 0.0, is_permuted=True) for seed in range(20)]
    assert sum(found) <= 1


def test_what_is_better_is_found_and_confirmed() -> None:
    found = [searched(np.random.default_rng(seed), 1.5, is_permuted=False) for seed in range(20)]
    assert sum(found) >= 19


def test_what_is_behind_in_one_measure_is_not_better() -> None:
    generated = np.random.default_rng(0)
    second = generated.normal(size=(30, 3))
    lead = np.array([2.0, 2.0, -1.0]) + 0.1 * generated.normal(size=(30, 3))
    first, images = second + lead, np.arange(30)
    assert not is_better(first, second, images)
    first[:, 2] = second[:, 2]
    assert is_better(first, second, images)
    first[4] = -np.inf  # it fails at a decision
    assert not is_better(first, second, images)


def test_leads_are_paired_and_failures_do_not_count_as_numbers() -> None:
    first, second = (
        np.array([[1.0, np.nan], [3.0, -np.inf], [5.0, 2.0]]),
        np.array([[0.0, 1.0], [2.0, 1.0], [4.0, 1.0]]),
    )
    images = np.arange(3)
    assert [one.value for one in differences(first, second, images)] == [1.0, 1.0]
    assert rank_gain(first, second, images).value == pytest.approx((1 + 0 + 1) / 3)
