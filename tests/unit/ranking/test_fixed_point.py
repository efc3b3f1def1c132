"""Fixed point sums: exact, canonical, and what is derived of them."""

import numpy as np
import pytest
import torch

from lcrp.ranking.fixed_point import (
    FixedPointSums,
    added,
    check_shares,
    class_sums,
    fixed_point,
    moments,
    placed,
    squares,
    sums,
)

CPU = torch.device("cpu")


def test_rounding_and_range() -> None:
    assert fixed_point(torch.tensor([1.0, -1.0, 0.0, 2.0**-33, 3 * 2.0**-33])).tolist() == [2**32, -(2**32), 0, 0, 2]
    assert fixed_point(torch.tensor([1.0 + 1e-6])).tolist() == [2**32]


@pytest.mark.parametrize("value", [1.1, -2.0, float("nan"), float("inf")])
def test_what_is_no_share_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"must lie in \[-1, 1\]"):
        check_shares(torch.tensor([0.5, value]).abs().max())


@pytest.mark.parametrize("number", [0, 1, -1, 2**16 - 1, 2**16, 2**31 + 12345, 2**32 - 1, -(2**32), 2**32])
def test_squares_are_exact(number: int) -> None:
    high, low = squares(torch.tensor([number]))
    assert int(high) * 2**32 + int(low) == number**2
    assert 0 <= int(low) < 2**32


def test_sums_per_class_carry_into_the_high_limb() -> None:
    generator = torch.Generator().manual_seed(0)
    value = torch.rand(200, 3, generator=generator, dtype=torch.float64) * 2 - 1
    rows = torch.randint(0, 2, (200,), generator=generator)
    found = class_sums(value, rows, 3)
    numbers = fixed_point(value)
    for slot in range(3):
        for concept in range(3):
            chosen = numbers[rows == slot, concept].tolist()
            assert int(found.total[slot, concept]) == sum(chosen)
            high, low = int(found.square_high[slot, concept]), int(found.square_low[slot, concept])
            assert high * 2**32 + low == sum(number**2 for number in chosen)
            assert 0 <= low < 2**32


def test_any_split_gives_the_same_limbs() -> None:
    generator = torch.Generator().manual_seed(1)
    value = torch.rand(30, 4, generator=generator) * 2 - 1
    rows = torch.randint(0, 3, (30,), generator=generator)
    whole = class_sums(value, rows, 3)
    split = FixedPointSums.zeros(3, 4, CPU)
    for part in torch.randperm(30, generator=generator).split(7):
        split = added(class_sums(value[part], rows[part], 3), split)
    for name in ("total", "square_high", "square_low"):
        assert torch.equal(getattr(whole, name), getattr(split, name))


def test_placed_moves_rows() -> None:
    given = class_sums(torch.tensor([[0.5], [0.25]]), torch.tensor([0, 1]), 2)
    moved = placed(given, torch.tensor([2, 0]), 3)
    assert moved.total.flatten().tolist() == [2**30, 0, 2**31]


def test_mean_and_variance() -> None:
    generator = torch.Generator().manual_seed(2)
    value = torch.rand(50, 4, generator=generator, dtype=torch.float64) * 0.01 - 0.002
    found = class_sums(value, torch.zeros(50, dtype=torch.int64), 1)
    stored = moments([7], [50], found)
    np.testing.assert_allclose(stored.mean()[0], value.mean(0).numpy(), rtol=0, atol=2.0**-32)
    np.testing.assert_allclose(stored.variance()[0], value.var(0, correction=0).numpy(), rtol=1e-6)
    restored = sums(stored, CPU)
    assert torch.equal(restored.square_low, found.square_low)
    assert torch.equal(restored.square_high, found.square_high)
    assert torch.equal(restored.total, found.total)


def test_variance_of_a_constant_is_not_negative() -> None:
    found = class_sums(torch.full((7, 1), 0.1), torch.zeros(7, dtype=torch.int64), 1)
    assert moments([0], [7], found).variance()[0, 0] == pytest.approx(0.0, abs=1e-12)
    assert (moments([0], [7], found).variance() >= 0).all()
