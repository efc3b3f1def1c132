"""The closed forms of all rules against their formulas, restated with a dense matrix."""

import copy

import pytest
import torch
from ruled import ruled
from torch import nn

from lcrp.composites.rules import Epsilon, Flat, GeneralisedGamma, ZPlus

GAMMA = 0.25
LAYERS = {
    "conv": (lambda: nn.Conv2d(4, 6, 3, padding=1), (4, 7, 6)),
    "conv without bias": (lambda: nn.Conv2d(4, 6, 3, bias=False), (4, 6, 5)),
    "strided": (lambda: nn.Conv2d(3, 4, 3, stride=2, padding=1), (3, 8, 7)),
    "stride that skips the border": (lambda: nn.Conv2d(3, 4, 2, stride=3), (3, 9, 9)),
    "dilated": (lambda: nn.Conv2d(2, 3, 3, dilation=2, padding=(2, 1)), (2, 8, 9)),
    "grouped": (lambda: nn.Conv2d(4, 8, 3, groups=2, padding=1), (4, 5, 5)),
    "transposed": (lambda: nn.ConvTranspose2d(4, 3, 2, stride=2), (4, 4, 3)),
    "transposed with output padding": (
        lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2),
        (4, 4, 3),
    ),
    "one axis": (lambda: nn.Conv1d(4, 6, 3, stride=2, padding=1, groups=2), (4, 9)),
    "three axes": (lambda: nn.Conv3d(2, 3, (1, 2, 3), padding=(0, 1, 1)), (2, 3, 4, 4)),
    "transposed, one axis": (lambda: nn.ConvTranspose1d(4, 3, 3, stride=2, padding=1), (4, 5)),
    "transposed, three axes": (lambda: nn.ConvTranspose3d(2, 3, 2, stride=(1, 2, 2)), (2, 2, 3, 3)),
    "fully connected": (lambda: nn.Linear(9, 5), (9,)),
    "fully connected, of tokens": (lambda: nn.Linear(6, 5), (4, 6)),
}


def dense(layer, shape):
    """The layer as matrix [outputs, inputs] and bias [outputs], found by feeding it unit vectors."""
    inputs = torch.eye(int(torch.tensor(shape).prod()), dtype=torch.float64).reshape(-1, *shape)
    with torch.no_grad():
        offset = layer(torch.zeros(1, *shape, dtype=torch.float64))
        columns = layer(inputs) - offset
    return columns.flatten(1).T, offset.flatten()


def stabilised(z):
    return z + 1e-6 * torch.where(z < 0, -1.0, 1.0).to(z)


def z_plus(w, b, a, relevance):
    """R_in of one sample by the z+ rule, term by term as it is published."""
    plus, minus = (lambda t: t.clamp(min=0)), (lambda t: t.clamp(max=0))
    s = relevance / stabilised(plus(w) @ plus(a) + minus(w) @ minus(a) + plus(b))
    return plus(a) * (plus(w).T @ s) + minus(a) * (minus(w).T @ s)


def generalised_gamma(w, b, a, relevance):
    """R_in of one sample by the generalised gamma rule, term by term as it is published."""
    plus, minus = (lambda t: t.clamp(min=0)), (lambda t: t.clamp(max=0))
    u, v = w + GAMMA * plus(w), w + GAMMA * minus(w)
    p = u @ plus(a) + (b + GAMMA * plus(b)) + v @ minus(a)
    n = v @ plus(a) + (b + GAMMA * minus(b)) + u @ minus(a)
    z = w @ a + b
    above = torch.where(z > 0, relevance, 0.0) / stabilised(p)
    below = torch.where(z < 0, relevance, 0.0) / stabilised(n)
    return plus(a) * (u.T @ above) + minus(a) * (v.T @ above) + plus(a) * (v.T @ below) + minus(a) * (u.T @ below)


def epsilon(w, b, a, relevance):
    """R_in of one sample by the epsilon rule."""
    return a * (w.T @ (relevance / stabilised(w @ a + b)))


def flat(w, b, a, relevance):  # noqa: ARG001
    """R_in of one sample by the flat rule; `w` holds ones where an input is seen."""
    return w.T @ (relevance / stabilised(w @ torch.ones_like(a)))


RULES = {
    "z+": (ZPlus(), z_plus),
    "generalised gamma": (GeneralisedGamma(GAMMA), generalised_gamma),
    "epsilon": (Epsilon(), epsilon),
    "flat": (Flat(), flat),
}


def explained(layer, x, rule, relevance):
    """Relevance of x by a rule, in a first and in a second round over the same forward pass."""
    with ruled(layer, rule):
        y = layer(x)
    (first,) = torch.autograd.grad(y, x, relevance, retain_graph=True)
    (second,) = torch.autograd.grad(y, x, 2 * relevance)
    return first, second


def example(name, sign):
    """A layer, its input and relevance of its output, in float64."""
    build, shape = LAYERS[name]
    torch.manual_seed(7)
    layer = build().double()
    x = torch.randn(3, *shape, dtype=torch.float64)
    if sign == "positive":
        x = x.clamp(min=0)
    x.requires_grad_()
    return layer, x, torch.randn_like(layer(x))


def of_ones(layer):
    """The layer with ones for weights, without bias."""
    layer = copy.deepcopy(layer)
    with torch.no_grad():
        layer.weight.fill_(1)
        if layer.bias is not None:
            layer.bias.zero_()
    return layer


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("sign", ["signed", "positive"])
def test_rule_is_the_formula(name, sign, rule):
    layer, x, relevance = example(name, sign)
    closed_form, literal = RULES[rule]
    first, second = explained(layer, x, closed_form, relevance)
    shape = x.shape[1:]
    matrix, bias = dense(of_ones(layer) if rule == "flat" else layer, shape)
    pairs = zip(x.detach().flatten(1), relevance.flatten(1), strict=True)
    expected = torch.stack([literal(matrix, bias, a, r).reshape(shape) for a, r in pairs])
    assert (first - expected).norm() <= 1e-10 * expected.norm()
    assert (second - 2 * expected).norm() <= 2e-10 * expected.norm()


def test_outputs_of_zero_pass_nothing():
    layer = nn.Linear(3, 2, bias=False).double()
    with torch.no_grad():
        layer.weight.zero_()
    found, _ = explained(
        layer,
        torch.ones(1, 3, dtype=torch.float64, requires_grad=True),
        GeneralisedGamma(),
        torch.ones(1, 2, dtype=torch.float64),
    )
    assert torch.equal(found, torch.zeros_like(found))
