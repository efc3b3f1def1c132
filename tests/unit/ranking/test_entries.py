"""Plain columns of entries become top tables and come back; classes are found again."""

from collections import Counter

import numpy as np
import pytest

from lcrp.ranking.entries import class_row, matched_classes, ranked_table, stacked, table_entries
from lcrp.values.statistics import Entries

NUM_CONCEPTS = 3


def entries(seed: int, count: int, class_id: int = 0) -> Entries:
    """Few different numbers, so that there are many ties."""
    rng = np.random.default_rng(seed)
    shape = (count, NUM_CONCEPTS)
    return Entries(
        sample=rng.integers(0, 4, shape),
        score=rng.choice(np.array([-0.25, -0.0, 0.0, 0.25, 0.5], dtype=np.float32), shape),
        peak=rng.integers(0, 2, shape),
        class_id=np.full(shape, class_id),
        item=rng.integers(0, 3, shape),
    )


def rows(found: Entries, concept: int) -> list[tuple[float, int, int, int, int]]:
    assert found.class_id is not None
    assert found.item is not None
    columns = (found.sample, found.class_id, found.item, found.peak)
    numbers = zip(*(column[:, concept].tolist() for column in columns), strict=True)
    return [(score, *row) for score, row in zip(found.score[:, concept].tolist(), numbers, strict=True)]


@pytest.mark.parametrize("size", [1, 7, 40])
def test_the_best_entries_in_the_order_of_all_tables(size: int) -> None:
    given = entries(0, 20)
    table = ranked_table(given, size)
    found = table_entries(table)
    assert table.filled.tolist() == [min(size, 20)] * NUM_CONCEPTS
    for concept in range(NUM_CONCEPTS):
        expected = sorted(rows(given, concept), key=lambda row: (-row[0], *row[1:4]))[:size]
        assert [row[:4] for row in rows(found, concept)] == [row[:4] for row in expected]
    assert not np.signbit(table.score[table.score == 0]).any()


def test_tables_of_classes_are_padded_to_the_longest() -> None:
    tables = [ranked_table(entries(seed, count), 40) for seed, count in ((0, 2), (1, 0), (2, 5))]
    whole = stacked(tables)
    assert whole.score.shape == (3, NUM_CONCEPTS, 5)
    assert whole.filled[:, 0].tolist() == [2, 0, 5]
    assert (whole.sample[0, :, 2:] == -1).all()
    assert not whole.score[0, :, 2:].any()
    for row, table in enumerate(tables):
        count = table.score.shape[1]
        np.testing.assert_array_equal(class_row(whole, row).peak[:, :count], table.peak)
        np.testing.assert_array_equal(table_entries(class_row(whole, row)).score, table_entries(table).score)


def test_classes_are_matched_one_to_one() -> None:
    """Also where one sample has the same score for several classes: none of them is taken twice."""
    by_class = {class_id: entries(class_id, 12, class_id) for class_id in (3, 1, 5)}
    pool = [by_class[class_id] for class_id in (5, 3, 1)]
    overall = Entries(
        **{name: np.concatenate([getattr(one, name) for one in pool]) for name in ("sample", "score", "peak")}
    )
    found = matched_classes(overall, by_class)
    for concept in range(NUM_CONCEPTS):
        columns = zip(
            *(getattr(overall, name)[:, concept].tolist() for name in ("sample", "score", "peak")), strict=True
        )
        matched = Counter((class_id, *key) for class_id, key in zip(found[:, concept].tolist(), columns, strict=True))
        stored = Counter(
            (class_id, *key)
            for class_id, one in by_class.items()
            for key in zip(
                *(getattr(one, name)[:, concept].tolist() for name in ("sample", "score", "peak")), strict=True
            )
        )
        assert matched == stored


def test_an_entry_of_no_class_is_unknown() -> None:
    overall = entries(0, 3)
    assert (matched_classes(overall, {}) == -1).all()
    other = {4: Entries(sample=overall.sample, score=overall.score + np.float32(1), peak=overall.peak)}
    assert (matched_classes(overall, other) == -1).all()
    moved = {4: Entries(sample=overall.sample, score=overall.score, peak=overall.peak + 9)}
    assert (matched_classes(overall, moved) == -1).all()
