"""Objects of torchvision, given to the Python door as they are."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models.detection import RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvisions import NUM_CLASSES, SMALL, torchvision_network

import lcrp
from lcrp.attribution.concepts import only_concept
from lcrp.errors import ConfigError
from lcrp.models.library import LibraryNetwork
from lcrp.values.geometry import Geometry
from lcrp.values.sample import Sample

NAMES = ["one", "two", "three", "four"]


def photograph():
    return np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)


def test_five_lines_explain_retinanet():
    network = torchvision_network("retinanet_resnet50_fpn", **SMALL).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    explainer = lcrp.load(network, confidence=0.0)
    explanations = lcrp.explain(explainer, photograph(), n_concepts=1)
    assert len(explanations) == 5
    assert explainer.class_names == tuple(map(str, range(1, NUM_CLASSES + 1)))
    assert explainer.layer == "auto"
    assert {one.layer for one in explanations} == {"head.classification_head.conv.3.0"}  # carries all, the deepest
    assert all(one.layer_share == pytest.approx(1, abs=0.02) for one in explanations)
    assert explanations[0].class_name in explainer.class_names
    assert explanations[0].heatmap.shape == (96, 96)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert all(module.training for module in network.modules())


def test_a_segmenter_explains_its_classes():
    network = torchvision_network("deeplabv3_mobilenet_v3_large").eval()
    explainer = lcrp.load(network, input=(64, 64, "letterbox"), class_names=NAMES)
    (explanation, *_) = lcrp.explain(explainer, photograph(), n_concepts=1)
    assert explanation.class_name in NAMES
    assert explanation.heatmap.any()


def test_names_that_do_not_fit_are_refused():
    network = torchvision_network("fasterrcnn_mobilenet_v3_large_320_fpn", **SMALL)
    with pytest.raises(ConfigError, match=r"5 columns of class logits.*but 3 class names are given; give 4$"):
        lcrp.load(network, class_names=NAMES[:3])
    with pytest.raises(ConfigError, match="does detection: leave task='segmentation' out"):
        lcrp.load(network, task="segmentation")


class Levels(nn.Module):
    """A backbone with three levels of eight channels."""

    out_channels = 8

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.halve = nn.Conv2d(3, 8, 3, stride=4, padding=1), nn.Conv2d(8, 8, 3, stride=2, padding=1)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        maps = [self.stem(x).relu()]
        for _ in range(2):
            maps.append(torch.nn.functional.avg_pool2d(maps[-1], 2) + self.halve(maps[-1]).relu())
        return {str(number): one for number, one in enumerate(maps)}


def test_conditional_heatmaps_of_a_shared_head_add_up_to_the_joint_one() -> None:
    """The head runs on every level: its places are one layer."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        anchors = AnchorGenerator(((16,), (32,), (64,)), ((0.5, 1.0, 2.0),) * 3)
        network = RetinaNet(Levels(), NUM_CLASSES + 1, anchor_generator=anchors, **SMALL)
        for module in network.head.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
    explainer = lcrp.load(network, class_names=NAMES, confidence=0.0)
    placed = LibraryNetwork(network.double(), explainer.network.reader)
    layer = "head.classification_head.conv.3.0"
    picture = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with replace(explainer, network=placed).attributor([layer]) as attributor:
        trace = attributor.forward(picture)
        (prediction,) = explainer.task.predictions(trace.output)
        sample = Sample(index=0, key="", image=picture[0], annotation=None, geometry=Geometry.identity((96, 96)))
        decision = explainer.task.predicted_targets(prediction, sample)[0][0]
        joint = trace.explain([decision])
        relevance = joint.relevance[layer]
        assert relevance.shape[1:3] == (8, 1), "all levels are joined"
        assert relevance.dtype == torch.float64
        parts = [trace.conditional(layer, only_concept(relevance, torch.tensor([concept]))) for concept in range(8)]
    assert len([part for part in parts if part.abs().sum() > 0]) > 1
    total = torch.stack(parts).sum(dim=0)
    assert (total - joint.heatmap).abs().max() <= 1e-6 * joint.heatmap.abs().max()
    assert joint.heatmap.abs().max() > 0
