"""Networks against the key lists of the published files: every key, shape and place."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lcrp.errors import CheckpointError
from lcrp.models.deeplabv3plus import DeepLabV3Plus
from lcrp.models.ssd import SSD
from lcrp.models.unet import UNet
from lcrp.models.yolov5 import YOLOv5
from lcrp.models.yolov6 import YOLOv6

Network = YOLOv5 | YOLOv6 | SSD | UNet | DeepLabV3Plus
NETWORKS: dict[str, type[Network]] = {
    **{f"yolov5_{size}": YOLOv5 for size in "nsmlx"},
    **{f"yolov6_0.1.0_{size}": YOLOv6 for size in "nts"},
    "ssd300_vgg16_coco": SSD,
    "ssd512_vgg16_coco": SSD,
    "unet_vgg13": UNet,
    "deeplabv3plus_resnet50": DeepLabV3Plus,
}
REFUSED = [
    (YOLOv6, "yolov6_0.2.0_n", "a later YOLOv6 release"),
    (YOLOv6, "yolov6_0.2.0_s", "a later YOLOv6 release"),
    (YOLOv6, "yolov6_0.3.0_n", "a later YOLOv6 release"),
    (YOLOv6, "yolov6_0.3.0_s", "a later YOLOv6 release"),
    (YOLOv6, "yolov6_0.4.0_s", "a later YOLOv6 release"),
    (YOLOv5, "yolov6_0.1.0_s", "YOLOv6 0.1.0"),
    (YOLOv5, "ssd300_vgg16_coco", "SSD"),
    (YOLOv6, "yolov5_m", "YOLOv5"),
    (UNet, "deeplabv3plus_resnet50", r"DeepLabV3\+ with a ResNet-50"),
    (SSD, "unet_vgg13", "UNet with a VGG13 encoder"),
    (DeepLabV3Plus, "ssd512_vgg16_coco", "SSD on VGG-16"),
]


def manifest(shared: Path, name: str) -> dict[str, Tensor]:
    entries = json.loads((shared / "manifests" / f"{name}.json").read_text())["state_dict"]
    return {
        key: torch.empty(entry["shape"], dtype=getattr(torch, entry["dtype"]), device="meta")
        for key, entry in entries.items()
    }


@pytest.mark.parametrize("name", NETWORKS)
def test_state_dict_is_the_published_one(shared: Path, name: str) -> None:
    published, network_class = manifest(shared, name), NETWORKS[name]
    with torch.device("meta"):
        network: nn.Module = network_class(**network_class.arguments_of(published))
    own = [(key, value.shape, value.dtype) for key, value in network.state_dict().items()]
    assert own == [(key, value.shape, value.dtype) for key, value in published.items()]


@pytest.mark.parametrize(("network_class", "name", "kind"), REFUSED)
def test_other_releases_and_architectures_are_named(
    shared: Path, network_class: type[Network], name: str, kind: str
) -> None:
    with pytest.raises(CheckpointError, match=f"look like {kind}"):
        network_class.arguments_of(manifest(shared, name))
