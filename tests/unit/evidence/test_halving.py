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
    for count, num in zip([*counts[1:], counts[-1]], decisions, strict=True):
        seen |= {(one, decision) for one in alive for decision in range(num)}
        ranks = literal_ranks(scores[alive][:, :num])
        behind = [literal_behind(scores[one, :num], scores[0, :num]) for one in alive]
        places = sorted(range(len(alive)), key=lambda place: (behind[place], ranks[place], place))
        alive = [alive[place] for place in places][:count]
        if 0 not in alive:
            alive[-1] = 0
    return alive, len(seen)


def literal_behind(own: npt.NDArray[np.float64], default: npt.NDArray[np.float64]) -> bool:
    """Behind the default in one measure by more than a standard error, or failed."""
    for measure in range(own.shape[1]):
        lost = []
        for one, other in zip(own[:, measure], default[:, measure], strict=True):
            if one == -np.inf:
                return True
            if not np.isnan(one) and not np.isnan(other) and other != -np.inf:
                lost.append(other - one)
        if len(lost) > 1:
            mean = sum(lost) / len(lost)
            error = (sum((one - mean) ** 2 for one in lost) / (len(lost) - 1) / len(lost)) ** 0.5
            if mean > error:
                return True
    return False


def drawn(seed: int, num_candidates: int = 24, num_decisions: int = 16) -> npt.NDArray[np.float64]:
    generated = np.random.default_rng(seed)
    scores = generated.integers(0, 6, (num_candidates, num_decisions, NUM_MEASURES)).astype(float)  # with ties
    scores[0] += generated.normal(size=scores[0].shape)  # so that nothing is behind by exactly its error
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
    assert survivors([4, 2], np.zeros((2, 1, 1)), 1, 4) == [4]  # of equal ones the first
    assert mean_ranks(np.full((2, 1, 1), np.nan)).tolist() == [1.0, 1.0]


def test_what_is_behind_in_one_measure_comes_last_and_the_default_stays() -> None:
    """It was chosen by two measures, and refused for the third."""
    default, best, other = np.zeros((4, 3)), np.array([9.0, 9.0, -1.0]) + np.zeros((4, 3)), np.full((4, 3), 0.1)
    scores = np.stack([default, best, other, other - 1])
    assert survivors([0, 1, 2, 3], scores, 4, 0) == [2, 0, 1, 3]
    assert survivors([3, 1, 0], scores[[3, 1, 0]], 2, 0) == [0, 1]
    assert survivors([1, 0], scores[[1, 0]][:, :1], 2, 0) == [1, 0]  # one decision tells nothing of that
    assert survivors([0, 1, 2], np.stack([default, default + 2, default + 1]), 2, 0) == [1, 0]


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
    assert np.isnan(differences(first, second, images)[0].low)  # three decisions tell nothing of others
    lead = differences(np.arange(8.0)[:, None] + 1, np.arange(8.0)[:, None], np.arange(8))
    assert (lead[0].low, lead[0].high) == (1.0, 1.0)
    assert rank_gain(first, second, images).value == pytest.approx((1 + 0 + 1) / 3)
