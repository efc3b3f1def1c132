"""Exact BatchNorm merging: what is merged, that the output stays, and that all is given back."""

import pytest
import torch
from torch import nn
from zennit.canonizers import SequentialMergeBatchNorm
from zennit.core import Composite

from lcrp.composites.canonizers import MergeBatchNorm
from lcrp.models.unet import UNet
from lcrp.models.yolov5 import YOLOv5
from lcrp.models.yolov6 import YOLOv6


def with_random_statistics(network, seed=0):
    """`network` in float64 and evaluation mode, its BatchNorms far from the identity."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for name, low, high in (
                ("weight", 0.5, 2),
                ("bias", -1, 1),
                ("running_mean", -1, 1),
                ("running_var", 0.5, 2),
            ):
                getattr(module, name).data.uniform_(low, high, generator=generator)
    return network.double().eval()


def snapshot(network):
    """Everything a canonizer could leave changed: tensors with their identity, biases, eps."""
    tensors = {
        name: (id(tensor), tensor.detach().clone()) for name, tensor in network.state_dict(keep_vars=True).items()
    }
    eps = {name: module.eps for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)}
    return tensors, eps


def assert_unchanged(network, before):
    tensors, eps = snapshot(network)
    assert tensors.keys() == before[0].keys()
    for name, (identity, tensor) in tensors.items():
        assert identity == before[0][name][0], name
        assert torch.equal(tensor, before[0][name][1]), name
    assert eps == before[1]


@pytest.mark.parametrize(
    ("network", "merged", "norms"),
    [
        (YOLOv5(num_classes=2, depth=0.67, width=0.125), 79, 79),
        (YOLOv6(num_classes=2, width=0.125), 83, 111),
        (UNet(num_classes=2, width=0.125), 12, 12),
    ],
    ids=["yolov5", "yolov6", "unet"],
)
def test_number_of_merged_norms(network, merged, norms):
    if isinstance(network, YOLOv6):
        network.prepare()
    canonizer = MergeBatchNorm()
    assert len(canonizer.apply(network)) == merged
    assert sum(isinstance(module, nn.BatchNorm2d) for module in network.modules()) == norms


@pytest.mark.parametrize(
    "build",
    [lambda: YOLOv6(num_classes=2, width=0.125), lambda: UNet(num_classes=2, width=0.125)],
    ids=["yolov6", "unet"],
)
def test_merging_keeps_the_output_and_gives_all_back(build):
    torch.manual_seed(0)
    network = with_random_statistics(build())
    x = torch.rand(1, 3, 64, 64, dtype=torch.float64)

    def output():
        with torch.no_grad():
            out = network(x)
        return out if isinstance(out, torch.Tensor) else out.class_logits

    plain, before = output(), snapshot(network)
    with Composite(canonizers=[MergeBatchNorm()]).context(network):
        merged = output()
        assert snapshot(network)[0].keys() > before[0].keys()  # biases were added
    assert (merged - plain).norm() <= 1e-12 * plain.norm()
    assert_unchanged(network, before)
    assert torch.equal(output(), plain)


def test_deviation_from_zennits_merging():
    """zennit leaves eps on the merged norm: a factor 1 / sqrt(1 + eps) per layer, 0.9995 for eps 1e-3."""
    layer = with_random_statistics(nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4, eps=1e-3)))
    x = torch.randn(2, 3, 5, 5, dtype=torch.float64)
    plain = layer(x)
    with Composite(canonizers=[SequentialMergeBatchNorm()]).context(layer):
        zennits = layer(x)
    with Composite(canonizers=[MergeBatchNorm()]).context(layer):
        ours = layer(x)
    torch.testing.assert_close(zennits, plain * (1 + 1e-3) ** -0.5, rtol=1e-12, atol=0)
    torch.testing.assert_close(ours, plain, rtol=1e-12, atol=1e-14)


def test_layers_used_twice_are_left_alone():
    """One convolution shared by two norms cannot be folded into either."""
    shared = nn.Conv2d(3, 3, 1)
    network = nn.Sequential(shared, nn.BatchNorm2d(3), shared, nn.BatchNorm2d(3)).eval()
    assert MergeBatchNorm().apply(network) == []


def test_the_same_pair_used_twice_is_merged_once_and_restored():
    torch.manual_seed(0)
    pair = with_random_statistics(nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.BatchNorm2d(3)))
    network = nn.Sequential(pair, nn.ReLU(), pair)
    x = torch.randn(1, 3, 4, 4, dtype=torch.float64)
    plain, before = network(x), snapshot(network)
    with Composite(canonizers=[MergeBatchNorm()]).context(network):
        torch.testing.assert_close(network(x), plain, rtol=1e-12, atol=1e-14)
        assert pair[1].eps == 0
    assert_unchanged(network, before)


@pytest.mark.parametrize(
    "norm", [nn.BatchNorm2d(4, affine=False), nn.BatchNorm2d(4, track_running_stats=False), nn.BatchNorm2d(8)]
)
def test_norms_that_cannot_be_folded_are_left_alone(norm):
    network = nn.Sequential(nn.Conv2d(3, 4, 1), norm).eval()
    assert MergeBatchNorm().apply(network) == []


def test_linear_and_transposed_layers_are_merged():
    torch.manual_seed(0)
    network = with_random_statistics(nn.Sequential(nn.ConvTranspose2d(3, 4, 2, stride=2), nn.BatchNorm2d(4)))
    x = torch.randn(1, 3, 4, 4, dtype=torch.float64)
    plain = network(x)
    with Composite(canonizers=[MergeBatchNorm()]).context(network):
        assert torch.equal(network[1].running_mean, torch.zeros(4, dtype=torch.float64))
        torch.testing.assert_close(network(x), plain, rtol=1e-12, atol=1e-14)
