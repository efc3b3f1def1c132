"""Top tables: order, ties, padding, keys."""

import numpy as np
import pytest
import torch

from lcrp.ranking.top import Ranked, candidates, entry_keys, insert, merge, ranked, top_table
from lcrp.values.target import Target

CPU = torch.device("cpu")


def one_concept(*entries: tuple[float, int, int, int], size: int = 4) -> Ranked:
    """Table of one concept from (score, sample, class, item); the neuron is 100 + sample."""
    targets = [Target(sample=sample, class_id=class_id, item=item) for _, sample, class_id, item in entries]
    score = torch.tensor([[entry[0]] for entry in entries])
    peak = torch.tensor([[100 + target.sample] for target in targets])
    order = sorted(range(len(targets)), key=lambda row: targets[row])
    found = candidates(score, peak, entry_keys(targets, CPU), [order])
    return merge(Ranked.empty(1, size, device=CPU), found, size)


def entries_of(table: Ranked) -> list[tuple[float, int, int, int]]:
    stored = top_table(table)
    num = int(stored.filled[0])
    columns = (stored.score, stored.sample, stored.class_id, stored.item)
    return list(zip(*(column[0, :num].tolist() for column in columns), strict=True))


def test_ties_go_to_the_lower_sample_then_class_then_item() -> None:
    table = one_concept((0.5, 2, 0, 0), (0.5, 1, 3, 0), (0.5, 1, 2, 1), (0.5, 1, 2, 0), (0.75, 9, 9, 9), size=4)
    assert entries_of(table) == [(0.75, 9, 9, 9), (0.5, 1, 2, 0), (0.5, 1, 2, 1), (0.5, 1, 3, 0)]


def test_negative_zero_ties_with_zero() -> None:
    table = one_concept((0.0, 2, 0, 0), (-0.0, 1, 0, 0))
    assert entries_of(table) == [(0.0, 1, 0, 0), (0.0, 2, 0, 0)]
    assert not np.signbit(top_table(table).score).any()


def test_the_same_target_is_kept_once_with_its_higher_score() -> None:
    first = one_concept((0.5, 1, 0, 0), (0.25, 2, 0, 0))
    second = one_concept((0.75, 1, 0, 0), (0.25, 2, 0, 0))
    for table in (merge(first, second, 4), merge(second, first, 4)):
        assert entries_of(table) == [(0.75, 1, 0, 0), (0.25, 2, 0, 0)]


def test_negative_scores_rank_before_padding() -> None:
    table = one_concept((-0.5, 1, 0, 0), (-0.25, 0, 0, 0), size=4)
    assert entries_of(table) == [(-0.25, 0, 0, 0), (-0.5, 1, 0, 0)]


def test_stored_padding_is_neutral_and_restored() -> None:
    few, many = one_concept((0.5, 1, 0, 0), size=3), one_concept((0.5, 1, 0, 0), (0.25, 2, 5, 1), size=3)
    both = Ranked(
        score=torch.cat((few.score, many.score)),
        key=torch.cat((few.key, many.key)),
        peak=torch.cat((few.peak, many.peak)),
    )
    stored = top_table(both)
    assert stored.score.tolist() == [[0.5, 0.0], [0.5, 0.25]]
    assert stored.sample.tolist() == [[1, -1], [1, 2]]
    assert stored.class_id.tolist() == [[0, -1], [0, 5]]
    assert stored.item.tolist() == [[0, -1], [0, 1]]
    assert stored.peak.tolist() == [[101, -1], [101, 102]]
    assert stored.filled.tolist() == [1, 2]
    restored = ranked(stored, 3, CPU)
    for name in ("score", "key", "peak"):
        assert torch.equal(getattr(restored, name), getattr(both, name))


def test_class_and_item_may_be_absent() -> None:
    table = one_concept((0.5, 7, -1, -1))
    assert entries_of(table) == [(0.5, 7, -1, -1)]


@pytest.mark.parametrize(
    "target",
    [Target(sample=2**31, class_id=0), Target(sample=0, class_id=65535), Target(sample=0, class_id=0, item=65535)],
)
def test_numbers_that_do_not_fit_are_refused(target: Target) -> None:
    with pytest.raises(ValueError, match="samples go up to"):
        entry_keys([target], CPU)


def test_the_largest_numbers_keep_their_order() -> None:
    largest = Target(sample=2**31 - 2, class_id=65534, item=65534)
    keys = entry_keys([Target(sample=0, class_id=-1, item=-1), largest], CPU)
    assert keys[0] >= 0
    assert keys[0] < keys[1] < torch.iinfo(torch.int64).max


def test_insert_leaves_other_rows_alone() -> None:
    table = Ranked.empty(3, 2, device=CPU)
    score = torch.tensor([[0.5, 0.25]])
    entries = candidates(score, torch.tensor([[3, 4]]), entry_keys([Target(sample=1, class_id=0)], CPU), [[0]])
    insert(table, torch.tensor([2, 0]), entries)
    stored = top_table(table)
    assert stored.filled.tolist() == [1, 0, 1]
    assert stored.score[:, 0].tolist() == [0.25, 0.0, 0.5]
    assert stored.peak[:, 0].tolist() == [4, -1, 3]
