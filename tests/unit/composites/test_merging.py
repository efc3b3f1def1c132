"""Scalings of channels, such as BatchNorm, are merged into the linear map before them, exactly: which, and which not.

A merged layer is told by its map: the one that is left last, behind the norm, hangs on the input of the convolution.
"""

import copy

import pytest
import torch
from ruled import relevance, ruled, zennits
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.ops import FrozenBatchNorm2d
from zennit import rules as zennit_rules
from zennit.canonizers import SequentialMergeBatchNorm
from zennit.core import Composite

from lcrp.composites.operations.linear_map import LinearMap
from lcrp.composites.operations.origin import origin_of
from lcrp.composites.operations.values import Scaling
from lcrp.composites.rules import Epsilon, ZPlus
from lcrp.composites.table import RuleTable
from lcrp.models.unet import UNet
from lcrp.models.yolov5 import YOLOv5
from lcrp.models.yolov6 import YOLOv6

PLUS = RuleTable(families={"convolution": ZPlus(), "linear": ZPlus()})  # norms that are left alone have no rule


def with_random_statistics(network, seed=0):
    """`network` in float64 and evaluation mode, its BatchNorms far from the identity."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | FrozenBatchNorm2d):
            for name, low, high in (
                ("weight", 0.5, 2),
                ("bias", -1, 1),
                ("running_mean", -1, 1),
                ("running_var", 0.5, 2),
            ):
                tensor = getattr(module, name)
                if tensor is not None:
                    tensor.data.uniform_(low, high, generator=generator)
    return network.double().eval()


def snapshot(network):
    """Everything that merging could leave changed: tensors with their identity and version, eps, hooks."""
    tensors = {
        name: (id(tensor), tensor._version, tensor.detach().clone())
        for name, tensor in network.state_dict(keep_vars=True).items()
    }
    modules = {
        name: (getattr(module, "eps", None), sorted(vars(module)), len(module._forward_hooks))
        for name, module in network.named_modules()
    }
    return tensors, modules


def assert_unchanged(network, before):
    tensors, modules = snapshot(network)
    assert tensors.keys() == before[0].keys()
    for name, (identity, version, tensor) in tensors.items():
        assert (identity, version) == before[0][name][:2], name
        assert torch.equal(tensor, before[0][name][2]), name
    assert modules == before[1]


def num_merged(network, x):
    """How many scalings are merged in one forward pass."""
    merged = []
    with ruled(network, PLUS) as mode:
        merge = mode.merged
        mode.merged = lambda *rest, **named: merged.append(1) or merge(*rest, **named)
        network(x.requires_grad_())
    return len(merged)


@pytest.mark.parametrize(
    ("build", "merged", "norms"),
    [
        (lambda: YOLOv5(num_classes=2, depth=0.67, width=0.125), 79, 79),
        (lambda: YOLOv6(num_classes=2, width=0.125), 83, 111),
        (lambda: UNet(num_classes=2, width=0.125), 12, 12),
    ],
    ids=["yolov5", "yolov6", "unet"],
)
def test_number_of_merged_norms(build, merged, norms):
    """Of YOLOv6 the norms of identity branches follow no convolution, and one is fused into the stem for good."""
    network = build().eval()
    if isinstance(network, YOLOv6):
        network.prepare()
    assert sum(isinstance(module, nn.BatchNorm2d) for module in network.modules()) == norms
    assert num_merged(network, torch.rand(1, 3, 64, 64)) == merged


@pytest.mark.parametrize(
    "build",
    [lambda: YOLOv6(num_classes=2, width=0.125), lambda: UNet(num_classes=2, width=0.125)],
    ids=["yolov6", "unet"],
)
def test_merging_keeps_the_output_and_touches_nothing(build):
    torch.manual_seed(0)
    network = with_random_statistics(build())
    x = torch.rand(1, 3, 64, 64, dtype=torch.float64)

    def output():
        out = network(x)
        return (out if isinstance(out, torch.Tensor) else out.class_logits).detach()

    plain, before = output(), snapshot(network)
    x.requires_grad_()
    with ruled(network, PLUS):
        merged = output()
    assert (merged - plain).norm() <= 1e-12 * plain.norm()
    assert_unchanged(network, before)
    assert torch.equal(output(), plain)


def layer_of(kind):
    """A linear layer of 4 inputs and 6 outputs, the norm that fits, and the input's shape."""
    return {
        "convolution": (nn.Conv2d(4, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), (4, 5, 5)),
        "grouped": (nn.Conv2d(4, 6, 3, groups=2), nn.BatchNorm2d(6), (4, 5, 5)),
        "transposed": (nn.ConvTranspose2d(4, 6, 2, stride=2), nn.BatchNorm2d(6), (4, 3, 4)),
        "transposed with groups": (nn.ConvTranspose2d(4, 6, 2, stride=2, groups=2), nn.BatchNorm2d(6), (4, 3, 4)),
        "fully connected": (nn.Linear(4, 6), nn.BatchNorm1d(6), (4,)),
        "norm without affine": (nn.Conv2d(4, 6, 1), nn.BatchNorm2d(6, affine=False), (4, 3, 4)),
        "frozen norm": (nn.Conv2d(4, 6, 1), FrozenBatchNorm2d(6), (4, 3, 4)),
        "norm with a large eps": (nn.Conv2d(4, 6, 1, bias=False), nn.BatchNorm2d(6, eps=0.5), (4, 3, 4)),
    }[kind]


KINDS = (
    "convolution",
    "grouped",
    "transposed",
    "transposed with groups",
    "fully connected",
    "norm without affine",
    "frozen norm",
    "norm with a large eps",
)


def folded(layer, norm):
    """The layer with the norm in its weights, output by output, as a layer of torch."""
    scale = (norm.running_var + norm.eps).rsqrt() * (1 if norm.weight is None else norm.weight.detach())
    shift = (0 if norm.bias is None else norm.bias.detach()) - norm.running_mean * scale
    made = copy.deepcopy(layer)
    made.bias = nn.Parameter(torch.zeros(6, dtype=torch.float64))
    is_transposed = isinstance(layer, nn.ConvTranspose2d)
    for output in range(6):
        if not is_transposed:
            made.weight.data[output] = layer.weight[output] * scale[output]
        else:  # [inputs, outputs of a group, ...]
            each = 6 // layer.groups
            rows = slice(output // each * 4 // layer.groups, (output // each + 1) * 4 // layer.groups)
            made.weight.data[rows, output % each] = layer.weight[rows, output % each] * scale[output]
        made.bias.data[output] = shift[output] + (0 if layer.bias is None else layer.bias[output] * scale[output])
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_the_rule_is_that_of_the_merged_layer(kind):
    """With the norm's eps: zennit 0.4.6 leaves a factor 1 / sqrt(1 + eps) in the norm behind."""
    torch.manual_seed(0)
    layer, norm, shape = layer_of(kind)
    network = with_random_statistics(nn.Sequential(layer, norm))
    x = torch.randn(2, *shape, dtype=torch.float64, requires_grad=True)
    merged = folded(layer, norm)
    with torch.no_grad():
        torch.testing.assert_close(merged(x), network(x), rtol=1e-10, atol=1e-12)
    upper = torch.randn(network(x).shape, dtype=torch.float64)
    theirs = zennits(zennit_rules.ZPlus(), merged, x, upper)
    torch.testing.assert_close(relevance(network, PLUS, x, upper), theirs, rtol=1e-9, atol=1e-14)
    with ruled(network, PLUS):
        found = origin_of(network(x)).linear
    assert found.x is x
    torch.testing.assert_close(
        found.map.modified("W", torch.Tensor.detach), merged.weight.detach(), rtol=1e-12, atol=1e-14
    )
    torch.testing.assert_close(found.map.offset(), merged.bias.detach(), rtol=1e-12, atol=1e-14)


def test_zennits_merging_leaves_eps_behind():
    """A factor 1 / sqrt(1 + eps) per layer, 0.9995 for eps 1e-3: why numbers differ from those of the forerunner."""
    layer = with_random_statistics(nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4, eps=1e-3)))
    x = torch.randn(2, 3, 5, 5, dtype=torch.float64, requires_grad=True)
    plain = layer(x)
    with Composite(canonizers=[SequentialMergeBatchNorm()]).context(layer):
        zennits_output = layer(x)
    with ruled(layer, PLUS):
        ours = layer(x)
    torch.testing.assert_close(zennits_output, plain * (1 + 1e-3) ** -0.5, rtol=1e-12, atol=0)
    torch.testing.assert_close(ours, plain, rtol=1e-12, atol=1e-14)


def test_a_layer_shared_by_two_norms_is_merged_with_each():
    """By the order of modules alone it could be folded into neither; every call has a map of its own."""
    torch.manual_seed(0)

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.shared, self.one, self.other = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.BatchNorm2d(3)

        def forward(self, x):
            return self.one(self.shared(x)), self.other(self.shared(x))

    network = with_random_statistics(Network())
    x = torch.randn(1, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    upper = torch.randn(1, 3, 4, 4, dtype=torch.float64)
    with ruled(network, PLUS):
        outputs = network(x)
    for y, norm in zip(outputs, (network.one, network.other), strict=True):
        theirs = zennits(zennit_rules.ZPlus(), fuse_conv_bn_eval(network.shared, norm), x, upper)
        torch.testing.assert_close(torch.autograd.grad(y, x, upper)[0], theirs, rtol=1e-9, atol=1e-14)


def test_a_map_that_is_read_elsewhere_too_is_merged_for_the_norm_alone():
    """The same output by two paths: its own rule on the one, that of the merged map on the other."""
    torch.manual_seed(0)

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

        def forward(self, x):
            y = self.conv(x)
            return y, self.norm(y)

    network = with_random_statistics(Network())
    x = torch.randn(1, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    upper = torch.randn(1, 3, 4, 4, dtype=torch.float64)
    with ruled(network, PLUS):
        outputs = network(x)
    for y, layer in zip(outputs, (network.conv, fuse_conv_bn_eval(network.conv, network.norm)), strict=True):
        theirs = zennits(zennit_rules.ZPlus(), layer, x, upper)
        torch.testing.assert_close(torch.autograd.grad(y, x, upper)[0], theirs, rtol=1e-9, atol=1e-14)


def test_the_same_pair_used_twice_is_merged_in_both_places():
    torch.manual_seed(0)
    pair = with_random_statistics(nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.BatchNorm2d(3)))
    network = nn.Sequential(pair, nn.ReLU(), pair)
    x = torch.randn(1, 3, 4, 4, dtype=torch.float64)
    plain, before = network(x), snapshot(network)
    assert num_merged(network, x) == 2
    with ruled(network, PLUS):
        torch.testing.assert_close(network(x), plain, rtol=1e-12, atol=1e-14)
    assert_unchanged(network, before)


class Behind(nn.Module):
    """A norm behind something that is done to the output of a convolution."""

    def __init__(self, between):
        super().__init__()
        self.conv, self.between, self.norm = nn.Conv2d(3, 4, 1), between, nn.BatchNorm2d(4)

    def forward(self, x):
        return self.norm(self.between(self.conv(x)))


@pytest.mark.parametrize(
    "between",
    [
        torch.relu,
        lambda y: y + y.flip(2),
        lambda y: nn.functional.max_pool2d(y, 2),
        lambda y: y.flip(1),  # the same channels in another order
        lambda y: torch.cat([y[:, :2], y[:, 2:]], dim=1),
        lambda y: y + torch.ones(1, 1, 5, 6, dtype=torch.float64).cumsum(2),  # no offset per channel
        lambda y: y * torch.ones(1, 1, 5, 6, dtype=torch.float64).cumsum(2),
    ],
    ids=["relu", "sum", "pool", "flip", "cat", "offset per pixel", "factor per pixel"],
)
def test_a_norm_behind_something_else_has_its_own_rule(between):
    torch.manual_seed(0)
    network = with_random_statistics(Behind(between))
    found = []
    with ruled(network, RuleTable(families={"convolution": ZPlus(), "norm": Epsilon()})) as mode:
        explained = mode.explained

        def watched(rule, operation, *rest):
            found.append((type(rule), type(operation)))
            return explained(rule, operation, *rest)

        mode.explained = watched
        network(torch.randn(1, 3, 5, 6, dtype=torch.float64, requires_grad=True))
    assert found == [(ZPlus, LinearMap), (Epsilon, Scaling)]


@pytest.mark.parametrize("norm", [nn.BatchNorm2d(8), nn.BatchNorm2d(4, track_running_stats=False)])
def test_norms_that_cannot_be_folded_are_left_alone(norm):
    """One for other channels, into which the maps were split, and one that has no constants."""

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 1), norm

        def forward(self, x):
            y = self.conv(x)
            return self.norm(y.reshape(1, norm.num_features, -1, 4))

    assert num_merged(Network().eval(), torch.rand(1, 3, 4, 4)) == 0


def test_norms_are_merged_anew_when_they_change():
    """What is made of constants is kept for as long as they are the same."""
    torch.manual_seed(0)
    network = with_random_statistics(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)))
    x = torch.randn(1, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    with ruled(network, PLUS):
        first, again = (origin_of(network(x)).linear.map for _ in range(2))
        assert first is again
        for change in (
            lambda: network[1].running_var.mul_(2),
            lambda: setattr(network[1].bias, "data", torch.randn(4, dtype=torch.float64)),
            lambda: network[0].weight.detach().mul_(-1),
        ):
            change()
            found = origin_of(network(x)).linear.map
            expected = fuse_conv_bn_eval(network[0], network[1])
            torch.testing.assert_close(
                found.modified("W", torch.Tensor.detach), expected.weight.detach(), rtol=1e-12, atol=1e-14
            )
            torch.testing.assert_close(found.bias, expected.bias.detach(), rtol=1e-12, atol=1e-14)
