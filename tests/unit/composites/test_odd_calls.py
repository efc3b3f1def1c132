"""Functions of torch, called as they seldom are: explained as if they were called as they mostly are."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from traps import EPSILON, Written, assert_the_same, explained, explained_unchanged, pictures

from lcrp.composites.composites import epsilon_plus_flat, lrp
from lcrp.composites.operations.signals import in_order
from lcrp.composites.rules import Epsilon, Flat
from lcrp.composites.spec import CompositeSpec
from lcrp.errors import ConfigError, LayerError

ATTENTION = CompositeSpec(name="attnlrp", build=lambda _: lrp(Epsilon(), attention="attn"))
PLUS = CompositeSpec(name="epsilon_plus_flat", build=epsilon_plus_flat)
OFFSET = torch.randn(6, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
CHANNELS = torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
FIRST = torch.zeros(1, 1, 6, 6, dtype=torch.long)
PAIRS = torch.arange(4) % 2  # channels 0 and 2 go to 0, 1 and 3 to 1
PLACES = PAIRS.view(1, 4, 1, 1).expand(1, 4, 6, 6)
ROWS = (torch.tensor([[0]]), PAIRS[None])


def between(how):
    """A network with something between its two layers."""
    return lambda network, x: network.head(how(network.conv(x)))


def canvas(y):
    return torch.zeros_like(y.detach())


def assert_alike(written, reference, composite=EPSILON):
    """As `assert_the_same`, but for stabilisers."""
    return assert_the_same(written, reference, composite, but_for=(1e-3, 1e-4))


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
        lambda y: functional.scaled_dot_product_attention(value=y, key=y, query=y.flip(2)),
        lambda y: functional.scaled_dot_product_attention(y.flip(2), y, y),
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
        return functional.conv2d(weight=network.head.weight, input=network.conv(x), bias=network.head.bias)

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
    how, reference = SUMS[name]
    found = assert_alike(between(how), between(reference), composite)
    assert not found.contributions


def test_products_where_values_are_put_are_named():
    for how in (
        lambda y: y.scatter_reduce(1, FIRST, y[:, 1:2], "prod"),
        lambda y: y.scatter(1, FIRST, 2.0, reduce="multiply"),
    ):
        found = explained(Written(between(how)))
        assert found.contributions == {"scatter_reduce": 1}


def bounded(low=None, high=None):
    def of(y):
        above = y if low is None else torch.maximum(y, low(y))
        return above if high is None else torch.minimum(above, high(y))

    return of


def flipped(y):
    return y.flip(2)


def turned(y):
    return y.flip(3)


BOUNDS = {
    "min": (lambda y: torch.clamp(y, min=y.flip(2)), bounded(flipped)),
    "max": (lambda y: y.clamp(max=y.flip(2)), bounded(None, flipped)),
    "both": (lambda y: y.clamp(y.flip(2), y.flip(3)), bounded(flipped, turned)),
    "a signal and a number": (
        lambda y: y.clamp(y.flip(2), torch.tensor(0.3, dtype=y.dtype)),
        bounded(flipped, lambda _: OFFSET * 0 + 0.3),
    ),
    "in place": (lambda y: y.clone().clamp_(min=y.flip(2)), bounded(flipped)),
    "clip": (lambda y: torch.clip(y, y.flip(2), y.flip(3)), bounded(flipped, turned)),
    "clamp_min": (lambda y: torch.clamp_min(y, y.flip(2)), bounded(flipped)),
    "clamp_max": (lambda y: torch.clamp_max(y, y.flip(2)), bounded(None, flipped)),
    "torch.ops": (lambda y: torch.ops.aten.clamp_max.Tensor(y, y.flip(2)), bounded(None, flipped)),
    "of a constant": (lambda y: torch.clamp(canvas(y), min=y), lambda y: torch.maximum(canvas(y), y)),
}


@pytest.mark.parametrize("name", BOUNDS)
def test_bounds_that_are_signals_take_the_relevance_where_they_hold(name):
    how, reference = BOUNDS[name]
    assert_the_same(between(how), between(reference))


QUOTIENTS = {
    "whole number": (lambda y: y / torch.tensor(3), lambda y: y / 3),
    "whole numbers": (
        lambda y: y / torch.tensor([3, 7, 9, 11]).view(4, 1, 1),
        lambda y: y / torch.tensor([3, 7, 9, 11], dtype=y.dtype).view(4, 1, 1),
    ),
    "whole numbers, behind no map": (
        lambda y: y.exp() / torch.tensor([3, 7, 9, 11]).view(4, 1, 1),
        lambda y: y.exp() / torch.tensor([3, 7, 9, 11], dtype=y.dtype).view(4, 1, 1),
    ),
    "zero": (lambda y: torch.where(y < 100, y, y / 0), lambda y: torch.where(y < 100, y, 1.0)),
    "zeros": (lambda y: torch.where(y < 100, y, y / OFFSET.new_zeros(4, 1, 1)), lambda y: torch.where(y < 100, y, 1.0)),
}


@pytest.mark.parametrize("composite", [EPSILON, PLUS], ids=lambda spec: spec.name)
@pytest.mark.parametrize("name", QUOTIENTS)
def test_quotients_by_constants(name, composite):
    """In the precision of the signal, not that of whole numbers; zero is one too."""
    how, reference = QUOTIENTS[name]
    assert_the_same(between(how), between(reference), composite)


LARGE = torch.arange(1.0, 9.0, dtype=torch.float64).view(2, 1, 4, 1, 1)
BROADCAST = {
    "one number of more axes": (lambda y: (y * OFFSET[:1].view(1, 1, 1, 1, 1))[0], lambda y: y * float(OFFSET[0])),
    "added": (lambda y: (y + OFFSET[:1].view(1, 1, 1, 1, 1))[0], lambda y: y + float(OFFSET[0])),
    "divided": (lambda y: (y / OFFSET[:1].view(1, 1, 1, 1, 1))[0], lambda y: y / float(OFFSET[0])),
    "factors of more axes": (
        lambda y: (y * LARGE).sum(0),
        lambda y: (y.expand(2, 1, 4, 6, 6) * LARGE).sum(0),
    ),
    "summands of more axes": (
        lambda y: (y + LARGE).sum(0),
        lambda y: (y.expand(2, 1, 4, 6, 6) + LARGE).sum(0),
    ),
    "divisors of more axes": (
        lambda y: (y / LARGE).sum(0),
        lambda y: (y.expand(2, 1, 4, 6, 6) / LARGE).sum(0),
    ),
    "powers of more axes": (
        lambda y: (y.abs() ** LARGE).sum(0),
        lambda y: (y.abs().expand(2, 1, 4, 6, 6) ** LARGE).sum(0),
    ),
    "maxima of more axes": (
        lambda y: torch.maximum(y, LARGE).sum(0),
        lambda y: torch.maximum(y.expand(2, 1, 4, 6, 6), LARGE).sum(0),
    ),
}


@pytest.mark.parametrize("name", BROADCAST)
def test_signals_that_constants_broadcast(name):
    how, reference = BROADCAST[name]
    assert_alike(between(how), between(reference))


def test_a_picture_that_constants_broadcast():
    """Preprocessing may add axes too."""
    many = torch.ones(2, 1, 1, 1, 1, dtype=torch.float64)
    assert_the_same(
        lambda network, x: network.head(network.conv((x * many + many)[0])),
        lambda network, x: network.head(network.conv(x + 1)),
        PLUS,
    )


MASKS = {
    "of truth values": torch.ones(6, 6).tril(-1).bool(),
    "of numbers": torch.ones(6, 6, dtype=torch.float64).tril(-1).log(),
    "of which nothing hides all": torch.ones(6, 6).tril().bool(),
}


@pytest.mark.parametrize("composite", [EPSILON, ATTENTION], ids=lambda spec: spec.name)
@pytest.mark.parametrize("name", MASKS)
def test_attention_that_sees_nothing_is_zero(name, composite):
    """As torch's own is, whose weights are no numbers if they are computed without care."""
    mask = MASKS[name]
    is_seen = mask if mask.dtype == torch.bool else mask > -1

    def attending(y):
        return functional.scaled_dot_product_attention(y, y.flip(2), y, attn_mask=mask)

    def restated(y):
        rows = []
        for row in range(6):
            seen = is_seen[row].nonzero()[:, 0]
            scores = (y[:, :, row : row + 1] * 6**-0.5) @ y.flip(2)[:, :, seen].mT
            rows.append(scores.softmax(-1) @ y[:, :, seen] if len(seen) else canvas(y[:, :, :1]))
        return torch.cat(rows, dim=2)

    assert_alike(between(attending), between(restated), composite)


@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_convolutions_of_maps_without_a_batch():
    """They passed as gradient."""
    modules = {"up": nn.ConvTranspose2d(4, 4, 2, 2), "same": nn.Conv2d(4, 4, (2, 4), padding="same")}

    def each(network, x):
        return torch.stack([network.head(network.same(network.up(network.conv(one).relu()))) for one in x])

    def together(network, x):
        return network.head(network.same(network.up(network.conv(x).relu())))

    for composite in (EPSILON, PLUS):
        assert_the_same(each, together, composite, **modules)


def test_torchs_operators_by_their_overloads():
    assert_the_same(
        between(lambda y: torch.ops.aten.addmm.default(OFFSET, y[0, 0], y[0, 1]).expand(y.shape)),
        between(lambda y: torch.addmm(OFFSET, y[0, 0], y[0, 1]).expand(y.shape)),
    )


UNALTERED = {
    "clone": lambda y: y.clone(),
    "contiguous": lambda y: y.contiguous(),
    "to": lambda y: y.to(memory_format=torch.contiguous_format),
    "to and back": lambda y: y.contiguous().to(memory_format=torch.channels_last),
    "view": lambda y: y.view(y.shape),
    "view_as": lambda y: y.view_as(y),
    "reshape": lambda y: y.contiguous().reshape(len(y), 4, 6, 6),
    "expand": lambda y: y.expand(len(y), -1, -1, -1),
    "slice": lambda y: y[:, :4],
    "everything": lambda y: y[...],
    "view of a copy": lambda y: y.clone()[:],
    "copy of a view": lambda y: y[:].clone(),
    "pad": lambda y: functional.pad(y, (0, 0, 0, 0)),
    "reflecting pad": lambda y: functional.pad(y, (0, 0, 0, 0), mode="reflect"),
    "interpolate": lambda y: functional.interpolate(y, scale_factor=1.0),
    "bilinear": lambda y: functional.interpolate(y, size=(6, 6), mode="bilinear"),
    "bicubic": lambda y: functional.interpolate(y, scale_factor=1, mode="bicubic", align_corners=True),
    "dropout": lambda y: functional.dropout2d(nn.Identity()(y), training=False),
}


@pytest.mark.parametrize("name", UNALTERED)
def test_norms_are_merged_behind_what_alters_nothing(name):
    """A copy of a linear map's output is the map's output; so is a view of all of it."""
    how = UNALTERED[name]

    def written(network, x):
        return network.head(network.norm(how(network.conv(x))))

    assert_the_same(
        written, lambda network, x: network.head(network.norm(network.conv(x))), PLUS, norm=nn.BatchNorm2d(4)
    )
    assert_the_same(
        lambda network, x: network.head(how(network.conv(x)) * 2 + 1),
        lambda network, x: network.head(network.conv(x) * 2 + 1),
        PLUS,
    )
    assert_the_same(
        lambda network, x: network.head(how(network.conv(x).relu() + x[:, :1]) + x[:, 1:2]),
        lambda network, x: network.head(network.conv(x).relu() + x[:, :1] + x[:, 1:2]),
    )


ALTERED = {
    "another view": lambda y: y.mT,
    "turned": lambda y: y.flip(2),
    "shifted": lambda y: functional.pad(y, (1, -1)),
    "other channels": lambda y: y[:, [1, 0, 2, 3]],
    "resized about": lambda y: functional.interpolate(y, scale_factor=1.1, mode="bilinear"),
    "strided": lambda y: y.contiguous().as_strided(y.shape, (144, 36, 1, 6)),
}


@pytest.mark.parametrize("name", ALTERED)
def test_norms_are_not_merged_behind_what_alters_values(name):
    how = ALTERED[name]
    network = Written(lambda network, x: network.head(network.norm(how(network.conv(x)))), norm=nn.BatchNorm2d(4))
    found = explained_unchanged(network, composite=PLUS)
    merged = Written(lambda network, x: network.head(network.norm(network.conv(x))), norm=nn.BatchNorm2d(4))
    assert not torch.allclose(found.heatmap, explained(merged, composite=PLUS).heatmap, rtol=1e-2)
    assert found.ledger.missing_share < 1e-9


def test_what_was_written_into_a_copy_is_not_merged():
    def written(network, x):
        y = network.conv(x).clone()
        y[:, 0] = 1.0
        return network.head(network.norm(y))

    def computed(network, x):
        y = network.conv(x)
        return network.head(network.norm(torch.cat([torch.ones_like(y[:, :1]), y[:, 1:]], dim=1)))

    assert_the_same(written, computed, PLUS, norm=nn.BatchNorm2d(4))


def test_hooks_that_wait_for_gradients_wait_in_vain():
    """torch makes views of what such modules take and return, which no norm is merged with, nor written into."""
    told = []

    def hooked(name):
        module = {"inner": nn.Conv2d(4, 4, 1), "relu": nn.ReLU(inplace=True)}[name]
        module.register_full_backward_hook(lambda *_: told.append(name))
        module.register_full_backward_pre_hook(lambda *_: told.append(name))
        return module

    def forward(network, x):
        return network.head(network.relu(network.norm(network.inner(network.conv(x)))))

    modules = {"inner": hooked("inner"), "relu": hooked("relu"), "norm": nn.BatchNorm2d(4)}
    without = {"inner": nn.Conv2d(4, 4, 1), "relu": nn.ReLU(), "norm": modules["norm"]}
    one, other = Written(forward, **modules), Written(forward, **without)
    other.load_state_dict(one.state_dict())
    assert torch.equal(explained(one, composite=PLUS).heatmap, explained(other, composite=PLUS).heatmap)
    assert not told
    for name in ("inner", "relu"):
        assert len(modules[name]._backward_hooks) == len(modules[name]._backward_pre_hooks) == 1


def recurrent(network, x):
    rows = network.recurrent(network.conv(x).flatten(2))[0]
    return network.head(rows.reshape(len(x), 4, 6, 6))


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM, nn.RNN])
def test_operations_with_several_outputs_pass_by_contribution(kind):
    """Of each output by itself: x . (J^T (R / stab(y))) for its derivative J; they passed as the bare gradient."""
    network = Written(recurrent, recurrent=kind(36, 36, batch_first=True))
    found = explained_unchanged(network, layers=("conv",), rtol=1e-10, atol=1e-12)
    assert found.contributions == {kind.__name__.lower() if kind is not nn.RNN else "rnn_tanh": 1}
    assert not found.gradients
    assert found.ledger.missing_share < 1e-9
    with torch.no_grad():
        values = network.conv(pictures() - 0.5)
    x = values.flatten(2).clone().requires_grad_()
    with torch.enable_grad():
        rows = network.recurrent(x)[0]
        upper = relevance_of_head(network, rows.detach().reshape(1, 4, 6, 6)).reshape(rows.shape)
        stabilised = rows.detach() + torch.where(rows >= 0, 1e-6, -1e-6)
        (lower,) = torch.autograd.grad(rows, x, upper / stabilised)
    expected = (x.detach() * lower).reshape(1, 4, 6, 6)
    torch.testing.assert_close(found.attribution.relevance["conv"], expected, rtol=1e-8, atol=1e-10)


def relevance_of_head(network, y):
    """Epsilon through the last layer, all of whose outputs are explained."""
    weight, bias = network.head.weight[:, :, 0, 0], network.head.bias
    out = torch.einsum("oc,bchw->bohw", weight, y) + bias[:, None, None]
    scaled = 1 / (out + torch.where(out >= 0, 1e-6, -1e-6))
    return torch.einsum("bohw,oc,bchw->bchw", scaled, weight, y)


SEVERAL = {
    "sort": (lambda y: y.sort(1).values, {}),
    "kthvalue": (lambda y: y.kthvalue(2, 1, keepdim=True)[0].expand(y.shape), {}),
    "cummax": (lambda y: y.cummax(1).values, {}),
    "var_mean": (lambda y: y + torch.var_mean(y, 1, keepdim=True)[1], {"var_mean": 1}),
    "std_mean": (lambda y: y / torch.std_mean(y, 1, keepdim=True)[0], {}),  # what is divided by is a constant
    "qr": (lambda y: torch.linalg.qr(y).R, {"linalg_qr": 1}),
    "svd": (lambda y: torch.linalg.svd(y, full_matrices=False)[1][..., None].expand(y.shape), {"linalg_svd": 1}),
    "broadcast_tensors": (lambda y: torch.broadcast_tensors(y, OFFSET)[0], {}),
    "aminmax": (lambda y: torch.aminmax(y, dim=1, keepdim=True).max.expand(y.shape), {}),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_of_several_outputs_each_has_its_rule(name):
    how, expected = SEVERAL[name]
    network = Written(between(how))
    found = explained_unchanged(network, rtol=1e-10, atol=1e-12)
    assert found.contributions == expected
    assert not found.gradients
    assert found.ledger.missing_share < 1e-9


COMPLEX = {
    "times a number": lambda y: (y * (1 + 2j)).real,
    "plus a number": lambda y: (y + 1j).real,
    "product": lambda y: (torch.complex(y, y.flip(2)) * torch.complex(y, y)).real,
    "filter": lambda y: torch.fft.irfft2(torch.fft.rfft2(y) * torch.ones(6, 4, dtype=torch.complex128), s=(6, 6)),
    "spectrum": lambda y: torch.fft.fft2(y).abs(),
    "mean": lambda y: torch.complex(y, y.flip(2)).mean(1, keepdim=True).abs().expand(y.shape),
    "where": lambda y: torch.where(y > 0, torch.complex(y, y), torch.tensor(1j, dtype=torch.complex128)).real,
}


@pytest.mark.parametrize("name", COMPLEX)
def test_complex_numbers_are_refused_in_one_line(name):
    with pytest.raises(
        LayerError, match=r"the network computes with complex numbers \(torch.complex128\), through which"
    ):
        explained(Written(between(COMPLEX[name])))


def test_complex_numbers_that_are_only_moved_are_explained():
    assert_the_same(
        between(
            lambda y: torch.view_as_real(torch.view_as_complex(y.unflatten(3, (3, 2)).contiguous()).flip(3)).flatten(3)
        ),
        between(lambda y: y.unflatten(3, (3, 2)).flip(3).flatten(3)),
    )


def test_a_network_without_parameters_is_refused_in_one_line():
    with pytest.raises(ConfigError, match="ReLU has no parameters: there is nothing to explain"):
        explained(nn.ReLU())


@pytest.mark.parametrize("composite", [EPSILON, PLUS])
def test_one_weight_with_two_offsets(composite):
    def summed(network, x, weight):
        return network.head(network.conv(x) + functional.conv2d(x, weight, network.other.bias, padding=1))

    def one(forward):
        return explained(Written(forward, other=nn.Conv2d(3, 4, 3, padding=1)), composite=composite)

    found = one(lambda network, x: summed(network, x, network.conv.weight))
    expected = one(lambda network, x: summed(network, x, network.conv.weight.clone()))
    assert expected.heatmap.any()
    torch.testing.assert_close(found.heatmap, expected.heatmap, rtol=1e-12, atol=1e-14)
    assert found.ledger.constants == pytest.approx(expected.ledger.constants, rel=1e-9)
    assert found.ledger.missing_share < 1e-9


def dynamic(network, x):
    y = network.conv(x)
    pooled = y.mean((0, 2, 3))
    return y, pooled[:, None] * pooled, pooled


MAPS = {
    "weight": (
        lambda y, weight, _: functional.conv2d(y, weight[:, :, None, None], OFFSET[:4]),
        lambda y, weight, _: (weight @ y.flatten(2)).view(y.shape) + OFFSET[:4, None, None],
    ),
    "bias": (
        lambda y, _, bias: functional.conv2d(y, CHANNELS[:, :, None, None], bias, padding="valid"),
        lambda y, _, bias: functional.conv2d(y, CHANNELS[:, :, None, None]) + bias[:, None, None],
    ),
    "both, transposed": (
        lambda y, weight, bias: functional.conv_transpose2d(y, weight[:, :, None, None], bias),
        lambda y, weight, bias: (weight.T @ y.flatten(2)).view(y.shape) + bias[:, None, None],
    ),
    "both, fully connected": (
        lambda y, weight, bias: functional.linear(y.permute(0, 2, 3, 1), weight, bias).permute(0, 3, 1, 2),
        lambda y, weight, bias: (y.permute(0, 2, 3, 1) @ weight.T + bias).permute(0, 3, 1, 2),
    ),
    "weight, of a constant": (
        lambda _, weight, __: functional.linear(CHANNELS, weight).view(1, 4, 4, 1).expand(1, 4, 4, 6),
        lambda _, weight, __: (CHANNELS @ weight.T).view(1, 4, 4, 1).expand(1, 4, 4, 6),
    ),
}


@pytest.mark.parametrize("name", MAPS)
def test_maps_whose_weights_are_signals(name):
    """Input and weight take half each, as of every product of matrices; they passed as gradient."""
    how, reference = MAPS[name]
    found = assert_alike(
        *(lambda network, x, way=way: network.head(way(*dynamic(network, x))) for way in (how, reference))
    )
    assert not found.contributions


STATISTICS = (torch.zeros(4, dtype=torch.float64), torch.ones(4, dtype=torch.float64))
NORMS = {  # without and with factors and summands
    "batch_norm": lambda y, *by: functional.batch_norm(y, *STATISTICS, *by),
    "batch_norm in training mode": lambda y, *by: functional.batch_norm(y, None, None, *by, training=True),
    "instance_norm": lambda y, *by: functional.instance_norm(y, None, None, *by),
    "group_norm": lambda y, *by: functional.group_norm(y, 2, *by),
    "layer_norm": lambda y, *by: functional.layer_norm(y, (6,), *by),
    "rms_norm": lambda y, *by: functional.rms_norm(y, (6,), *by[:1]),
    "layer_norm of a constant": lambda y, *by: functional.layer_norm(canvas(y).cos().cumsum(3), (6,), *by),
}


@pytest.mark.parametrize("name", NORMS)
def test_norms_whose_weights_are_signals(name):
    """These were taken as constants."""
    norm = NORMS[name]
    is_by_channel = not name.startswith(("layer", "rms"))

    def weights(y):
        return (y.mean((0, 2, 3)), y.flip(1).mean((0, 2, 3))) if is_by_channel else (y[0, 0, 0], y[0, 0, 1])

    def restated(y):
        factor, summand = (one[:, None, None] if is_by_channel else one for one in weights(y))
        return norm(y) * factor + (0 if name == "rms_norm" else summand)

    found = assert_alike(between(lambda y: norm(y, *weights(y))), between(restated))
    assert not found.contributions


def test_networks_that_join_pictures():
    """Whose relevance is whose is not known; that all of it is accounted for is."""
    network = Written(between(lambda y: y.relu().sum(0, keepdim=True)))
    both = explained(network, pictures(2), layers=("conv",))
    assert both.attribution.ledgers == ()
    assert both.output.shape == (1, 2, 6, 6)
    assert both.heatmap.shape == (2, 6, 6)
    seed, bias = both.output.numel(), network.head.bias.detach()[:, None, None]
    before = float((both.output - bias).div(both.output).sum())  # what the bias leaves
    torch.testing.assert_close(float(both.attribution.relevance["conv"].sum()), before, rtol=1e-4, atol=1e-4 * seed)


def test_other_precisions_within_a_network_are_told_by_its_ledger():
    """Relevance is as coarse there as values are: no error, and nothing hidden."""
    halved, whole = (Written(between(how)) for how in (lambda y: y.half().relu().double(), lambda y: y.relu()))
    found, expected = explained(halved), explained(whole)
    torch.testing.assert_close(found.heatmap, expected.heatmap, rtol=0.05, atol=0.05)
    assert 0 < found.ledger.missing_share < 1e-3


CUT = {
    "detach": lambda network, x, y: y + network.conv(x).detach(),
    "detach, and what is made of it": lambda network, x, y: 2 * (network.conv(x).detach() * 0.5).contiguous() + y,
    "data": lambda network, x, y: y + network.conv(x).data,
    "no_grad": lambda network, x, y: y + without_derivatives(network.conv, x),
    "a value for every channel": lambda network, x, y: y + network.conv(x).detach(),
    "joined": lambda network, x, y: torch.cat([y, network.conv(x).detach()], 1)[:, :4] + network.conv(x).detach(),
}


def without_derivatives(function, x):
    with torch.no_grad():
        return function(x)


@pytest.mark.parametrize("name", CUT)
def test_what_a_cut_value_adds_is_cut(name):
    """Two equal summands, of which one is cut off: half of what reaches the sum is cut, half goes on."""
    network = Written(lambda network, x: network.head(CUT[name](network, x, network.conv(x))))
    torch.nn.init.zeros_(network.conv.bias)
    torch.nn.init.zeros_(network.head.bias)
    found = explained(network, composite=EPSILON)
    assert found.ledger.cut == pytest.approx(found.ledger.seed / 2, rel=1e-3)
    assert found.ledger.reached == pytest.approx(found.ledger.seed / 2, rel=1e-3)
    assert found.ledger.missing_share < 1e-9


def test_constants_are_not_cut():
    found = explained(Written(lambda network, x: network.head(network.conv(x) + 1.0)), composite=EPSILON)
    assert found.ledger.cut == 0
    assert found.ledger.constants != 0


def scaled_by(how):
    """Values times what is made of the maps of another layer."""
    return lambda network, x: network.head(network.conv(x) * how(network.other(x)))


def root_of(z):
    return z.square().mean((1, 2, 3), keepdim=True) + 0.1


GATES = {
    "one minus a gate": (lambda z: 1 - z.sigmoid(), lambda z: (-z).sigmoid()),
    "a gate and one": (lambda z: 0.5 * (1 + z.tanh()), lambda z: (2 * z).sigmoid()),
    "the mean of two gates": (lambda z: (z.sigmoid() + z.sigmoid()) / 2, lambda z: z.sigmoid()),
    "written out": (lambda z: 1 / (1 + (-z).exp()), lambda z: z.sigmoid()),
}
INVERSES = {
    "rsqrt": lambda y, z: y * root_of(z).rsqrt(),
    "a negative power": lambda y, z: y * root_of(z) ** -0.5,
    "reciprocal": lambda y, z: y * root_of(z).sqrt().reciprocal(),
    "one by it": lambda y, z: y * (1 / root_of(z).sqrt()),
}


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize("composite", [EPSILON, PLUS])
def test_gates_are_known_however_they_are_written(name, composite):
    written, expected = (
        explained(Written(scaled_by(how), other=nn.Conv2d(3, 4, 1)), composite=composite) for how in GATES[name]
    )
    torch.testing.assert_close(written.output, expected.output, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(written.heatmap, expected.heatmap, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", INVERSES)
def test_what_is_multiplied_by_an_inverse_is_divided(name):
    def forward(how):
        return lambda network, x: network.head(how(network.conv(x), network.other(x)))

    written = explained(Written(forward(INVERSES[name]), other=nn.Conv2d(3, 4, 1)), composite=EPSILON)
    quotient = forward(lambda y, z: y / root_of(z).sqrt())
    expected = explained(Written(quotient, other=nn.Conv2d(3, 4, 1)), composite=EPSILON)
    torch.testing.assert_close(written.heatmap, expected.heatmap, rtol=1e-6, atol=1e-9)


FLAT = CompositeSpec(name="epsilon_flat", build=lambda _: lrp(Epsilon(), first=Flat()))


@pytest.mark.parametrize(
    "first",
    [
        lambda x, w: torch.einsum("oc,bchw->bohw", w, x),
        lambda x, w: (w @ x.flatten(2)).unflatten(2, x.shape[2:]),
        lambda x, w: torch.tensordot(x, w, ([1], [1])).movedim(3, 1),
    ],
)
def test_what_a_product_makes_of_the_picture_is_no_picture(first):
    """Otherwise the convolution behind it gets the rule of the first layer."""
    network = Written(lambda network, x: network.head(first(x, network.conv.weight[:, :, 0, 0])))
    found, expected = explained(network, composite=FLAT), explained(network, composite=EPSILON)
    torch.testing.assert_close(found.heatmap, expected.heatmap, rtol=1e-9, atol=1e-12)
