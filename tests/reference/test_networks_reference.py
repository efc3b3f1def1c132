"""Networks explained by rules on their operations, against zennit's rules on their modules."""

import copy
from dataclasses import replace

import pytest
import torch
from families import calibrate
from ruled import ruled
from torchvision.models import resnet50
from torchvision.models.segmentation import deeplabv3_resnet50
from zennit.canonizers import CompositeCanonizer
from zennit.composites import EpsilonPlusFlat
from zennit.rules import Epsilon
from zennit.torchvision import ResNetBottleneckCanonizer, ResNetCanonizer
from zennit.types import BatchNorm

from lcrp.attribution.engine import Attributor
from lcrp.composites.composites import epsilon_plus_flat
from lcrp.composites.operations.origin import picture
from lcrp.composites.rules import Pass
from subjects import MEAN, STD, subject, targets
from zennits import ExactMerge, with_sums, zennits_composite

SCALE = {"yolov5m": 0.15, "yolov6s": 0.15, "ssd512": 0.125, "unet": 0.25, "deeplabv3plus": 0.125}


@pytest.mark.parametrize("name", SCALE)
def test_heatmaps_are_those_of_zennit(name):
    """In float64, on networks whose norms are far from the identity, as their authors write them.

    zennit merges BatchNorm by the order of modules, and sees additions by modules alone; here data flow tells both.
    """
    one = subject(name, SCALE[name])
    network, images = one.network.double(), one.images(1).double()
    with Attributor(network, one.composite, one.task, layers=[one.layer], mean=MEAN, std=STD) as attributor:
        trace = attributor.forward(images)
        output, seed = one.task.seed(trace.output, targets(trace.output, 0, 1))
        found = trace.attribute(output, seed).heatmap
    theirs, x = with_sums(copy.deepcopy(network)), images.clone().requires_grad_()
    with zennits_composite(one.convolution)(theirs).context(theirs) as modified:
        (expected,) = torch.autograd.grad(one.task.seeded(modified(x)), x, seed)
    expected = expected.sum(dim=1)
    assert expected.any()
    assert (found - expected).norm() <= 1e-9 * expected.norm()


def resnet():
    return resnet50()


def deeplab():
    return deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=3)


@pytest.mark.slow
@pytest.mark.parametrize("build", [resnet, deeplab])
def test_networks_of_torchvision_agree_with_zennits_own_canonizer(build):
    """Unmodified, in float64; zennit gives BatchNorm no rule in its own composite, epsilon in L-CRP's.

    Its canonizer leaves eps in a merged BatchNorm, which alone moves these heatmaps by 3e-4 to 3e-2.
    """
    torch.manual_seed(0)
    network = build().double()
    x = torch.rand(1, 3, 48, 48, dtype=torch.float64) - 0.45
    with torch.no_grad():
        calibrate(network, x)
    network.eval().requires_grad_(requires_grad=False)

    def relevance(run):
        inputs = x.clone().requires_grad_()
        found = run(picture(inputs))
        found = found["out"] if isinstance(found, dict) else found
        return torch.autograd.grad(found.flatten()[7], inputs)[0]

    def ours(table):
        with ruled(network, table):
            return relevance(network)

    def theirs(canonizer, rules=()):
        composite = EpsilonPlusFlat(canonizers=[canonizer])
        composite.layer_map = [*rules, *composite.layer_map]
        with composite.context(network) as modified:
            return relevance(modified)

    exact = CompositeCanonizer((ExactMerge(), ResNetBottleneckCanonizer()))
    table = epsilon_plus_flat(network)
    passing = replace(table, families={**table.families, "norm": Pass()})
    for found, expected in (
        (ours(passing), theirs(exact)),
        (ours(table), theirs(exact, [(BatchNorm, Epsilon())])),
    ):
        assert (found - expected).norm() <= 1e-10 * expected.norm()
    as_it_is = theirs(ResNetCanonizer())
    assert (as_it_is - ours(passing)).norm() > 1e-5 * as_it_is.norm()
