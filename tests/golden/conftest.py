"""The networks whose outputs the forerunner's code recorded."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lcrp.models.deeplabv3plus import DeepLabV3Plus
from lcrp.models.ssd import SSD
from lcrp.models.unet import UNet
from lcrp.models.yolov5 import YOLOv5
from lcrp.models.yolov6 import YOLOv6

NETWORKS: dict[str, type[YOLOv5 | YOLOv6 | SSD | UNet | DeepLabV3Plus]] = {
    "yolov5n": YOLOv5,
    "yolov6n": YOLOv6,
    "ssd512": SSD,
    "unet": UNet,
    "deeplabv3plus": DeepLabV3Plus,
}

# The forerunner folded YOLOv6's stem in float32, with sqrt(var + eps) one float beside the correctly rounded value in
# six of its 32 channels: branch to (channels with the next larger float, with the next smaller one). Found from its
# float64 results: with these six the activations in front of the last layer agree to 3e-11, without them to 1e-6.
STEM_ROOTS = {"rbr_dense": ((10, 12), (3,)), "rbr_1x1": ((2, 11), (0,))}


@pytest.fixture(scope="session")
def golden_network(shared: Path) -> Callable[[str], nn.Module]:
    """Builds the network of one golden file, in float32, with the forerunner's fused stem where it has one."""

    def build(name: str) -> nn.Module:
        state = golden_state(shared, name)
        network = NETWORKS[name](**NETWORKS[name].arguments_of(state))
        network.load_state_dict(state)
        if isinstance(network, YOLOv6):
            network.prepare()
            fused = network.backbone.stem.rbr_reparam
            fused.weight.data, fused.bias.data = recorded_stem(state)
        return network.eval().requires_grad_(False)

    return build


def golden_state(shared: Path, name: str) -> dict[str, Tensor]:
    """The golden state dict, rebuilt from its formula."""
    spec = importlib.util.spec_from_file_location("golden_weights", shared / "goldens" / "weights.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.state_dict(name)


def recorded_stem(state: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Kernel and bias of the forerunner's fused stem: both branches folded and summed in float32."""
    kernels, biases = [], []
    for branch, (larger, smaller) in STEM_ROOTS.items():
        norm = f"backbone.stem.{branch}.bn"
        variance = state[f"{norm}.running_var"] + 1e-3
        root = torch.from_numpy(np.sqrt(variance.numpy()))  # correctly rounded; torch's depends on the processor
        for channels, limit in ((larger, torch.inf), (smaller, 0.0)):
            root[list(channels)] = torch.nextafter(root[list(channels)], torch.tensor(limit))
        gamma, mean, beta = (state[f"{norm}.{key}"] for key in ("weight", "running_mean", "bias"))
        kernel = state[f"backbone.stem.{branch}.conv.weight"] * (gamma / root)[:, None, None, None]
        kernels.append(nn.functional.pad(kernel, [(3 - kernel.shape[-1]) // 2] * 4))
        biases.append(beta - mean * gamma / root)
    return kernels[0] + kernels[1], biases[0] + biases[1]
