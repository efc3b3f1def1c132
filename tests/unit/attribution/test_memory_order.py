"""Pictures and kernels lie in channels last; networks to which that matters run in their own order."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from traps import EPSILON, Everything, Written, assert_the_same, explained, pictures, plain_output

from lcrp.attribution.engine import Attributor
from lcrp.composites.composites import gradient
from lcrp.composites.spec import CompositeSpec

GRADIENT = CompositeSpec(name="gradient", build=gradient, conserves=False, is_lrp=False)


def plain(network, x):
    return network.head(network.conv(x))


def asserting(network, x):
    assert x.is_contiguous()
    return plain(network, x)


def without_grad(network, x):
    with torch.no_grad():
        is_contiguous = x.is_contiguous()
    return plain(network, x) if is_contiguous else plain(network, x * 3)


def kernel(network, x):
    return plain(network, x) if network.conv.weight.is_contiguous() else plain(network, x * 3)


LOOKING = {
    "is_contiguous": (lambda network, x: plain(network, x * (1 if x.is_contiguous() else 2)), plain),
    "stride": (lambda network, x: plain(network, x * (1 if x.stride(1) == 36 else 2)), plain),
    "stride of a feature": (
        lambda network, x: (lambda y: network.head(y * (1 if y.stride()[1] == 36 else 2)))(network.conv(x)),
        plain,
    ),
    "as_strided": (lambda network, x: plain(network, x.as_strided((len(x), 3, 6, 6), (108, 36, 6, 1))), plain),
    "kernel": (kernel, plain),
    "an assertion": (asserting, plain),
    "without grad": (without_grad, plain),
    "view": (lambda network, x: plain(network, x.view(len(x), -1).view(x.shape)), plain),
    "view of a feature": (
        lambda network, x: network.head(network.conv(x).view(len(x), -1).view(len(x), 4, 6, 6)),
        plain,
    ),
    "view_as_complex": (
        lambda network, x: network.head(
            torch.view_as_real(torch.view_as_complex(network.conv(x).unflatten(3, (3, 2))).flip(3)).flatten(3)
        ),
        lambda network, x: network.head(network.conv(x).unflatten(3, (3, 2)).flip(3).flatten(3)),
    ),
    "contiguous, written into": (
        lambda network, x: (lambda y: network.head(y.contiguous().relu_() + y))(network.conv(x)),
        lambda network, x: (lambda y: network.head(y + y))(network.conv(x).relu()),
    ),
    "reshape, an item written": (
        lambda network, x: (lambda y: (with_ones(y.reshape(len(y), -1)), network.head(y))[1])(network.conv(x)),
        lambda network, x: network.head(torch.cat([torch.ones_like(x[:, :1]), network.conv(x)[:, 1:]], dim=1)),
    ),
    "a copy in the plain order alone": (
        lambda network, x: (lambda y: (y.flatten(2).mT.contiguous().mul_(2), network.head(y))[1])(network.conv(x)),
        plain,
    ),
}


def with_ones(y):
    y[:, :36] = 1.0
    return y


@pytest.mark.parametrize("name", LOOKING)
def test_networks_to_which_the_order_of_memory_matters(name):
    """They took another branch, shared memory otherwise, or failed, though by themselves they run."""
    looking, reference = LOOKING[name]
    assert_the_same(looking, reference)
    network, other = Written(looking), Written(reference)
    expected = plain_output(network)
    torch.testing.assert_close(explained(network, composite=GRADIENT).output, expected, rtol=1e-12, atol=1e-14)
    for one in (network, other):
        with Attributor(one, EPSILON, Everything(), layers=(), mean=(0.5,) * 3, std=(1.0,) * 3) as engine:
            torch.testing.assert_close(engine.output(pictures()), expected, rtol=1e-12, atol=1e-14)


def num_runs(network):
    """How often the network ran to its end for one explanation."""
    found = []
    network.register_forward_hook(lambda *_: found.append(True))
    explained(network)
    return len(found)


HARMLESS = {
    "plain": plain,
    "reshaped": lambda network, x: network.head(network.conv(x).reshape(len(x), -1).reshape(len(x), 4, 6, 6)),
    "contiguous": lambda network, x: network.head(network.conv(x).contiguous()),
    "in place behind it": lambda network, x: network.head(functional.relu_(network.conv(x.contiguous()))),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_all_others_run_once_in_channels_last(name):
    """Which is faster."""
    assert num_runs(Written(HARMLESS[name])) == 1


def test_kernels_are_given_back_and_failures_are_the_networks_own():
    network = Written(lambda network, x: network.head(x))
    kernel = network.conv.weight.data
    with pytest.raises(RuntimeError, match="to have 4 channels, but got 3 channels"):
        explained(network)
    assert network.conv.weight.data_ptr() == kernel.data_ptr()
    assert num_runs(Written(LOOKING["view"][0])) == 1  # the first ended before
    assert num_runs(Written(LOOKING["stride"][0])) == 2


def test_a_second_pass_knows_of_the_first():
    network = Written(LOOKING["stride"][0])
    with Attributor(network, EPSILON, Everything(), layers=(), mean=(0.5,) * 3, std=(1.0,) * 3) as engine:
        engine.forward(pictures())
        found = []
        network.register_forward_hook(lambda *_: found.append(True))
        engine.forward(pictures())
        assert len(found) == 1
    assert isinstance(network.conv, nn.Conv2d)
