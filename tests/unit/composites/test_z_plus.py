"""z+ where the denominator of large maps takes one convolution for two: the same numbers, the same for every mate."""

from copy import deepcopy

import pytest
import torch
from ruled import relevance, ruled, zennits
from torch import nn
from zennit import rules as zennit_rules

from lcrp.composites import closed_form
from lcrp.composites.arithmetic import STABILIZER, has_negative
from lcrp.composites.operations.linear_map import LinearMap
from lcrp.composites.rules import Epsilon, ZPlus
from lcrp.composites.table import RuleTable

SIZE = 64  # of maps that are looked at picture by picture


@pytest.fixture
def passes(monkeypatch):
    """Every linear map that rules make of an input, by the values of its weight."""
    found = []
    forward = LinearMap.forward

    def counted(self, x, weight, *arguments, **options):
        found.append(weight)
        return forward(self, x, weight, *arguments, **options)

    monkeypatch.setattr(LinearMap, "forward", counted)
    return found


def layer_of(dtype=torch.float32, *, bias=True):
    torch.manual_seed(3)
    return nn.Conv2d(8, 16, 3, padding=1, bias=bias).to(dtype)


def picture(dtype=torch.float32, *, seed=0):
    """What a SiLU returns: of either sign, mostly positive."""
    x = torch.randn(1, 8, SIZE, SIZE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return nn.functional.silu(2 * x).to(dtype).requires_grad_()


def literal(layer, x, upper):
    """The rule as it is written, in float64."""
    layer, x, upper = deepcopy(layer).double(), x.detach().double(), upper.double()
    total = torch.zeros_like(x)
    parts = [(x.clamp(min=0), layer.weight.clamp(min=0)), (x.clamp(max=0), layer.weight.clamp(max=0))]
    bias = None if layer.bias is None else layer.bias.clamp(min=0)
    z = sum(nn.functional.conv2d(part, weight, padding=1) for part, weight in parts)
    s = upper / (z + (0 if bias is None else bias[:, None, None]) + STABILIZER)
    for part, weight in parts:
        total += part * nn.functional.conv_transpose2d(s, weight, padding=1)
    return total.detach()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.float64, 1e-13)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("few", [True, False])
def test_large_maps_of_either_sign_take_one_convolution(passes, dtype, tolerance, bias, few):
    layer, x = layer_of(dtype, bias=bias), picture(dtype)
    upper = torch.randn(1, 16, SIZE, SIZE, generator=torch.Generator().manual_seed(1)).to(dtype)
    found = relevance(layer, ZPlus(), x, upper, few=few)
    assert len(passes) == 1
    for expected in (literal(layer, x, upper), zennits(zennit_rules.ZPlus(), layer, x, upper)):
        assert (found - expected).norm() < tolerance * expected.norm()


@pytest.mark.parametrize(
    ("x", "upper_size", "count"),
    [
        (picture()[..., :8, :8], 8, 2),  # small maps, which pass with their batch
        (picture(torch.bfloat16), SIZE, 2),  # whose sums are too coarse for differences
        (picture().detach().abs(), SIZE, 1),
    ],
)
def test_other_maps_are_summed_part_by_part(passes, x, upper_size, count):
    layer = layer_of(x.dtype)
    x = x.detach().requires_grad_()
    with ruled(layer, ZPlus()):
        y = layer(x)
    (found,) = torch.autograd.grad(y, x, torch.ones(1, 16, upper_size, upper_size, dtype=x.dtype))
    assert len(passes) == count
    assert not any(torch.equal(weight, layer.weight.abs() / 2) for weight in passes)
    assert found.isfinite().all()


def test_the_output_is_kept_only_where_the_denominator_is_made_of_it():
    """Behind a ReLU it would be memory for nothing, or a copy where the network overwrites it."""
    layer = layer_of()
    for x, is_kept in ((picture(), True), (picture().detach().abs().requires_grad_(), False)):
        with ruled(layer, ZPlus()):
            step = layer(x).grad_fn.step
        assert (step._y is not None) == is_kept


@pytest.mark.parametrize(("agreeing", "count"), [(0.0, 3), (1e-6, 3), (1e-4, 3), (0.1, 1)])
def test_where_little_agrees_no_rounding_counts(passes, agreeing, count):
    """A difference of large numbers would be any number there, and relevance come from nowhere."""
    layer, x = layer_of(), picture()
    with torch.no_grad():
        x.abs_()
        x[..., 0, 0] *= -1
        layer.weight[0] = -layer.weight[0].abs()
        layer.weight[0, :4] *= -agreeing
        layer.bias[0] = -1
    upper = torch.zeros(1, 16, SIZE, SIZE)
    upper[:, 0, 8:, 8:] = 1.0
    found, expected = relevance(layer, ZPlus(), x, upper), literal(layer, x, upper)
    assert len(passes) == count
    assert (found - expected).norm() <= 2e-6 * expected.norm()


def test_no_bit_depends_on_the_mates():
    """One that is nowhere negative beside ones that are; in float64, in which every library convolves one by one."""
    layer = layer_of(torch.float64)
    pictures = [picture(torch.float64, seed=seed).detach() for seed in range(3)]
    x = torch.cat([pictures[0], pictures[1].abs(), pictures[2]])
    upper = torch.randn(3, 16, SIZE, SIZE, generator=torch.Generator().manual_seed(1)).double()
    together = relevance(layer, ZPlus(), x.clone().requires_grad_(), upper)
    for row in range(3):
        rows = slice(row, row + 1)
        alone = relevance(layer, ZPlus(), x[rows].clone().requires_grad_(), upper[rows])
        assert torch.equal(together[rows], alone)


@pytest.mark.parametrize(("size", "dtype"), [(8, torch.float32), (SIZE, torch.bfloat16)])
def test_outputs_that_merged_norms_keep_are_of_no_use_elsewhere(passes, size, dtype):
    """Small maps pass with their batch, and none may go another way by its mates; others are too coarse."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16)).eval().to(dtype)
    x = torch.cat([picture().detach(), picture(seed=1).detach().abs()])[..., :size, :size].to(dtype)
    upper = torch.randn(2, 16, size, size, generator=torch.Generator().manual_seed(1)).to(dtype)
    table = RuleTable(families={"convolution": ZPlus(), "norm": Epsilon()})
    found = relevance(network, table, x.requires_grad_(), upper)
    assert not any(bool((weight > 0).all()) for weight in passes)  # |W| / 2
    assert len(passes) in (2, 3)  # of all together, or of each: the second has one sign
    assert found.isfinite().all()


def test_signs_of_large_maps_are_looked_at_once(monkeypatch):
    """All of a map behind a ReLU has to be read for that."""
    looks = []
    monkeypatch.setattr(closed_form, "has_negative", lambda x: looks.append(x) or has_negative(x))
    x = picture().detach().abs().requires_grad_()
    relevance(layer_of(), ZPlus(), x, torch.ones(1, 16, SIZE, SIZE))
    assert len(looks) == 1


def test_an_output_that_the_network_overwrites_is_kept_as_it_was():
    x, upper = picture(), torch.randn(1, 8, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    found = []
    for inplace in (False, True):
        torch.manual_seed(0)
        convolutions = [nn.Conv2d(8, 8, 3, padding=1) for _ in range(2)]
        network = nn.Sequential(convolutions[0], nn.SiLU(inplace=inplace), convolutions[1])
        found.append(relevance(network, ZPlus(), x, upper))
    assert torch.equal(*found)
