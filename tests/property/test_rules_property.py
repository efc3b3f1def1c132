"""The closed forms of all rules against zennit's, over layers and inputs of every kind."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from repeatable import repeatable
from ruled import relevance as relevance_by
from ruled import zennits
from torch import nn
from zennit import rules as zennit_rules

from lcrp.composites.rules import Epsilon, Flat, Norm, Pass, ZPlus

MANY = repeatable(40)
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}  # relative L2 error
LINEAR = {
    "z+": (ZPlus, zennit_rules.ZPlus),
    "epsilon": (Epsilon, zennit_rules.Epsilon),
    "flat": (Flat, zennit_rules.Flat),
}
seeds = st.integers(0, 2**16)
dtypes = st.sampled_from([torch.float32, torch.float64])


@st.composite
def convolutions(draw):
    """A convolution, transposed or not, with its input shape."""
    groups = draw(st.integers(1, 3))
    inputs, outputs = groups * draw(st.integers(1, 4)), groups * draw(st.integers(1, 4))
    kernel, stride, dilation = (tuple(draw(st.integers(1, most)) for _ in range(2)) for most in (4, 3, 2))
    padding = tuple(draw(st.integers(0, size // 2)) for size in kernel)
    options = {
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "bias": draw(st.booleans()),
    }
    height, width = draw(st.integers(8, 12)), draw(st.integers(8, 12))
    kind = nn.ConvTranspose2d if draw(st.booleans()) else nn.Conv2d
    return kind(inputs, outputs, kernel, **options), (inputs, height, width)


@st.composite
def fully_connected(draw):
    inputs = draw(st.integers(1, 12))
    return nn.Linear(inputs, draw(st.integers(1, 6)), bias=draw(st.booleans())), (inputs,)


def example(layer, shape, seed, kind, dtype):
    """Random weights, and an input with the wanted signs, of which some are zero; relevance, in part zero too."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    x = torch.randn(2, *shape, generator=generator)
    x = {"signed": x, "positive": x.clamp(min=0), "one signed": torch.cat((x[:1].abs(), x[1:])), "zero": 0 * x}[kind]
    x = (x * (torch.rand(x.shape, generator=generator) > 0.2)).to(dtype).requires_grad_()
    layer.to(dtype)
    relevance = torch.randn(layer(x).shape, generator=generator).to(dtype)
    return x, relevance * (torch.rand(relevance.shape, generator=generator) > 0.3)


def assert_close(rule, zennits_rule, layer, x, relevance):
    ours, theirs = relevance_by(layer, rule, x, relevance), zennits(zennits_rule, layer, x, relevance)
    assert (ours - theirs).norm() <= TOLERANCE[ours.dtype] * theirs.norm()


@pytest.mark.parametrize("rule", LINEAR)
@MANY
@given(
    built=st.one_of(convolutions(), fully_connected()),
    seed=seeds,
    kind=st.sampled_from(["signed", "positive", "one signed", "zero"]),
)
def test_rules_of_linear_layers_are_zennits(rule, built, seed, kind):
    """In float64: a denominator near zero makes any float32 number as good as another."""
    layer, shape = built
    x, relevance = example(layer, shape, seed, kind, torch.float64)
    ours, theirs = LINEAR[rule]
    assert_close(ours(), theirs(), layer, x, relevance)


@pytest.mark.parametrize("rule", ["z+", "flat"])
@MANY
@given(built=convolutions(), seed=seeds, kind=st.sampled_from(["signed", "positive", "one signed"]))
def test_in_float32_too(rule, built, seed, kind):
    """Denominators of these rules are sums of terms of one sign."""
    layer, shape = built
    x, relevance = example(layer, shape, seed, kind, torch.float32)
    ours, theirs = LINEAR[rule]
    assert_close(ours(), theirs(), layer, x, relevance)


@MANY
@given(channels=st.integers(1, 5), seed=seeds, dtype=dtypes)
def test_epsilon_of_norms_is_zennits(channels, seed, dtype):
    """But in float32 where outputs are near zero: they are computed in another order than torch's own norm does."""
    layer = nn.BatchNorm2d(channels)
    generator = torch.Generator().manual_seed(seed)
    layer.running_mean.uniform_(-1, 1, generator=generator)
    layer.running_var.uniform_(0.5, 2, generator=generator)
    x, relevance = example(layer.eval(), (channels, 4, 5), seed, "signed", dtype)
    if dtype == torch.float32:
        relevance = relevance * (layer(x).detach().abs() > 0.1)
    assert_close(Epsilon(), zennit_rules.Epsilon(), layer, x, relevance)


@pytest.mark.parametrize("layer", [nn.AvgPool2d(2), nn.AvgPool2d(3, 2, padding=1), nn.AdaptiveAvgPool2d(1)])
@MANY
@given(seed=seeds, kind=st.sampled_from(["signed", "positive", "zero"]))
def test_norm_of_mean_pools_is_zennits(layer, seed, kind):
    x, relevance = example(layer, (3, 8, 6), seed, kind, torch.float64)
    assert_close(Norm(), zennit_rules.Norm(), layer, x, relevance)


@pytest.mark.parametrize("layer", [nn.SiLU(), nn.ReLU(), nn.BatchNorm2d(3).eval()])
def test_pass_passes(layer):
    x, relevance = example(layer, (3, 8, 6), 1, "signed", torch.float32)
    assert torch.equal(relevance_by(layer, Pass(), x, relevance), relevance)
