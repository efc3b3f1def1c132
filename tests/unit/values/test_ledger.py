"""The ledger of many decisions: sums that do not depend on the order, and what is said of them."""

import random

import numpy as np
import pytest

from lcrp.values.ledger import SHARES, Ledger, LedgerMoments, losses_of


def ledger(seed: float, reached: float, constants: float = 0.0, largest: float = 1.0) -> Ledger:
    return Ledger(seed=seed, reached=reached, constants=constants, stabiliser=0.0, largest=largest, conserves=True)


def test_moments_are_those_of_the_shares_per_class() -> None:
    ledgers = [ledger(2.0, 1.0, 0.5), ledger(4.0, 1.0, 3.0), ledger(1.0, 1.0)]
    moments = LedgerMoments.of([3, 1, 3], ledgers)
    assert moments.class_ids.tolist() == [1, 3]
    assert moments.count.tolist() == [1, 2]
    np.testing.assert_array_equal(moments.total, [[0.25, 0.75, 0, 0, 0], [1.5, 0.25, 0, 0, 0.25]])
    np.testing.assert_array_equal(moments.square, [[0.0625, 0.5625, 0, 0, 0], [1.25, 0.0625, 0, 0, 0.0625]])
    np.testing.assert_array_equal(moments.largest_missing, [0, 0.25])
    of_class = moments.summary(3)
    assert of_class is not None
    assert of_class.mean == dict(zip(SHARES, (0.75, 0.125, 0, 0, 0.125), strict=True))
    assert of_class.deviation["reached"] == 0.25
    overall = moments.summary()
    assert overall is not None
    assert overall.count == 3
    assert overall.mean["reached"] == pytest.approx(1.75 / 3)
    assert moments.summary(2) is None


def test_moments_do_not_depend_on_the_order() -> None:
    generator = random.Random(0)
    ledgers = [ledger(1.0, generator.gauss(0, 1e4)) for _ in range(200)]
    order = generator.sample(range(200), 200)
    one, other = LedgerMoments.of([0] * 200, ledgers), LedgerMoments.of([0] * 200, [ledgers[row] for row in order])
    assert one.total.tobytes() == other.total.tobytes()
    assert one.square.tobytes() == other.square.tobytes()


def test_nothing_is_said_of_no_ledgers_and_no_seed_divides() -> None:
    assert LedgerMoments.of([], []).summary() is None
    assert LedgerMoments.of([], []).total.shape == (0, 5)
    assert LedgerMoments.of([0], [ledger(0.0, 0.0)]).total.tolist() == [[0, 0, 0, 0, 0]]


def test_the_summary_is_one_line_that_tells_of_cancelling() -> None:
    found = LedgerMoments.of([0, 0], [ledger(1.0, 0.5, 0.5), ledger(1.0, 0.5, 0.5, largest=200.0)]).summary()
    assert repr(found) == (
        "ledger of 2 decisions looked at: 50.0% of the relevance reached the picture, constants (biases above all) "
        "took 50.0%, stabilisers 0.0%; at most 0 of a decision is unaccounted for; in 1 of them large relevance for "
        "and against cancels"
    )


def test_the_summary_says_where_shares_lie_beyond_all() -> None:
    """'-64.0% ... 164.0%' stood there alone."""
    found = LedgerMoments.of([0], [ledger(1.0, -0.64, 1.64)]).summary()
    assert repr(found).endswith("; relevance for and against cancels: shares are of their sum")


def test_the_summary_says_what_is_cut_where_anything_is() -> None:
    cut = Ledger(seed=2.0, reached=1.0, constants=0.5, stabiliser=0.0, cut=0.5, largest=2.0, conserves=True)
    assert cut.missing == 0
    assert "took 25.0%, stabilisers 0.0%, what the network cuts off 25.0%;" in repr(
        LedgerMoments.of([0], [cut]).summary()
    )


def test_losses_are_told_from_half_of_a_decision_on() -> None:
    assert ledger(1.0, 0.6, 0.4).losses() == ""
    assert ledger(2.0, 0.4, 1.6).losses() == "20 % reached the picture, biases took 80 %"
    assert ledger(1.0, 0.3, 0.3).losses() == "30 % reached the picture, biases took 30 %, unaccounted for is 40 %"


def test_losses_of_many_decisions_are_ranges() -> None:
    many = [ledger(1.0, 0.01, 0.99), ledger(1.0, 0.04, 0.96), ledger(2.0, 0.06, 1.94)]
    assert losses_of(many) == "1 % to 4 % reached the picture, biases took 96 % to 99 %"
    assert losses_of(many[:1]) == many[0].losses() == "1 % reached the picture, biases took 99 %"
    assert losses_of([*many, ledger(1.0, -0.04, 1.04)]) == (
        "\N{MINUS SIGN}4 % to 4 % reached the picture, biases took 96 % to 104 %; relevance for and against cancels: "
        "shares are of their sum"
    )


def test_a_decision_is_lost_where_nothing_is_left_to_look_at() -> None:
    assert not ledger(2.0, 0.4, 1.6).is_lost
    assert ledger(2.0, 0.0, 2.0).is_lost
    assert not ledger(1.0, 0.004, 0.99).is_lost  # a YOLO11 by z+: biases of a hundred layers took it, the map stays
    assert ledger(1.0, 0.0004, 0.99).is_lost
    assert ledger(1.0, 0.05, 0.3).is_lost  # the rest is unaccounted for
