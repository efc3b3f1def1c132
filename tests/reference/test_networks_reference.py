"""The five networks explained by rules on their operations, against zennit's rules on their modules."""

import copy

import pytest
import torch

from lcrp.attribution.engine import Attributor
from subjects import MEAN, NAMES, STD, subject, targets
from zennits import with_sums, zennits_composite

SCALE = {"yolov5m": 0.15, "yolov6s": 0.15, "ssd512": 0.125, "unet": 0.25, "deeplabv3plus": 0.125}


@pytest.mark.parametrize("name", NAMES)
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
