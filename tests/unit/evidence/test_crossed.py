"""Intervals over pictures and the grounds that they share: literal restatements, and how often they hold the truth."""

import numpy as np
import pytest

from lcrp.evidence.crossed import crossed_draws, expanded_interval, expanded_level, redrawn_means
from lcrp.evidence.intervals import NUM_DRAWS, Interval, mean_interval
from lcrp.evidence.student import student_quantile, student_tail


@pytest.mark.parametrize(("value", "degrees", "wanted"), [(1.833, 9, 0.05), (4.297, 9, 0.001), (1.645, 4000, 0.05)])
def test_students_tail_and_quantile_as_tabled(value: float, degrees: int, wanted: float) -> None:
    assert student_tail(value, degrees) == pytest.approx(wanted, rel=5e-3)
    assert student_quantile(wanted, degrees) == pytest.approx(value, rel=5e-3)


def test_redrawn_means_restated() -> None:
    generator = np.random.default_rng(1)
    owner, source = np.array([2, 0, 0, 2, 0, 3]), np.array([7, 7, 4, 9, 9, 4])
    values = generator.random(6)
    found = redrawn_means(values, owner, source, 4, seed=5)
    counts = np.random.default_rng(5).multinomial(3, [1 / 3] * 3, size=NUM_DRAWS)
    for draw in range(40):
        times = dict(zip((4, 7, 9), counts[draw].tolist(), strict=True))
        for decision in (0, 2, 3):
            rows = np.flatnonzero(owner == decision)
            drawn = [values[row] for row in rows for _ in range(times[int(source[row])])]
            assert found[draw, decision] == pytest.approx(np.mean(drawn) if drawn else values[rows].mean())
    assert np.isnan(found[:, 1]).all(), "it has no rows"


def test_draws_of_what_hangs_on_no_ground_are_those_of_pictures() -> None:
    values, images = np.random.default_rng(0).random(30), np.arange(30) // 2
    drawn = crossed_draws(np.tile(values, (NUM_DRAWS, 1)), images)
    plain = mean_interval(values, images)
    assert np.quantile(drawn, [0.025, 0.975]) == pytest.approx([plain.low, plain.high])
    wide = expanded_interval(float(values.mean()), drawn, 15)
    assert wide.low < plain.low < plain.high < wide.high


def test_levels_come_to_those_of_many() -> None:
    assert expanded_level(10) == pytest.approx(0.0086, abs=2e-4)  # Phi(-2.262 sqrt(10 / 9))
    assert expanded_level(100000) == pytest.approx(0.025, abs=1e-4)


def missed(count: int, *, is_skewed: bool, spread: float) -> tuple[float, float]:
    """How often the truth lies below and above, of pictures before four of 40 grounds that they share."""
    generator, below, above, rounds = np.random.default_rng(count), 0, 0, 300
    for _ in range(rounds):
        own = 0.1 - generator.gamma(0.5, 0.2, count) if is_skewed else 0.14 * generator.standard_normal(count)
        grounds = np.array([generator.permutation(40)[:4] for _ in range(count)])
        rows = own[:, None] + (spread * generator.standard_normal(40))[grounds]
        rows += 0.1 * generator.standard_normal((count, 4))
        redrawn = redrawn_means(rows.ravel(), np.repeat(np.arange(count), 4), grounds.ravel(), count, seed=3)
        found: Interval = expanded_interval(rows.mean(), crossed_draws(redrawn, np.arange(count)), count)
        below, above = below + (found.low > 0), above + (found.high < 0)
    return below / rounds, above / rounds


@pytest.mark.parametrize("count", [10, 20, 40])
@pytest.mark.parametrize("is_skewed", [False, True])
def test_a_need_is_seldom_told_of_what_has_none(count: int, is_skewed: bool) -> None:
    """Few pictures, few that fall far, grounds that matter: over 2.5 % by chance of 300 rounds alone."""
    below, above = missed(count, is_skewed=is_skewed, spread=0.14)
    assert below <= 0.045
    assert above <= 0.045
