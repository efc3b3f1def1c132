"""Which rule every composite gives to which layer."""

import pytest
import torch
from torch import nn
from zennit.rules import ReLUGuidedBackprop

from lcrp.composites import composites
from lcrp.composites.flat import Flat
from lcrp.composites.rules import Epsilon, GeneralisedGamma, Norm, Pass, ZPlus
from lcrp.errors import LayerError
from lcrp.models.layers import Concat, L2Norm, Sum


class Network(nn.Module):
    """One layer of every kind."""

    def __init__(self):
        super().__init__()
        self.activation = nn.SiLU()
        self.first = nn.Conv2d(3, 4, 1)
        self.norm = nn.BatchNorm2d(4)
        self.relu = nn.ReLU()
        self.conv = nn.Conv2d(4, 4, 1)
        self.up = nn.ConvTranspose2d(4, 4, 2, 2)
        self.add = Sum()
        self.join = Concat()
        self.pool = nn.MaxPool2d(2)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.l2_norm = L2Norm(4, 20.0)
        self.linear = nn.Linear(4, 2)


def rules(builder):
    """Layer name to class of its rule."""
    network = Network()
    composite = builder(network)
    found = {name: composite.module_map({}, name, module) for name, module in network.named_modules()}
    return {name: type(hook) for name, hook in found.items() if hook is not None}


COMMON = {
    "activation": Pass,
    "l2_norm": Pass,
    "norm": Epsilon,
    "relu": Pass,
    "add": Norm,
    "average": Norm,
    "linear": Epsilon,
}
FLAT = {"conv": Flat, "first": Flat, "up": Flat, "add": Flat, "pool": Flat, "average": Flat, "linear": Flat}
EXPECTED = {
    "epsilon_plus_flat": COMMON | {"first": Flat, "conv": ZPlus, "up": ZPlus},
    "epsilon_gamma_flat": COMMON | {"first": Flat, "conv": GeneralisedGamma, "up": GeneralisedGamma},
    "epsilon_flat": COMMON | {"first": Flat, "conv": Epsilon, "up": Epsilon},
    "epsilon_plus": COMMON | {"first": ZPlus, "conv": ZPlus, "up": ZPlus},
    "all_flat": FLAT | {"activation": Pass, "l2_norm": Pass, "norm": Pass, "relu": Pass},
    "gradient": {"l2_norm": Pass},
    "guided_backprop": {"relu": ReLUGuidedBackprop, "l2_norm": Pass},
}


@pytest.mark.parametrize("name", EXPECTED)
def test_rules_of_every_layer(name):
    assert rules(getattr(composites, name)) == EXPECTED[name]


@pytest.mark.parametrize("name", EXPECTED)
def test_settings_of_every_rule(name):
    """Those of L-CRP: gamma 0.25 for YOLOv6, zennit's stabilizer for epsilon; layers get copies of the rules."""
    network = Network()
    composite = getattr(composites, name)(network)
    hooks = [composite.module_map({}, layer, module) for layer, module in network.named_modules()]
    hooks += [hook.copy() for hook in hooks if isinstance(hook, GeneralisedGamma | Epsilon)]
    assert {hook.gamma for hook in hooks if isinstance(hook, GeneralisedGamma)} <= {0.25}
    assert {hook.epsilon for hook in hooks if isinstance(hook, Epsilon)} <= {1e-6}


@pytest.mark.parametrize("name", EXPECTED)
def test_canonizers_can_be_replaced(name):
    builder = getattr(composites, name)
    assert len(builder(Network()).canonizers) == 1
    assert builder(Network(), canonizers=[]).canonizers == []


@pytest.mark.parametrize(
    "layer", [nn.Conv2d(2, 2, 3, padding="same"), nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect")]
)
def test_gamma_refuses_padding_it_cannot_invert(layer):
    network = nn.Sequential(nn.Conv2d(3, 2, 1), layer)
    composite = composites.epsilon_gamma_flat(network)
    with pytest.raises(LayerError, match="numeric zero padding, not Conv2d"):
        composite.register(network)
    composite.remove()
    assert not any(module._forward_hooks for module in network.modules())


def test_sum_divides_relevance_by_contribution():
    """Norm: R_i = x_i R / (sum + 1e-6)."""
    network = nn.ModuleDict({"sum": Sum()})
    first, second = (
        torch.tensor(values, dtype=torch.float64, requires_grad=True) for values in ([1.0, 2.0], [3.0, -1.0])
    )
    with composites.epsilon_plus_flat(network).context(network):
        total = network["sum"](first, second)
        found = torch.autograd.grad(total, (first, second), torch.tensor([4.0, 1.0], dtype=torch.float64))
    for summand, relevance in zip((first, second), found, strict=True):
        expected = summand.detach() * torch.tensor([4 / (4 + 1e-6), 1 / (1 + 1e-6)], dtype=torch.float64)
        torch.testing.assert_close(relevance, expected, rtol=1e-12, atol=0)
