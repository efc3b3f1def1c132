"""What a state dict of torchvision's detectors does not say is said."""

import logging

import pytest
import torch
from torch import nn
from torchvision.ops.misc import FrozenBatchNorm2d
from torchvisions import NUM_CLASSES, SMALL, regional_detector

import lcrp
from lcrp.models.library import DetectorReader, LibraryNetwork
from lcrp.models.torchvision import TorchvisionNetwork

NAME = "fasterrcnn_mobilenet_v3_large_320_fpn"


def made(**options: object) -> TorchvisionNetwork:
    return TorchvisionNetwork(name=NAME, num_classes=NUM_CLASSES, **SMALL, **options)  # type: ignore[arg-type]


def test_frozen_norms_are_known_by_what_they_lack() -> None:
    norm = {f"backbone.norm.{key}": value for key, value in nn.BatchNorm2d(3).state_dict().items()}
    frozen = {f"backbone.norm.{key}": value for key, value in FrozenBatchNorm2d(3).state_dict().items()}
    head = {"roi_heads.box_predictor.cls_score.weight": torch.zeros(5, 2)}
    assert TorchvisionNetwork.arguments_of(norm | head) == {"num_columns": 5}
    assert TorchvisionNetwork.arguments_of(frozen | head) == {"num_columns": 5, "is_frozen": True}


def test_an_unknown_epsilon_is_said_and_can_be_given(caplog: pytest.LogCaptureFixture) -> None:
    made(is_frozen=True)
    assert "0 is right for networks that began as torchvision's COCO_V1 detectors" in caplog.text
    caplog.clear()
    network = made(is_frozen=True, norm_epsilon=0.0)
    assert not caplog.records
    assert {module.eps for module in network.modules() if isinstance(module, nn.BatchNorm2d)} == {0.0}


def test_detections_without_a_name_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
    network = LibraryNetwork(regional_detector(), DetectorReader(num_columns=NUM_CLASSES + 1, columns=(1, 2))).eval()
    for _ in range(2):
        network(torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    said = [message for message in caplog.messages if "without a name are left out" in message]
    assert said == ["detections of classes without a name are left out: columns 3, 4 of the class logits"]


def test_numbers_in_place_of_names_are_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert lcrp.load(regional_detector()).class_names == ("1", "2", "3", "4")
    assert "does not keep the names of its classes: they are called 1 to 4" in caplog.text
