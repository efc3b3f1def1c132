"""What rules do to a layer, and what they keep of it."""

import gc
import weakref

import pytest
import torch
from torch import nn
from zennit import rules as zennit_rules
from zennit.core import Composite

from lcrp.composites import arithmetic
from lcrp.composites.canonizers import MergeBatchNorm
from lcrp.composites.closed_form import expect_rounds, rule_of
from lcrp.composites.composites import epsilon_gamma_flat, epsilon_plus, epsilon_plus_flat
from lcrp.composites.flat import Flat
from lcrp.composites.rules import Epsilon, GeneralisedGamma, Norm, Pass, ZPlus
from lcrp.models.layers import Sum


def relevance_of(layer, x, upper):
    (found,) = torch.autograd.grad(layer(x), x, upper, retain_graph=True)
    return found


@pytest.mark.parametrize("options", [{"padding": "same"}, {"padding": 1, "padding_mode": "reflect"}])
@pytest.mark.parametrize("rule", [ZPlus, Epsilon, Flat])
def test_other_paddings_are_left_to_zennit(rule, options):
    torch.manual_seed(3)
    layer, x = nn.Conv2d(2, 3, 3, **options).double(), torch.randn(1, 2, 5, 5, dtype=torch.float64, requires_grad=True)
    upper, found = torch.randn(1, 3, 5, 5, dtype=torch.float64), []
    for hook in (rule(), getattr(zennit_rules, rule.__name__)()):
        handles = hook.register(layer)
        found.append(relevance_of(layer, x, upper))
        handles.remove()
    assert torch.equal(*found)
    assert not layer._forward_hooks


@pytest.mark.parametrize("norm", [nn.BatchNorm2d(3, affine=False), nn.BatchNorm2d(3, track_running_stats=False)])
def test_norms_out_of_the_ordinary_are_left_to_zennit(norm):
    handles = Epsilon().register(norm.eval())
    assert "forward" not in vars(norm)
    assert norm._forward_hooks
    handles.remove()


@pytest.mark.parametrize("rule", [ZPlus(), GeneralisedGamma(), Epsilon(), Flat(), Pass(), Norm()])
def test_a_layer_is_itself_again(rule):
    layer = nn.Conv2d(2, 2, 3)
    before = sorted(vars(layer))
    outer, inner = rule.copy().register(layer), rule.copy().register(layer)
    assert vars(layer)["forward"].rule is not None
    inner.remove()
    assert "forward" in vars(layer)
    outer.remove()
    assert sorted(vars(layer)) == before


def test_weights_are_prepared_anew_when_they_change():
    torch.manual_seed(0)
    layer, x = nn.Conv2d(2, 3, 3), torch.rand(1, 2, 5, 5, requires_grad=True)
    upper = torch.rand(1, 3, 3, 3)
    handles = ZPlus().register(layer)
    relevance_of(layer, x, upper)
    for change in (
        lambda: setattr(layer.weight, "data", torch.randn(3, 2, 3, 3)),
        lambda: setattr(layer, "weight", nn.Parameter(torch.randn(3, 2, 3, 3))),
        lambda: layer.weight.detach().mul_(-1),
    ):
        change()
        fresh = nn.Conv2d(2, 3, 3)
        fresh.load_state_dict(layer.state_dict())
        ZPlus().register(fresh)
        assert torch.equal(relevance_of(layer, x, upper), relevance_of(fresh, x, upper))
    handles.remove()


def test_layers_without_relevance_compute_nothing():
    """A detector's other heads."""
    layer, x = nn.Conv2d(2, 3, 1), torch.rand(1, 2, 4, 4, requires_grad=True)
    handles = ZPlus().register(layer)
    calls = []
    vars(layer)["forward"].rule._weights.get = lambda *_: calls.append(1)
    y = layer(x)
    assert torch.autograd.grad(y, x, torch.zeros_like(y), allow_unused=True) == (None,)
    assert not calls
    handles.remove()


@pytest.mark.parametrize("composite", [epsilon_plus, epsilon_plus_flat, epsilon_gamma_flat])
def test_a_merged_norm_scales_relevance_as_epsilon_does(composite):
    """Absorbed by the convolution, or with a rule of its own behind it: the same numbers."""
    torch.manual_seed(2)
    network = nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 3, 3, bias=False), nn.BatchNorm2d(3)
    )
    for norm in (network[1], network[4]):
        nn.init.uniform_(norm.weight, 1e-6, 1e-4)  # outputs so small that the stabiliser counts
        norm.running_mean.uniform_(-1, 1)
    network.double().eval()
    x = torch.randn(2, 2, 8, 8, dtype=torch.float64, requires_grad=True)
    upper = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    with composite(network).context(network):
        ours = relevance_of(network, x, upper)
        chosen = {name: vars(module)["forward"].rule for name, module in network.named_modules() if name}
    for rule in chosen.values():
        if rule is not None:
            rule.norm_epsilon = None
    explicit = {**chosen, "1": zennit_rules.Epsilon(), "4": zennit_rules.Epsilon()}
    with Composite(lambda _, name, __: explicit.get(name), canonizers=[MergeBatchNorm()]).context(network):
        theirs = relevance_of(network, x, upper)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-16)
    passing = {**chosen, "1": Pass(), "4": Pass()}
    with Composite(lambda _, name, __: passing.get(name), canonizers=[MergeBatchNorm()]).context(network):
        without = relevance_of(network, x, upper)
    assert (without - ours).norm() > 1e-3 * ours.norm()


def test_sums_are_flat_too():
    module = Sum()
    summands = [torch.rand(2, 3, requires_grad=True) for _ in range(3)]
    handles = Flat().register(module)
    upper = torch.rand(2, 3)
    for found in torch.autograd.grad(module(*summands), summands, upper):
        torch.testing.assert_close(found, upper / 3)
    handles.remove()


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
    torch.testing.assert_close(arithmetic.adjoint(layer, upper, x, layer.weight), expected, rtol=1e-12, atol=1e-15)


def test_a_norm_that_has_its_rule_first_is_refused():
    """The layer could no longer absorb it: relevance would be recorded in front of the norm, not behind it."""
    network = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3)).eval()
    (merged,) = MergeBatchNorm().apply(network)
    norm = Epsilon().register(network[1])
    with pytest.raises(RuntimeError, match="a layer gets its rule before the norm that is merged into it"):
        ZPlus().register(network[0])
    norm.remove()
    layer, norm = ZPlus().register(network[0]), Epsilon(0.5).register(network[1])
    assert rule_of(network[0]).norm_epsilon == 0.5  # absorbed
    assert rule_of(network[1]) is None
    for handles in (layer, norm):
        handles.remove()
    merged.remove()


@pytest.mark.parametrize("is_for_few", [False, True])
def test_what_rounds_share_goes_with_the_output(is_for_few):
    """At once, not when Python next looks for circles: it is most of the memory."""
    layer, x = nn.Conv2d(2, 3, 3), torch.rand(1, 2, 200, 200, requires_grad=True)
    handles = ZPlus().register(layer)
    gc.disable()
    try:
        expect_rounds(layer, few=is_for_few)
        y = layer(x)
        torch.autograd.grad(y, x, torch.ones_like(y), retain_graph=True)
        kept = [weakref.ref(step) for step in (y.grad_fn.step, *y.grad_fn.step._samples)]
        assert len(kept) > 1
        del y
        assert [step() for step in kept] == [None] * len(kept)
    finally:
        gc.enable()
        handles.remove()
