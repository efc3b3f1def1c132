"""Functions of torch, called as they seldom are: explained as if they were called as they mostly are."""

import pytest
import torch
from torch import nn
from traps import EPSILON, Written, assert_the_same, explained, plain_output

from lcrp.composites.composites import epsilon_plus_flat
from lcrp.composites.operations.signals import in_order
from lcrp.composites.spec import CompositeSpec
from lcrp.errors import ConfigError

PLUS = CompositeSpec(name="epsilon_plus_flat", build=epsilon_plus_flat)
FIRST = torch.zeros(1, 1, 6, 6, dtype=torch.long)
PAIRS = torch.arange(4) % 2  # channels 0 and 2 go to 0, 1 and 3 to 1
PLACES = PAIRS.view(1, 4, 1, 1).expand(1, 4, 6, 6)
ROWS = (torch.tensor([[0]]), PAIRS[None])


def between(how):
    """A network with something between its two layers."""
    return lambda network, x: network.head(how(network.conv(x)))


def canvas(y):
    return torch.zeros_like(y.detach())


NAMED = {
    "scatter": (lambda y: y.scatter(1, FIRST, src=y[:, 1:2]), lambda y: y.scatter(1, FIRST, y[:, 1:2])),
    "scatter_": (
        lambda y: y.clone().scatter_(dim=1, index=FIRST, src=y[:, 1:2]),
        lambda y: y.clone().scatter_(1, FIRST, y[:, 1:2]),
    ),
    "scatter_add": (lambda y: y.scatter_add(1, FIRST, src=y[:, 1:2]), lambda y: y.scatter_add(1, FIRST, y[:, 1:2])),
    "scatter_add_ into a constant": (
        lambda y: canvas(y).scatter_add_(1, PLACES, src=y),
        lambda y: canvas(y).scatter_add_(1, PLACES, y),
    ),
    "index_add": (
        lambda y: y.index_add(1, FIRST[0, 0, 0, :1], source=y[:, 1:2], alpha=2),
        lambda y: y.index_add(1, FIRST[0, 0, 0, :1], y[:, 1:2], alpha=2),
    ),
    "index_put": (
        lambda y: y.index_put((ROWS[0], ROWS[1][:, :2]), values=y[:, 2:]),
        lambda y: y.index_put((ROWS[0], ROWS[1][:, :2]), y[:, 2:]),
    ),
    "index_copy": (
        lambda y: y.index_copy(1, torch.tensor([0, 1]), source=y[:, 2:]),
        lambda y: y.index_copy(1, torch.tensor([0, 1]), y[:, 2:]),
    ),
    "masked_fill": (lambda y: y.masked_fill(y > 0, value=y.sum()), lambda y: y.masked_fill(y > 0, y.sum())),
    "masked_scatter": (
        lambda y: y.masked_scatter(y > 0, source=y.flip(2)),
        lambda y: y.masked_scatter(y > 0, y.flip(2)),
    ),
    "where": (lambda y: torch.where(y > 0, y, other=y.flip(2)), lambda y: torch.where(y > 0, y, y.flip(2))),
    "where, from the condition on": (
        lambda y: torch.where(other=y.flip(2), input=y, condition=y > 0),
        lambda y: torch.where(y > 0, y, y.flip(2)),
    ),
    "lerp": (
        lambda y: torch.lerp(input=y, end=y.flip(2), weight=y.sigmoid()),
        lambda y: torch.lerp(y, y.flip(2), y.sigmoid()),
    ),
    "addcmul": (
        lambda y: torch.addcmul(y, tensor2=y.flip(2), tensor1=y.flip(3), value=0.5),
        lambda y: torch.addcmul(y, y.flip(3), y.flip(2), value=0.5),
    ),
    "baddbmm": (
        lambda y: torch.baddbmm(y[0], batch2=y[0], batch1=y[0].mT)[None],
        lambda y: torch.baddbmm(y[0], y[0].mT, y[0])[None],
    ),
    "addmv": (
        lambda y: torch.addmv(vec=y[0, 0, 0], mat=y[0, 1], input=y[0, 0, 1]).expand(y.shape),
        lambda y: torch.addmv(y[0, 0, 1], y[0, 1], y[0, 0, 0]).expand(y.shape),
    ),
    "matmul": (lambda y: torch.matmul(other=y.mT, input=y), lambda y: y @ y.mT),
    "sub": (lambda y: torch.sub(other=y.flip(2), input=y, alpha=2), lambda y: torch.sub(y, y.flip(2), alpha=2)),
    "sub, as numpy calls it": (lambda y: torch.sub(x2=y.flip(2), x1=y), lambda y: y - y.flip(2)),
    "div": (
        lambda y: torch.div(y, other=y.flip(2), rounding_mode="floor"),
        lambda y: torch.div(y, y.flip(2), rounding_mode="floor"),
    ),
    "maximum": (lambda y: torch.maximum(other=y, input=y.flip(2)), lambda y: torch.maximum(y.flip(2), y)),
    "pow": (lambda y: torch.pow(exponent=y, self=2.0), lambda y: torch.pow(2.0, y)),
    "prelu": (lambda y: torch.prelu(weight=y[0, 0, 0, :1], input=y), lambda y: torch.prelu(y, y[0, 0, 0, :1])),
    "relu_": (lambda y: torch.relu_(input=y), lambda y: torch.relu_(y)),
    "stack": (lambda y: torch.stack(tensors=y.unbind(1), dim=1), lambda y: torch.stack(y.unbind(1), dim=1)),
    "attention": (
        lambda y: nn.functional.scaled_dot_product_attention(value=y, key=y, query=y.flip(2)),
        lambda y: nn.functional.scaled_dot_product_attention(y.flip(2), y, y),
    ),
    "torch.ops": (
        lambda y: torch.ops.aten.index_add(y, 1, source=y[:, 1:2], index=FIRST[0, 0, 0, :1]),
        lambda y: torch.index_add(y, 1, FIRST[0, 0, 0, :1], y[:, 1:2]),
    ),
}


@pytest.mark.parametrize("composite", [EPSILON, PLUS], ids=lambda spec: spec.name)
@pytest.mark.parametrize("name", NAMED)
def test_tensors_by_name_are_explained_as_those_by_place(name, composite):
    """Signals given by name were constants, or stood for another argument."""
    by_name, by_place = NAMED[name]
    assert_the_same(between(by_name), between(by_place), composite)


def test_a_convolution_by_names():
    def by_name(network, x):
        return nn.functional.conv2d(weight=network.head.weight, input=network.conv(x), bias=network.head.bias)

    assert_the_same(by_name, lambda network, x: network.head(network.conv(x)), PLUS)


def test_a_name_that_torch_does_not_declare_is_refused():
    signal = torch.ones(1, requires_grad=True)
    assert in_order(torch.add, (signal,), {"that": signal.detach()}) == ((signal,), {"that": signal.detach()})
    with pytest.raises(ConfigError, match="add is called with that by name: give them by their place"):
        in_order(torch.add, (signal,), {"that": signal})


def summed(y, *, extra=None):
    first, second = y[:, :1] + y[:, 2:3], y[:, 1:2] + y[:, 3:]
    return torch.cat([first, second, y[:, 2:] if extra is None else extra], dim=1)


def doubled(y):
    return y + torch.cat([y[:, :1] + y[:, 2:3], y[:, 1:2] + y[:, 3:], canvas(y[:, 2:])], dim=1)


SUMS = {
    "index_put": (lambda y: y.index_put(ROWS, y, accumulate=True), doubled),
    "index_put by place": (lambda y: y.index_put(ROWS, y, True), doubled),
    "index_put_ into a constant": (
        lambda y: canvas(y).index_put_(ROWS, y, accumulate=True),
        lambda y: summed(y, extra=canvas(y[:, 2:])),
    ),
    "put": (
        lambda y: y.put(torch.arange(72) % 36, y.flatten()[72:], accumulate=True),
        lambda y: torch.cat([(y[:, 0] + y[:, 2] + y[:, 3])[:, None], y[:, 1:]], dim=1),
    ),
    "put_ into a constant": (
        lambda y: canvas(y).put_(torch.arange(144) % 72, y, accumulate=True),
        lambda y: summed(y, extra=canvas(y[:, 2:])),
    ),
    "put that adds nothing": (
        lambda y: y.put(torch.arange(72), y.flatten()[72:]),
        lambda y: torch.cat([y[:, 2:], y[:, 2:]], dim=1),
    ),
    "scatter that adds": (lambda y: y.scatter(1, PLACES, y, reduce="add"), doubled),
    "scatter_ that adds a number": (
        lambda y: y.clone().scatter_(1, PLACES, 2.0, reduce="add"),
        lambda y: torch.cat([y[:, :1] + 2.0 + 2.0, y[:, 1:2] + 2.0 + 2.0, y[:, 2:]], dim=1),
    ),
    "scatter_reduce": (lambda y: y.scatter_reduce(1, PLACES, y, "sum"), doubled),
    "scatter_reduce_ into a constant": (
        lambda y: canvas(y).scatter_reduce_(1, PLACES, src=y, reduce="sum"),
        lambda y: summed(y, extra=canvas(y[:, 2:])),
    ),
    "mean": (
        lambda y: canvas(y).scatter_reduce(1, PLACES, y, "mean", include_self=False),
        lambda y: summed(y, extra=canvas(y[:, 2:])) / 2,
    ),
    "index_reduce": (
        lambda y: canvas(y).index_reduce(1, PAIRS, y, "mean", include_self=False),
        lambda y: summed(y, extra=canvas(y[:, 2:])) / 2,
    ),
    "largest": (
        lambda y: canvas(y).scatter_reduce(1, PLACES, y, "amax", include_self=False),
        lambda y: torch.cat([torch.maximum(y[:, :2], y[:, 2:]), canvas(y[:, 2:])], dim=1),
    ),
    "sum_to_size": (lambda y: y.sum_to_size(1, 1, 6, 6).expand(y.shape), lambda y: y.sum(1, True).expand(y.shape)),
}


@pytest.mark.filterwarnings("ignore:The reduce argument of torch.scatter", "ignore:index_reduce")
@pytest.mark.parametrize("composite", [EPSILON, PLUS], ids=lambda spec: spec.name)
@pytest.mark.parametrize("name", SUMS)
def test_values_that_are_added_where_they_are_put(name, composite):
    """They take their share of the sum; all of its relevance went to each."""
    one, other = (Written(between(how)) for how in SUMS[name])
    plain = plain_output(one)
    found, expected = explained(one, composite=composite), explained(other, composite=composite)
    torch.testing.assert_close(found.output, plain, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(expected.output, plain, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(found.heatmap, expected.heatmap, rtol=1e-3, atol=1e-4)  # but for stabilisers
    assert abs(found.ledger.constants - expected.ledger.constants) < 1e-3 * expected.ledger.largest
    assert found.ledger.missing_share < 1e-9
    assert not found.gradients
    assert not found.contributions


def test_products_where_values_are_put_are_named():
    for how in (
        lambda y: y.scatter_reduce(1, FIRST, y[:, 1:2], "prod"),
        lambda y: y.scatter(1, FIRST, 2.0, reduce="multiply"),
    ):
        found = explained(Written(between(how)))
        assert found.contributions == {"scatter_reduce": 1}
