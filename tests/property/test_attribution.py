"""A target's attribution depends on its picture alone, and attributing leaves no trace in the network."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from repeatable import repeatable
from torch import nn

from lcrp.attribution.detection import DetectionTask
from lcrp.attribution.engine import Attributor
from lcrp.attribution.layers import layer_names
from lcrp.attribution.segmentation import SegmentationTask
from lcrp.composites.composites import epsilon_gamma_flat, epsilon_plus_flat
from lcrp.models.unet import UNet
from lcrp.models.yolov6 import YOLOv6
from lcrp.values.target import ExplainedTarget, Target

SIZE, BATCH = 32, 3
FEW = repeatable(4)
seeds = st.integers(0, 2**16)


def prepared(network, seed=1):
    """Random weights and BatchNorm statistics, evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    network.initialise(generator)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.7, 1.3, generator=generator)
            module.running_mean.uniform_(-0.1, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
    if isinstance(network, YOLOv6):
        network.prepare()
    return network.eval()


class Detector:
    """YOLOv6 whose targets are given rows, as an untrained network detects nothing."""

    network = prepared(YOLOv6(num_classes=3, depth=0.1, width=0.0625))
    composite = staticmethod(epsilon_gamma_flat)
    task = DetectionTask(("a", "b", "c"))
    layers = ("backbone.ERBlock_5.0.rbr_dense.conv", "neck.Rep_p4.conv1.rbr_1x1.conv", "detect.cls_preds.1")

    @staticmethod
    def target(number):
        """One of many targets, on all three levels."""
        target = Target(sample=0, class_id=number % 3)
        return ExplainedTarget(target=target, key="", score=1, confidence=1, box=(0, 0, 1, 1), row=number % 21)


class Segmenter:
    """UNet whose whole mask of a class is seeded."""

    network = prepared(UNet(num_classes=3, width=0.0625))
    composite = staticmethod(epsilon_plus_flat)
    task = SegmentationTask(("a", "b", "c"))
    layers = ("encoder.features.15", "decoder.blocks.2.conv1.0", "segmentation_head.0")

    @staticmethod
    def target(number):
        return ExplainedTarget(target=Target(sample=0, class_id=number % 3), key="", score=1, confidence=1, area=1)


both = pytest.mark.parametrize("subject", [Detector, Segmenter])


def pictures(seed, count=BATCH):
    return torch.rand(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))


def attributor(subject):
    return Attributor(
        subject.network, subject.composite, subject.task, layers=subject.layers, mean=(0.0,) * 3, std=(1.0,) * 3
    )


def seeded(subject, trace, explained):
    """Seeds of targets; for the segmenter a positive one for a class that is nowhere the largest."""
    if subject is Detector:
        return subject.task.seed(trace.output, explained)
    seed = torch.zeros_like(trace.output)
    for image, one in enumerate(explained):
        if one is not None:
            values = trace.output[image, one.target.class_id].detach().abs()
            seed[image, one.target.class_id] = values / values.sum()
    return trace.output, seed


def attribution(subject, images, explained):
    with attributor(subject) as engine:
        trace = engine.forward(images)
        found = trace.attribute(*seeded(subject, trace, explained))
        conditional = trace.conditional(subject.layers[0], found.relevance[subject.layers[0]])
    return [found.heatmap, conditional, *found.relevance.values(), *found.activation.values()]


@both
@FEW
@given(first=seeds, others=seeds, number=seeds, place=st.integers(0, BATCH - 1), padding=st.booleans())
def test_batch_mates_and_padding_change_no_bit(subject, first, others, number, place, padding):
    images, explained = pictures(first), [None] * BATCH
    explained[place] = subject.target(number)
    expected = attribution(subject, images, explained)
    mates = torch.zeros_like(images) if padding else pictures(others)
    mates[place] = images[place]
    company = [None if padding else subject.target(others + index) for index in range(BATCH)]
    company[place] = explained[place]
    for ours, theirs in zip(attribution(subject, mates, company), expected, strict=True):
        assert torch.equal(ours[place], theirs[place])


@both
@FEW
@given(seed=seeds, number=seeds)
def test_batch_size_changes_only_the_last_bits(subject, seed, number):
    """In float64: how far float32 gets depends on how well a layer's division is conditioned."""
    images, target = pictures(seed), subject.target(number)
    try:
        subject.network.double()
        alone = attribution(subject, images[:1], [target])
        together = attribution(subject, images, [target, None, None])
    finally:
        subject.network.float()
    for ours, theirs in zip(together, alone, strict=True):
        assert (ours[0] - theirs[0]).norm() <= 1e-10 * theirs[0].norm()


@both
@FEW
@given(seed=seeds, numbers=st.lists(seeds, min_size=2, max_size=3, unique=True))
def test_order_of_rounds_changes_no_bit(subject, seed, numbers):
    images = pictures(seed, 1)
    with attributor(subject) as engine:
        trace = engine.forward(images)
        rounds = {
            number: trace.attribute(*seeded(subject, trace, [subject.target(number)])).heatmap for number in numbers
        }
        for number in reversed(numbers):
            again = trace.attribute(*seeded(subject, trace, [subject.target(number)])).heatmap
            assert torch.equal(again, rounds[number])


@both
@FEW
@given(seed=seeds, number=seeds, fails=st.booleans())
def test_network_is_bit_identical_after_use(subject, seed, number, fails):
    network = subject.network
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    eps = [module.eps for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    images = pictures(seed, 1)
    with torch.no_grad():
        plain = network(images)
    try:
        with attributor(subject) as engine:
            trace = engine.forward(images)
            trace.attribute(*seeded(subject, trace, [subject.target(number)]))
            if fails:
                raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    after = network.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert eps == [module.eps for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
    with torch.no_grad():
        again = network(images)
    logits = (plain, again) if subject is Segmenter else (plain.class_logits, again.class_logits)
    assert torch.equal(*logits)


def test_the_layers_exist():
    for subject in (Detector, Segmenter):
        assert set(subject.layers) <= set(layer_names(subject.network))
