"""Networks that nobody needs any more take no memory, without waiting for the collector of circles."""

import gc
import weakref
from collections.abc import Callable

import numpy as np
import pytest
from torch import nn
from torchvisions import torchvision_network

import lcrp


def pyramid() -> nn.Module:
    return torchvision_network("ssdlite320_mobilenet_v3_large")


def segmenter() -> nn.Module:
    return torchvision_network("lraspp_mobilenet_v3_large")


@pytest.mark.parametrize(
    ("make", "settings"), [(pyramid, {"confidence": 0.0}), (segmenter, {})], ids=["detector", "segmenter"]
)
def test_a_network_goes_with_its_explainer(make: Callable[[], nn.Module], settings: dict[str, float]) -> None:
    """Attributors and what they record referred to each other, and so 12 GB lay about in a long run."""
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    network = make()
    is_there = weakref.ref(network)
    gc.collect()
    gc.disable()
    try:
        assert lcrp.explain(lcrp.load(network), picture, max_targets=1, **settings)
        del network
        assert is_there() is None
    finally:
        gc.enable()
