"""Ablated channels: against a literal restatement, and a two-layer network worked out by hand."""

import pytest
import torch
from torch import nn
from torchvisions import regional_detector

import lcrp
from lcrp.attribution.ablation import ablated_outputs, fills, flipping_masks
from lcrp.attribution.engine import Attributor
from lcrp.attribution.segmentation import SegmentationTask
from lcrp.composites.composites import epsilon_plus_flat, gradient
from lcrp.composites.spec import CompositeSpec
from lcrp.errors import LayerError
from lcrp.models.deeplabv3plus import DeepLabV3Plus
from lcrp.models.ssd import SSD
from lcrp.models.unet import UNet
from lcrp.models.yolov5 import YOLOv5
from lcrp.models.yolov6 import YOLOv6
from lcrp.values.prediction import DetectorOutput


def attributor_of(network: nn.Module) -> Attributor:
    task = SegmentationTask(("background", "boat"))
    return Attributor(network, gradient, task, layers=(), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def test_flipping_takes_the_first_of_the_ranking_away():
    kept = flipping_masks(torch.tensor([2, 0, 1]), [0, 1, 3])
    assert kept.tolist() == [[True, True, True], [True, True, False], [False, False, False]]


def test_fills_by_hand():
    activation = torch.tensor([[[[1.0, 3.0]]], [[[5.0, 7.0]]]])  # two images, one channel
    assert fills(activation, "zero").tolist() == [[[[0.0]]], [[[0.0]]]]
    assert fills(activation, "mean").tolist() == [[[[4.0]]], [[[4.0]]]]
    assert fills(activation, "resample").tolist() == [[[[5.0, 7.0]]], [[[1.0, 3.0]]]]


class Branched(nn.Module):
    """A layer, a way around it, and an output that does not depend on it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.layer = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 5, 3, padding=1)
        self.join, self.aside = nn.Conv2d(9, 2, 1), nn.Conv2d(4, 2, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        stem = self.stem(images).relu()
        joined = self.join(torch.cat((self.layer(stem).relu(), stem), dim=1))
        return torch.cat((joined, self.aside(stem)), dim=2)


def test_variants_are_those_of_as_many_full_passes():
    torch.manual_seed(0)
    network, image = Branched(), torch.rand(1, 3, 6, 6)
    keep = torch.rand(7, 5) > 0.5
    fill = torch.rand(1, 5, 6, 6)
    with attributor_of(network) as attributor:
        found = ablated_outputs(attributor, image, "layer", keep, fill)
    with torch.no_grad():
        stem = network.stem(image).relu()
        for row, channels in enumerate(keep):
            mask = channels[None, :, None, None].float()
            ablated = network.layer(stem) * mask + fill * (1 - mask)
            joined = network.join(torch.cat((ablated.relu(), stem), dim=1))
            expected = torch.cat((joined, network.aside(stem)), dim=2)
            torch.testing.assert_close(found[row : row + 1], expected)
    assert not network.layer._forward_hooks


def test_a_layer_that_is_not_there_is_refused():
    keep = torch.ones(1, 5, dtype=torch.bool)
    with attributor_of(Branched()) as attributor, pytest.raises(LayerError, match="layer 'layr' is not in Branched"):
        ablated_outputs(attributor, torch.rand(1, 3, 6, 6), "layr", keep, torch.zeros(1, 5, 1, 1))


NETWORKS = {
    "yolov5": (lambda: YOLOv5(depth=0.33, width=0.125, num_classes=2), "model.14.conv"),
    "yolov6": (lambda: YOLOv6(depth=0.17, width=0.125, num_classes=2), "neck.reduce_layer0.conv"),
    "ssd": (lambda: SSD(num_classes=2, size=256, width=0.125), "backbone.vgg.21"),
    "unet": (lambda: UNet(num_classes=2, width=0.125), None),
    "deeplabv3plus": (lambda: DeepLabV3Plus(num_classes=2, width=0.125), None),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_takes_variants(name):
    """Sums, concatenations and heads of all architectures accept what is common to all variants."""
    torch.manual_seed(0)
    build, layer = NETWORKS[name]
    network = build().eval()
    convolutions = [path for path, module in network.named_modules() if isinstance(module, nn.Conv2d)]
    layer = layer or convolutions[len(convolutions) // 2]
    channels = network.get_submodule(layer).out_channels
    keep = torch.rand(3, channels) > 0.5
    image = torch.rand(1, 3, 256, 256)
    fill = torch.zeros(1, channels, 1, 1)
    with attributor_of(network) as attributor:
        found = ablated_outputs(attributor, image, layer, keep, fill)
        alone = [ablated_outputs(attributor, image, layer, keep[row : row + 1], fill) for row in range(3)]
    if isinstance(found, DetectorOutput):
        assert found.boxes.shape[0] == 3
        found, alone = found.class_logits, [one.class_logits for one in alone]
    torch.testing.assert_close(found, torch.cat(alone), rtol=1e-4, atol=1e-5)
    assert not torch.equal(found[0], found[1])


def test_flipping_curve_of_two_layers_by_hand():
    """One pixel: concepts 2, 1 and 3 times the input, added up with weights 1, -1 and 2; the input is 1.

    Concept values are 2, 1, 3, so the logit is 2 - 1 + 6 = 7. Without concept 2 it is 1, without 2 and 0 it is -1,
    without any 0. Kept alone, concept 2 gives 6, concepts 2 and 0 give 8.
    """
    first, last = nn.Conv2d(3, 3, 1, bias=False), nn.Conv2d(3, 2, 1, bias=False)
    with torch.no_grad():
        first.weight.copy_(torch.diag(torch.tensor([2.0, 1.0, 3.0]))[:, :, None, None])
        last.weight.zero_()
        last.weight[1] = torch.tensor([1.0, -1.0, 2.0])[:, None, None]
    network = nn.Sequential(first, last)
    keep = flipping_masks(torch.tensor([2, 0, 1]), [0, 1, 2, 3])
    with attributor_of(network) as attributor:
        taken = ablated_outputs(attributor, torch.ones(1, 3, 1, 1), "0", keep, torch.zeros(1, 3, 1, 1))
        kept = ablated_outputs(attributor, torch.ones(1, 3, 1, 1), "0", ~keep, torch.zeros(1, 3, 1, 1))
    assert taken[:, 1].flatten().tolist() == [7.0, 1.0, -1.0, 0.0]
    assert kept[:, 1].flatten().tolist() == [0.0, 6.0, 8.0, 7.0]


def test_a_network_that_writes_into_the_ablated_output_runs_once_a_variant():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True), nn.Conv2d(4, 2, 1)).eval()
    runs = []
    network[2].register_forward_hook(lambda *_: runs.append(1))
    spec = CompositeSpec(name="epsilon_plus_flat", build=epsilon_plus_flat)
    task = SegmentationTask(("background", "boat"))
    image, keep = torch.rand(1, 3, 4, 4), torch.tensor([[True, False, True, False]])
    expected = network[2](torch.where(keep.view(1, 4, 1, 1), network[0](image), torch.tensor(0.0)).relu())
    runs.clear()
    with Attributor(network, spec, task, layers=(), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)) as attributor:
        found = ablated_outputs(attributor, image, "0", keep, torch.zeros(1, 4, 1, 1))
    torch.testing.assert_close(found, expected)
    assert len(runs) == 1


def test_what_is_kept_of_variants_holds_no_pass():
    explainer = lcrp.load(regional_detector(), class_names=["one", "two", "three", "four"], input=96, confidence=0.0)
    with explainer.attributor(()) as attributor:
        keep = torch.ones(2, 16, dtype=torch.bool)
        found = ablated_outputs(attributor, torch.rand(1, 3, 96, 96), "backbone.2", keep, torch.zeros(1, 16, 1, 1))
    assert len(found.pictures) == 2
    assert not any(one.logits.requires_grad for one in found.pictures)
