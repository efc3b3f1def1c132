"""What rules do to operations, and what they keep of them."""

import gc
import weakref

import pytest
import torch
from ruled import relevance, ruled, zennits
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from zennit import rules as zennit_rules

from lcrp.composites.arithmetic import stabilised
from lcrp.composites.composites import epsilon_gamma_flat, epsilon_plus, epsilon_plus_flat
from lcrp.composites.operations.linear_map import Geometry, LinearMap
from lcrp.composites.operations.origin import picture
from lcrp.composites.rules import Epsilon, Flat, GeneralisedGamma, Norm, Pass, ZPlus

PADDINGS = [{"padding": "same"}, {"padding": 1, "padding_mode": "reflect"}, {"padding": 1, "padding_mode": "circular"}]


class Sums(nn.Module):
    """A sum of all that it is given."""

    def forward(self, first, *others):
        for other in others:
            first = first + other
        return first


class Failing(nn.Module):
    def forward(self, x):
        raise ZeroDivisionError(x.shape)


@pytest.mark.parametrize("options", PADDINGS)
@pytest.mark.parametrize("rule", [ZPlus, Epsilon, Flat])
def test_other_paddings_are_those_of_zennit(rule, options):
    """Up to rounding: the padding is an operation of its own, where zennit calls the whole layer anew."""
    torch.manual_seed(3)
    layer, x = nn.Conv2d(2, 3, 3, **options).double(), torch.randn(1, 2, 5, 5, dtype=torch.float64, requires_grad=True)
    upper = torch.randn(1, 3, 5, 5, dtype=torch.float64)
    theirs = zennits(getattr(zennit_rules, rule.__name__)(), layer, x, upper)
    torch.testing.assert_close(relevance(layer, rule(), x, upper), theirs, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("kernel", [3, (2, 4)])
@pytest.mark.parametrize("mode", ["zeros", "reflect"])
def test_generalised_gamma_of_padding_by_name(mode, kernel):
    """zennit has no such rule; the same layer without padding, on maps that are padded before, is the reference."""
    torch.manual_seed(3)
    layer = nn.Conv2d(2, 3, kernel, padding="same", padding_mode=mode, dtype=torch.float64)
    x = torch.randn(1, 2, 6, 7, dtype=torch.float64, requires_grad=True)
    ends = layer._reversed_padding_repeated_twice
    bare = nn.Conv2d(2, 3, kernel, dtype=torch.float64)
    bare.load_state_dict(layer.state_dict())
    padded = nn.functional.pad(x, ends, mode="constant" if mode == "zeros" else mode)
    upper = torch.randn(1, 3, 6, 7, dtype=torch.float64)
    within = relevance(bare, GeneralisedGamma(), padded.detach().requires_grad_(), upper)
    (expected,) = torch.autograd.grad(padded, x, within)
    torch.testing.assert_close(relevance(layer, GeneralisedGamma(), x, upper), expected, rtol=1e-10, atol=1e-14)


def test_a_norm_without_weights_is_that_of_zennit():
    torch.manual_seed(3)
    norm = nn.BatchNorm2d(3, affine=False).double().eval()
    norm.running_mean.uniform_(-1, 1)
    norm.running_var.uniform_(0.5, 2)
    x, upper = torch.randn(2, 3, 4, 5, dtype=torch.float64, requires_grad=True), torch.randn(2, 3, 4, 5)
    theirs = zennits(zennit_rules.Epsilon(), norm, x, upper.double())
    torch.testing.assert_close(relevance(norm, Epsilon(), x, upper.double()), theirs, rtol=1e-10, atol=1e-14)


def test_a_norm_by_the_batchs_own_statistics_is_a_normalisation():
    """It has no constants, so that it is no scaling of channels: by contribution, its deviation taken as a constant."""
    torch.manual_seed(3)
    norm = nn.BatchNorm2d(3, track_running_stats=False).double().eval()
    nn.init.uniform_(norm.weight, 0.5, 2)
    nn.init.uniform_(norm.bias, -1, 1)
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    upper = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    mean = x.mean((0, 2, 3), keepdim=True)
    deviation = (x.detach().var((0, 2, 3), keepdim=True, correction=0) + norm.eps).sqrt()
    y = (x - mean) / deviation * norm.weight.detach()[:, None, None] + norm.bias.detach()[:, None, None]
    torch.testing.assert_close(norm(x), y, rtol=1e-10, atol=1e-12)
    (gradient,) = torch.autograd.grad(y, x, upper / stabilised(y.detach()))
    torch.testing.assert_close(relevance(norm, Norm(), x, upper), gradient * x, rtol=1e-8, atol=1e-12)


def test_a_sum_over_an_axis_is_one_of_its_contributions():
    """Its gradient is a view that repeats itself, into which nothing can be written."""

    class Stacked(nn.Module):
        def forward(self, x):
            return torch.stack([x, 2 * x]).sum(0)

    x, upper = torch.rand(2, 3, requires_grad=True), torch.rand(2, 3)
    found = relevance(Stacked(), epsilon_plus(Stacked()), x, upper)
    torch.testing.assert_close(found, upper, rtol=1e-3, atol=1e-5)  # but for the stabiliser


@pytest.mark.parametrize("rule", [ZPlus(), GeneralisedGamma(), Epsilon(), Flat(), Pass(), Norm()])
def test_a_layer_is_itself_again(rule):
    """Also if the network fails while it is explained."""
    layer, x = nn.Conv2d(2, 2, 3), torch.rand(1, 2, 4, 4, requires_grad=True)
    network = nn.Sequential(layer, Failing())
    before = sorted(vars(layer)), str(layer.state_dict())
    with pytest.raises(ZeroDivisionError), ruled(network, rule):
        network(x)
    assert (sorted(vars(layer)), str(layer.state_dict())) == before
    assert not layer._forward_hooks
    assert not layer._forward_pre_hooks
    assert "Convolution" in layer(x).grad_fn.name()  # no rule is left


def test_weights_are_prepared_anew_when_they_change():
    torch.manual_seed(0)
    layer, x = nn.Conv2d(2, 3, 3), torch.rand(1, 2, 5, 5, requires_grad=True)
    upper = torch.rand(1, 3, 3, 3)

    def explained():
        (found,) = torch.autograd.grad(layer(x), x, upper)
        return found

    with ruled(layer, ZPlus()):
        before = explained()
        for change in (
            lambda: setattr(layer.weight, "data", torch.randn(3, 2, 3, 3)),
            lambda: setattr(layer, "weight", nn.Parameter(torch.randn(3, 2, 3, 3), requires_grad=False)),
            lambda: layer.weight.detach().mul_(-1),
        ):
            change()
            fresh = nn.Conv2d(2, 3, 3)
            fresh.load_state_dict(layer.state_dict())
            found = explained()
            assert torch.equal(found, relevance(fresh, ZPlus(), x, upper))
            assert not torch.equal(found, before)


def test_weights_are_prepared_once():
    """For all passes: what a rule makes of them is kept with the layer."""
    layer, x, upper = nn.Conv2d(2, 3, 3), torch.rand(1, 2, 5, 5, requires_grad=True), torch.rand(1, 3, 3, 3)
    steps = []
    with ruled(layer, ZPlus()):
        for _ in range(2):
            y = layer(x)
            steps.append(y.grad_fn.step)
            torch.autograd.grad(y, x, upper)
    assert steps[0] is not steps[1]
    assert steps[0].map is steps[1].map
    assert list(steps[0].map.made) == ["W+"]


def test_layers_without_relevance_compute_nothing():
    """A detector's other heads."""
    layer, x = nn.Conv2d(2, 3, 1), torch.rand(1, 2, 4, 4, requires_grad=True)
    with ruled(layer, ZPlus()):
        y = layer(x)
    y.grad_fn.step.prepare = lambda: 1 / 0
    assert torch.autograd.grad(y, x, torch.zeros_like(y), allow_unused=True, retain_graph=True) == (None,)
    with pytest.raises(ZeroDivisionError):
        torch.autograd.grad(y, x, torch.ones_like(y))


def by_hand(network, table, x, upper, *, is_scaled):
    """Relevance of a convolution, norm, ReLU, convolution and norm: the merged layers, one after the other."""
    first, second = fuse_conv_bn_eval(network[0], network[1]), fuse_conv_bn_eval(network[3], network[4])
    middle = first(x).relu().detach().requires_grad_()
    rules = (table.first or table.families["convolution"], table.families["convolution"])
    for layer, rule, inputs in ((second, rules[1], middle), (first, rules[0], x)):
        y = layer(inputs).detach()
        upper = relevance(layer, rule, inputs, upper * y / stabilised(y) if is_scaled else upper)
    return upper


@pytest.mark.parametrize("composite", [epsilon_plus, epsilon_plus_flat, epsilon_gamma_flat])
def test_a_merged_norm_scales_relevance_as_epsilon_does(composite):
    """The convolution absorbs the norm's own rule: R y / stab(y) before the rule of the merged layer."""
    torch.manual_seed(2)
    network = nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 3, 3, bias=False), nn.BatchNorm2d(3)
    )
    for norm in (network[1], network[4]):
        nn.init.uniform_(norm.weight, 1e-6, 1e-4)  # outputs so small that the stabiliser counts
        norm.running_mean.uniform_(-1, 1)
    network.double().eval()
    x = picture(torch.randn(2, 2, 8, 8, dtype=torch.float64, requires_grad=True))
    upper = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    table = composite(network)
    ours = relevance(network, table, x, upper)
    torch.testing.assert_close(ours, by_hand(network, table, x, upper, is_scaled=True), rtol=1e-8, atol=1e-16)
    without = by_hand(network, table, x, upper, is_scaled=False)
    assert (without - ours).norm() > 1e-3 * ours.norm()


def test_sums_are_flat_too():
    summands = [torch.rand(2, 3, requires_grad=True) for _ in range(3)]
    upper = torch.rand(2, 3)
    network = Sums()
    with ruled(network, Flat()):
        y = network(*summands)
    for found in torch.autograd.grad(y, summands, upper):
        torch.testing.assert_close(found, upper / 3)


@pytest.mark.parametrize("channels", [3, 15, 16, 40])
@pytest.mark.parametrize("stride", [(2, 2), (1, 3)])
def test_the_adjoint_of_a_strided_pointwise_convolution(channels, stride):
    """In channels last, where the library's own form of it is not safe."""
    layer = nn.Conv2d(channels, 5, 1, stride).double()
    x = torch.rand(2, channels, 9, 8, dtype=torch.float64).to(memory_format=torch.channels_last).requires_grad_()
    y = layer.to(memory_format=torch.channels_last)(x)
    upper = torch.rand_like(y)
    reference = nn.functional.conv2d(x.contiguous(), layer.weight.contiguous(), stride=stride)
    (expected,) = torch.autograd.grad(reference, x, upper.contiguous())
    geometry = Geometry(stride=stride, padding=(0, 0), dilation=(1, 1), output_padding=(0, 0), groups=1)
    linear = LinearMap(weight=layer.weight.detach(), bias=layer.bias.detach(), geometry=geometry)
    torch.testing.assert_close(linear.adjoint(upper, x, linear.weight), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("is_for_few", [False, True])
def test_what_rounds_share_goes_with_the_output(is_for_few):
    """At once, not when Python next looks for circles: it is most of the memory."""
    layer, x = nn.Conv2d(2, 3, 3), torch.rand(1, 2, 200, 200, requires_grad=True)
    gc.disable()
    try:
        with ruled(layer, ZPlus(), few=is_for_few):
            y = layer(x)
            torch.autograd.grad(y, x, torch.ones_like(y), retain_graph=True)
            kept = [weakref.ref(step) for step in (y.grad_fn.step, *y.grad_fn.step._samples)]
            assert len(kept) > 1
            del y
            assert [step() for step in kept] == [None] * len(kept)
    finally:
        gc.enable()
