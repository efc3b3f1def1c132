"""Verdicts on differences, beside the procedure of Benjamini and Hochberg as it is written down."""

import numpy as np
import pytest

from lcrp.evidence.crossed import crossed_draws, expanded_interval
from lcrp.evidence.intervals import NUM_DRAWS, Interval
from lcrp.evidence.reliance import LEAST, judgements, num_needed, p_value, rejected
from lcrp.values.audit import Verdict


def literal(p_values: list[float], rate: float) -> set[int]:
    """The largest k whose k-th smallest p-value is at most k / m times the rate; the k smallest are rejected."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    largest = 0
    for k in range(1, len(order) + 1):
        if p_values[order[k - 1]] <= k / len(order) * rate:
            largest = k
    return set(order[:largest])


@pytest.mark.parametrize("seed", range(20))
def test_rejected_as_written_down(seed: int) -> None:
    generator = np.random.default_rng(seed)
    p_values = generator.random(8) ** 4
    assert set(np.flatnonzero(rejected(p_values, 0.05)).tolist()) == literal(p_values.tolist(), 0.05)


def test_later_small_values_carry_earlier_ones() -> None:
    assert rejected(np.array([0.03, 0.04, 0.045]), 0.05).tolist() == [True, True, True]  # none passes by 0.05 / 3
    assert rejected(np.array([np.nan, 0.9]), 0.05).tolist() == [False, False]
    assert rejected(np.zeros(0), 0.05).tolist() == []


def judged(values: np.ndarray, images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Differences that hang on no ground."""
    return values, np.tile(values, (NUM_DRAWS, 1)), images


def around(value: float, spread: float, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return judged(value + spread * np.resize([-1.0, 1.0], count), np.arange(count))


def test_verdicts() -> None:
    found = judgements([around(0.2, 0.1, 40), around(0.0, 0.01, 40), around(0.03, 0.1, 40), around(0.2, 0.1, 1)])
    assert [one.verdict for one in found] == [
        Verdict.NEEDS,
        Verdict.DOES_NOT,
        Verdict.CANNOT_TELL,
        Verdict.CANNOT_TELL,
    ]
    assert [one.num_objects for one in found] == [40, 40, 40, 1]
    values, redrawn, images = around(0.2, 0.1, 40)
    assert found[0].difference == expanded_interval(values.mean(), crossed_draws(redrawn, images), 40)
    assert [one.num_needed for one in found[:2]] == [0, 0]
    assert found[3].num_needed == -1


def test_many_classes_ask_for_more() -> None:
    """Of one class the interval is enough; among many that tell nothing, a lower bound just above is no discovery."""
    generator = np.random.default_rng(1)
    near = judged(0.037 + 0.02 * generator.standard_normal(60), np.arange(60))
    (alone,) = judgements([near])
    assert LEAST < alone.difference.low < LEAST + 0.004
    assert alone.verdict is Verdict.NEEDS
    among, *_ = judgements([near, *[around(0.03, 0.1, 40)] * 30])
    assert among.verdict is Verdict.CANNOT_TELL


def test_few_pictures_tell_nothing_however_many_objects_they_hold() -> None:
    values = around(0.2, 0.01, 60)[0]
    few, enough = judgements([judged(values, np.arange(60) % 9), judged(values, np.arange(60) % 10)])
    assert (few.verdict, few.num_pictures, few.num_needed) == (Verdict.CANNOT_TELL, 9, -1)
    assert (enough.verdict, enough.num_pictures) == (Verdict.NEEDS, 10)


def test_no_p_value_is_zero_and_all_are_students() -> None:
    generator = np.random.default_rng(0)
    spread = generator.standard_normal(999)
    spread = (spread - spread.mean()) / spread.std()
    normal = ((spread <= -1.0).sum() + 1) / 1000
    assert normal < p_value(1.0, 1.0 + spread, 20) < 1.3 * normal, "fewer pictures, heavier tails"
    assert p_value(1.0, 1.0 + spread, 4000) == pytest.approx(normal, rel=0.01)
    assert 0 < p_value(9.0, 9.0 + spread, 20) < 1e-6, "1000 draws alone tell nothing below 0.001"
    assert p_value(9.0, 9.0 + spread, 10) > 10 * p_value(9.0, 9.0 + spread, 20)
    assert p_value(-9.0, -9.0 + spread, 10) > 0.99


def test_p_values_are_levels_of_intervals() -> None:
    """An interval that just reaches 0 has a p-value of 2.5 % on that side."""
    drawn = 0.3 + 0.1 * np.random.default_rng(0).standard_normal(NUM_DRAWS)
    low = expanded_interval(0.3, drawn, 12).low
    assert p_value(0.3 - low, drawn - low, 12) == pytest.approx(0.025, abs=0.003)


def test_among_many_classes_clear_needs_are_found() -> None:
    """Of 80 classes one alone needs its context: its p-value must lie below 0.025 / 80; 1000 draws tell none."""
    found = judgements([around(0.3, 0.05, 40), *[around(0.03, 0.1, 40)] * 79])
    assert [one.verdict for one in found[:2]] == [Verdict.NEEDS, Verdict.CANNOT_TELL]


def test_how_many_would_tell() -> None:
    assert num_needed(Interval(value=0.05, low=0.01, high=0.09), 10) == 40  # a half width of 0.04 must become 0.02
    assert num_needed(Interval(value=LEAST, low=0.0, high=0.06), 10) == -1
    assert num_needed(Interval(value=0.05, low=float("nan"), high=float("nan")), 1) == -1
    assert num_needed(Interval(value=0.5, low=0.4, high=0.6), 10) == 11, "more than there are, since these do not"
