"""Selection of layers by patterns."""

import pytest

from lcrp.attribution.layers import layer_names
from lcrp.errors import LayerError
from lcrp.models.unet import UNet

NETWORK = UNet(num_classes=2, width=0.0625)


def test_all_convolutions_in_module_order():
    names = layer_names(NETWORK)
    assert len(names) == 23
    assert (names[0], names[-1]) == ("encoder.features.0", "segmentation_head.0")


def test_patterns_select_in_module_order_without_repetition():
    found = layer_names(NETWORK, ["segmentation_head.0", "decoder.blocks.0.*", "*.conv1.0"])
    blocks = [f"decoder.blocks.{block}.conv1.0" for block in range(1, 5)]
    assert found == ["decoder.blocks.0.conv1.0", "decoder.blocks.0.conv2.0", *blocks, "segmentation_head.0"]


def test_pattern_without_a_match():
    with pytest.raises(
        LayerError, match=r"layer 'encoder.features.1' is not in UNet; nearest: 'encoder.features.1[0-9]'"
    ):
        layer_names(NETWORK, ["encoder.features.0", "encoder.features.1"])


def test_auto_in_another_spelling_is_met_with_auto():
    with pytest.raises(LayerError, match=r"layer 'Auto' is not in UNet; did you mean 'auto', that through which"):
        layer_names(NETWORK, ["Auto"])
