"""Objects of torchvision, given to the Python door as they are."""

import numpy as np
import pytest
import torch
from torchvisions import NUM_CLASSES, SMALL, torchvision_network

import lcrp
from lcrp.errors import ConfigError

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
