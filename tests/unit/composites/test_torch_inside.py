"""What the rules expect of torch beyond its documentation: if another release changes it, these tests say so."""

import pytest
import torch
from torch import Tensor

from lcrp.composites.arithmetic import where_positive
from lcrp.composites.windowed import Windowed, whole

PART = (slice(1, 3), slice(2, 5))
OTHER = (slice(2, 6), slice(0, 3))


def windowed(part, value: float) -> tuple[Windowed, Tensor]:
    """Maps that have a value in one part, and what they stand for."""
    maps = torch.zeros(1, 2, 8, 8)
    maps[:, :, *part] = value
    return Windowed([maps[:, :, *part]], [part], (8, 8)), maps


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_threshold_lies_above_zero_and_keeps_every_bit(dtype, layout):
    least = torch.finfo(dtype).smallest_normal
    ends = torch.tensor([-torch.inf, -1, -least, -0.0, 0.0, least, 1, torch.inf], dtype=dtype)
    condition = ends.repeat(2, 3, 8, 1).contiguous(memory_format=layout)
    values = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)).to(dtype)
    expected = torch.where(condition > 0, values, torch.zeros_like(values))
    assert torch.equal(where_positive(values.contiguous(memory_format=layout), condition), expected)


class _Windowed(torch.autograd.Function):
    """Answers every gradient with one that is windowed."""

    @staticmethod
    def forward(ctx, x, gradient):
        ctx.gradient = gradient
        return x.clone()

    @staticmethod
    def backward(ctx, _):
        return ctx.gradient, None


class _Arriving(torch.autograd.Function):
    """Keeps the gradient that arrives."""

    @staticmethod
    def forward(ctx, x, arrived):
        ctx.arrived = arrived
        return x.clone()

    @staticmethod
    def backward(ctx, upper):
        ctx.arrived.append(upper)
        return whole(upper), None


def test_autograd_adds_windowed_gradients_part_by_part():
    (one, of_one), (other, of_other) = windowed(PART, 1.0), windowed(OTHER, 2.0)
    x, arrived = torch.zeros(1, 2, 8, 8, requires_grad=True), []
    fork = _Arriving.apply(x, arrived)
    met = _Windowed.apply(fork, one) + _Windowed.apply(fork, other)
    (gradient,) = torch.autograd.grad(met.sum(), x)
    (sum_of_both,) = arrived
    assert isinstance(sum_of_both, Windowed)
    assert torch.equal(gradient, of_one + of_other)


def test_nothing_reads_windowed_maps_past_their_parts():
    """They own no memory: what does not ask for the whole maps is refused, and never reads zeros."""
    maps, expected = windowed(PART, 1.0)
    assert torch.equal(maps * 1, expected)
    assert maps.sum().item() == expected.sum().item()
    with pytest.raises(RuntimeError):
        maps.numpy()
