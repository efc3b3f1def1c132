"""``lcrp.load`` without the name of a family tells it as model=auto does; a name that is given counts."""

import logging
from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn

import lcrp
from lcrp.errors import CheckpointError, ConfigError
from lcrp.models.checkpoint import save_checkpoint
from lcrp.models.ssd import SSD
from lcrp.models.yolo.family import yolo
from lcrp.models.yolov5 import YOLOv5


@pytest.fixture
def best(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "it's best.pt", yolo(num_classes=2, version="8"), class_names=["helmet", "vest"])
    return tmp_path / "it's best.pt"


def test_a_file_tells_its_family_and_what_it_was_taken_for(best: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    explainer = lcrp.load(best)
    assert (explainer.name, explainer.class_names) == ("yolo", ("helmet", "vest"))
    assert "it's best.pt is YOLOv8n, 2 classes (helmet, vest), from its " in caplog.text
    assert lcrp.load("yolo", checkpoint=best).identity() == explainer.identity()


def test_what_the_checkpoint_tells_besides_is_set(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "ssd.pt", SSD(num_classes=1, size=300, width=0.0625), class_names=["boat"])
    transform = lcrp.load(tmp_path / "ssd.pt").transform
    assert (transform.height, transform.width) == (300, 300)
    own = lcrp.load(tmp_path / "ssd.pt", input=(256, 320, "stretch")).transform
    assert (own.height, own.width) == (256, 320)


def test_a_family_given_by_hand_counts(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "v5.pt", YOLOv5(num_classes=1, depth=0.33, width=0.0625), class_names=["boat"])
    assert lcrp.load("yolov5", checkpoint=tmp_path / "v5.pt").name == "yolov5"
    with pytest.raises(CheckpointError, match=r"is YOLOv5, 1 class \(boat\), .*; it does not fit 'unet'$"):
        lcrp.load("unet", checkpoint=tmp_path / "v5.pt")


def test_state_dicts_of_torchvision_that_tell_enough(tmp_path: Path) -> None:
    network = torchvision.models.get_model(
        "lraspp_mobilenet_v3_large", weights=None, weights_backbone=None, num_classes=2
    )
    torch.save(network.state_dict(), tmp_path / "segmenter.pth")
    explainer = lcrp.load(tmp_path / "segmenter.pth", class_names=["background", "boat"], input=64)
    assert explainer.name == "torchvision"
    with torch.no_grad():
        assert explainer.network(torch.zeros(1, 3, 64, 64)).shape == (1, 2, 64, 64)


def test_state_dicts_that_do_not_are_loaded_by_hand(tmp_path: Path) -> None:
    network = torchvision.models.get_model(
        "fasterrcnn_mobilenet_v3_large_fpn", weights=None, weights_backbone=None, num_classes=2
    )
    torch.save(network.state_dict(), tmp_path / "detector.pth")
    with pytest.raises(ConfigError, match=r"320_fpn', 'fasterrcnn_mobilenet_v3_large_fpn' have the same: load it into"):
        lcrp.load(tmp_path / "detector.pth", class_names=["boat"])


def test_modules_are_used_as_they_are() -> None:
    network = nn.Conv2d(3, 2, 1)
    explainer = lcrp.load(network, task="segmentation", class_names=["background", "boat"], input=64)
    assert explainer.network is network
