"""Which rule every composite gives to which operation."""

from dataclasses import replace

import pytest
import torch
from ruled import relevance, ruled
from torch import nn

from lcrp.composites import composites
from lcrp.composites.operations.origin import picture
from lcrp.composites.rules import Epsilon, Flat, GeneralisedGamma, Halves, Norm, Pass, PositiveGradient, ZPlus
from lcrp.composites.table import RuleTable
from lcrp.models.layers import Concat, L2Norm


class Addition(nn.Module):
    def forward(self, x):
        return x + x.flip(2)


class Product(nn.Module):
    def forward(self, x):
        return x * x.flip(2)


class Gated(nn.Module):
    def forward(self, x):
        return x * x.sigmoid()


class Halved(nn.Module):
    def forward(self, x):
        return x / 2


class Network(nn.Module):
    """An operation of every kind, each in a module of its own."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 1)
        self.activation = nn.SiLU()
        self.norm = nn.BatchNorm2d(4)  # alone: an activation lies in between
        self.relu = nn.ReLU()
        self.conv = nn.Conv2d(4, 4, 1)
        self.merged = nn.BatchNorm2d(4)
        self.up = nn.ConvTranspose2d(4, 4, 2, 2)
        self.add = Addition()
        self.multiply = Product()
        self.scale = Halved()
        self.join = Concat()
        self.pool = nn.MaxPool2d(2)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.l2_norm = L2Norm(8, 20.0)
        self.linear = nn.Linear(8, 2)

    def forward(self, x):
        x = self.relu(self.norm(self.activation(self.first(x))))
        x = self.up(self.merged(self.conv(x)))
        x = self.scale(self.multiply(self.add(x)))
        x = self.average(self.pool(self.join((x, x))))
        return self.linear(self.l2_norm(x).flatten(1))


def rules(builder):
    """Name of the module that runs to class of the rule that its last operation gets."""
    network = Network().eval()
    found = {}
    with ruled(network, builder(network)) as mode:
        explained = mode.explained

        def watched(rule, *rest):
            found[mode.running.innermost] = type(rule)
            return explained(rule, *rest)

        mode.explained = watched
        network(picture(torch.rand(2, 3, 8, 8, requires_grad=True)))
    return found


COMMON = {
    "activation": Pass,
    "l2_norm": Pass,
    "norm": Epsilon,
    "relu": Pass,
    "add": Norm,
    "multiply": Halves,
    "scale": Pass,
    "average": Norm,
    "linear": Epsilon,
}
LRP = {"conv": ZPlus, "merged": ZPlus, "up": ZPlus}
FLAT = {"conv": Flat, "merged": Flat, "first": Flat, "up": Flat, "add": Flat, "pool": Flat, "average": Flat}
EXPECTED = {
    "epsilon_plus_flat": COMMON | {"first": Flat} | LRP,
    "epsilon_gamma_flat": COMMON | {"first": Flat} | dict.fromkeys(LRP, GeneralisedGamma),
    "early_gamma_flat": COMMON | {"first": Flat} | dict.fromkeys(LRP, Epsilon),  # one linear map of four is flat
    "epsilon_flat": COMMON | {"first": Flat} | dict.fromkeys(LRP, Epsilon),
    "epsilon_plus": COMMON | {"first": ZPlus} | LRP,
    "all_flat": COMMON | FLAT | {"norm": Pass, "linear": Flat},
    "gradient": {"l2_norm": Pass},
    "guided_backprop": {"relu": PositiveGradient, "l2_norm": Pass},
}


@pytest.mark.parametrize("name", EXPECTED)
def test_rules_of_every_layer(name):
    """A merged norm has the rule of the map that it was merged into."""
    assert rules(getattr(composites, name)) == EXPECTED[name]


@pytest.mark.parametrize("name", EXPECTED)
def test_settings_of_every_rule(name):
    """Those of L-CRP: gamma 0.25 for YOLOv6, zennit's stabilizer for epsilon. And 1 where gamma comes early."""
    table = getattr(composites, name)(Network())
    found = [*table.families.values(), table.first]
    gamma = 1.0 if name == "early_gamma_flat" else 0.25
    assert {rule.gamma for rule in found if isinstance(rule, GeneralisedGamma)} <= {gamma}
    assert {rule.epsilon for rule in found if isinstance(rule, Epsilon)} <= {1e-6}


def test_gamma_ends_behind_the_first_third_of_linear_maps():
    """In the order of modules, whatever lies between them and whatever their names are."""
    maps = {"a[0]": nn.Conv2d(3, 4, 1), "b": nn.Conv2d(4, 4, 1), "a0": nn.Conv2d(4, 4, 1), "*": nn.Linear(4, 4)}
    parts = [(name, part) for own, one in maps.items() for name, part in ((own, one), (f"{own}_act", nn.ReLU()))]
    network = nn.Sequential()
    for name, part in (*parts, ("last", nn.Linear(4, 2))):
        network.add_module(name, part)
    table = composites.early_gamma_flat(network, gamma=0.5, epsilon=1e-3)
    kinds = {name: "linear" if isinstance(part, nn.Linear) else "convolution" for name, part in network.named_modules()}
    found = {name: table.rule(kinds[name], name) for name in (*maps, "last")}
    assert [type(rule) for rule in found.values()] == [GeneralisedGamma] * 2 + [Epsilon] * 3
    assert (found["b"].gamma, found["last"].epsilon, table.families["norm"].epsilon) == (0.5, 1e-3, 1e-3)
    assert isinstance(table.rule("convolution", "a[0]", is_first=True), Flat)
    assert isinstance(table.rule("linear", "b"), GeneralisedGamma)


def test_layers_by_name_come_first():
    """Before their family's rule and that of the first layer; the first pattern that fits counts."""
    layers = {"first": ZPlus(), "co*": Epsilon(), "c*": Flat()}
    found = rules(lambda network: replace(composites.epsilon_plus_flat(network), layers=layers))
    assert found == EXPECTED["epsilon_plus_flat"] | {"first": ZPlus, "conv": Epsilon, "merged": Epsilon}


def test_every_layer_that_the_picture_reaches_first_is_a_first_one():
    """However it was scaled before, and whatever is reached later."""

    class Twofold(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.other, self.last = (nn.Conv2d(3, 3, 1) for _ in range(3))

        def forward(self, x):
            x = (x - 0.5) / 0.25
            return self.last(self.one(x) + self.other(x[:, :, ::2].repeat_interleave(2, 2)))

    network, found = Twofold(), {}
    with ruled(network, RuleTable(families={"convolution": ZPlus()}, first=Flat())) as mode:
        explained = mode.explained

        def watched(rule, *rest):
            found[mode.running.innermost] = type(rule)
            return explained(rule, *rest)

        mode.explained = watched
        network(picture(torch.rand(1, 3, 4, 4, requires_grad=True)))
    assert found == {"one": Flat, "other": Flat, "last": ZPlus}


def test_all_relevance_of_a_gated_signal_goes_to_the_signal():
    x, upper = torch.rand(1, 2, 3, 3, requires_grad=True), torch.rand(1, 2, 3, 3)
    assert torch.equal(relevance(Gated(), composites.epsilon_plus(Gated()), x, upper), upper)


def test_sum_divides_relevance_by_contribution():
    """Norm: R_i = x_i R / (sum + 1e-6)."""

    class Two(nn.Module):
        def forward(self, first, second):
            return first + second

    network = Two()
    first, second = (
        torch.tensor(values, dtype=torch.float64, requires_grad=True) for values in ([1.0, 2.0], [3.0, -1.0])
    )
    with ruled(network, composites.epsilon_plus_flat(network)):
        total = network(first, second)
    found = torch.autograd.grad(total, (first, second), torch.tensor([4.0, 1.0], dtype=torch.float64))
    for summand, one in zip((first, second), found, strict=True):
        expected = summand.detach() * torch.tensor([4 / (4 + 1e-6), 1 / (1 + 1e-6)], dtype=torch.float64)
        torch.testing.assert_close(one, expected, rtol=1e-12, atol=0)
