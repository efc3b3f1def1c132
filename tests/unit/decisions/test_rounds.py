"""How targets share forward passes."""

import itertools

import pytest

from lcrp.decisions.rounds import FORWARD_COST, Pass, planned_passes


def cost(counts, begins):
    """Of passes that begin at given rounds; the first is for all images."""
    total = 0.0
    for start, end in itertools.pairwise((*begins, max(counts))):
        images = len(counts) if start == 0 else sum(count > start for count in counts)
        total += images * (FORWARD_COST + end - start)
    return total


@pytest.mark.parametrize(
    "counts", [[1], [3, 3, 3], [1, 0, 0, 0], [25, 1, 1, 1], [2, 1, 1, 1, 1, 1, 1, 1], [6, 4, 4, 1, 0, 2], [9, 9, 1, 1]]
)
def test_passes_hold_every_target_once_and_no_plan_is_cheaper(counts):
    passes = planned_passes(counts)
    held = [(row, number) for one in passes for number in one.rounds for row in one.images if number < counts[row]]
    assert sorted(held) == [(row, number) for row, count in enumerate(counts) for number in range(count)]
    assert passes[0].images == tuple(range(len(counts)))
    rounds = range(1, max(counts))
    plans = [(0, *later) for size in range(4) for later in itertools.combinations(rounds, size)]
    assert cost(counts, [one.rounds.start for one in passes]) == min(cost(counts, plan) for plan in plans)


def test_full_rounds_share_one_pass_and_crowds_have_their_own():
    assert planned_passes([3, 3]) == [Pass(images=(0, 1), rounds=range(3))]
    assert planned_passes([20, 1, 1, 1]) == [
        Pass(images=(0, 1, 2, 3), rounds=range(1)),
        Pass(images=(0,), rounds=range(1, 20)),
    ]
