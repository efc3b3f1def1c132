"""From the model's settings to a network with weights and names."""

import logging
import re
from dataclasses import replace
from pathlib import Path

import pickled
import pytest
import torch

from lcrp.config.checkpoints import OFFICIAL_FILES
from lcrp.config.compose import composed
from lcrp.config.model import Model
from lcrp.config.network import fresh_network, trained_network
from lcrp.errors import CheckpointError, ConfigError
from lcrp.models.checkpoint import save_checkpoint
from lcrp.models.deeplabv3plus import DeepLabV3Plus
from lcrp.models.yolo.network import YOLO
from lcrp.models.yolo.part import Part
from lcrp.models.yolo.published import network_part
from lcrp.models.yolo.tables import size_of
from lcrp.models.yolov5 import YOLOv5

CPU = torch.device("cpu")


def model(**changes: object) -> Model:
    settings = composed(["model=unet", "model.network.width=0.05"]).model
    return replace(settings, **changes)  # type: ignore[arg-type]


def test_random_weights_are_the_same_each_time_and_leave_the_generator_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, second = (trained_network(model(checkpoint="random"), ("a", "b"), CPU, tmp_path) for _ in range(2))
    assert torch.equal(torch.rand(3), expected)
    pairs = zip(first.network.state_dict().values(), second.network.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
    assert (first.checkpoint, first.checkpoint_sha256) == ("random", "")
    assert first.class_names == ("a", "b")
    assert first.arguments["num_classes"] == 2
    assert not first.network.training
    assert not any(parameter.requires_grad for parameter in first.network.parameters())


def test_an_only_head_that_is_named_changes_nothing_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Statistics of a YOLOv8 were stale where its only head was named."""
    caplog.set_level(logging.INFO)
    for version, told in (("8", False), ("26", True)):
        settings = ["model=yolo", f"model.network.version={version}", "model.checkpoint=random", "model.head=many"]
        settings.append("model.network.scale=n")
        found = trained_network(composed(settings).model, ("a",), CPU, tmp_path)
        assert ("head" in found.arguments) is told
    assert caplog.messages == ["model.head=many changes nothing: the network has no other head"]


def test_a_checkpoint_brings_its_size_and_names(tmp_path: Path) -> None:
    given = trained_network(model(checkpoint="random"), ("a", "b", "c"), CPU, tmp_path)
    save_checkpoint(tmp_path / "mine.pt", given.network, class_names=["x", "y", "z"])
    wide = model(checkpoint="mine.pt")
    wide.network["width"] = 1.0  # the file's own counts
    found = trained_network(wide, ("a", "b", "c"), CPU, tmp_path)
    assert found.class_names == ("x", "y", "z")
    assert (found.checkpoint, len(found.checkpoint_sha256)) == ("mine.pt", 64)
    assert found.arguments["width"] == pytest.approx(0.05, abs=0.02)
    named = trained_network(replace(wide, class_names=["p", "q", "r"]), None, CPU, tmp_path)
    assert named.class_names == ("p", "q", "r")
    with pytest.raises(ConfigError, match=r"^the model has 3 classes, but 2 class names are known \(p, ...\)"):
        trained_network(replace(wide, class_names=["p", "q"]), None, CPU, tmp_path)
    half = trained_network(wide, None, CPU, tmp_path, torch.bfloat16)
    assert next(half.network.parameters()).dtype is torch.bfloat16


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"checkpoint": None}, ConfigError, "model.checkpoint has no value"),
        ({"checkpoint": "absent.pt"}, CheckpointError, "absent.pt' is not there"),
        ({"checkpoint": "random", "network": {"_target_": "lcrp.data.voc.voc2012"}}, ConfigError, "network: voc2012"),
        ({"checkpoint": "random", "network": {"_target_": "pathlib.Path"}}, ConfigError, "gives no torch.nn.Module"),
    ],
)
def test_what_makes_no_network_is_told(
    changes: dict[str, object], kind: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=message):
        trained_network(model(**changes), ("a", "b"), CPU, tmp_path)


def test_without_any_names_they_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing says what the model's classes are called; write model.class_names"):
        trained_network(model(checkpoint="random"), None, CPU, tmp_path)


def test_a_fresh_network_goes_by_its_seed() -> None:
    settings = composed(["model=unet", "model.network.width=0.05"]).model
    first, same, other = (fresh_network(settings, ("a",), seed, CPU) for seed in (1, 1, 2))
    weights = [next(network.parameters()) for network in (first, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert first.training


@pytest.mark.parametrize(
    ("file", "stride", "level", "words"),
    [
        ("mine.pth", 16, "INFO", "does not say at which output stride it was trained, 16 or 8; it is run at 16"),
        (
            "latest_deeplabv3plus_resnet50_voc_os8.pth",
            16,
            "WARNING",
            "is run at 16, .*write model.network.output_stride=8",
        ),
        ("best_voc_os16.pth", 8, "WARNING", "is run at 8, .*write model.network.output_stride=16"),
        ("best_voc_os16.pth", 16, None, ""),
        ("latest_deeplabv3plus_resnet50_voc_os8.pth", 8, None, ""),
    ],
)
def test_the_output_stride_that_no_file_tells_is_spoken_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, file: str, stride: int, level: str | None, words: str
) -> None:
    save_checkpoint(tmp_path / file, DeepLabV3Plus(num_classes=2, width=0.05), class_names=["a", "b"])
    settings = composed(["model=deeplabv3plus", f"model.network.output_stride={stride}"]).model
    with caplog.at_level("INFO"):
        found = trained_network(replace(settings, checkpoint=file), None, CPU, tmp_path)
    assert found.arguments["output_stride"] == stride
    told = [record for record in caplog.records if "output stride" in record.getMessage()]
    assert [record.levelname for record in told] == ([level] if level else [])
    assert all(re.search(words, record.getMessage()) for record in told)


def test_what_a_file_says_beside_tensors_is_part_of_what_is_explained(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    network = YOLOv5(num_classes=2, depth=0.33, width=0.25)
    layers = pickled.everywhere(pickled.yolov5(), "SiLU", lambda _: Part(kind="ReLU"))
    pickled.write(tmp_path / "relu.pt", layers, network.state_dict())
    settings = composed(["model=yolov5", "model.checkpoint=relu.pt"]).model
    with caplog.at_level("INFO"):
        found = trained_network(settings, None, CPU, tmp_path)
    assert found.arguments["unusual"] == ["57 x ReLU() in place of SiLU()"]
    assert "'relu.pt' is obeyed where it is not as published: 57 x ReLU() in place of SiLU()" in caplog.text
    pickled.write(tmp_path / "silu.pt", pickled.yolov5(), network.state_dict())
    assert "unusual" not in trained_network(replace(settings, checkpoint="silu.pt"), None, CPU, tmp_path).arguments
    pickled.write(tmp_path / "p.pt", pickled.changed(layers, "12", pickled.says(d=2)), network.state_dict())
    with pytest.raises(CheckpointError, match=r"p.pt': the file's network is not the one") as told:
        trained_network(replace(settings, checkpoint="p.pt"), None, CPU, tmp_path)
    assert told.value.mend.endswith("docs/how-to/own_network.md")


@pytest.mark.parametrize(("side", "is_told"), [(320, True), (640, False)])
def test_another_size_than_that_of_training_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, side: int, is_told: bool
) -> None:
    layers = network_part("11", size_of("11", "p"), 2, "detect")
    state = YOLO(layers).state_dict()
    pickled.write(tmp_path / "best.pt", layers, state, package="ultralytics", args={"imgsz": 640})
    settings = composed(["model=yolo", f"model.input.height={side}", f"model.input.width={side}"]).model
    with caplog.at_level("INFO"):
        trained_network(replace(settings, checkpoint="best.pt"), None, CPU, tmp_path)
    told = "best.pt was trained with pictures of 640 x 640 pixels, and gets 320 x 320 here: model.input.height=640 mod"
    assert (told in caplog.text) == is_told


def test_sizes_of_any_amount_take_no_memory(tmp_path: Path) -> None:
    """Channels are read off tensors: a network of them is made once all fit."""
    state = YOLOv5(num_classes=2, depth=0.33, width=0.05).state_dict()
    wide = torch.zeros(1 << 26, 1, 1, 1, dtype=torch.int8)
    torch.save(state | {"model.9.cv2.conv.weight": wide}, tmp_path / "wide.pt")
    settings = composed(["model=yolov5", "model.checkpoint=wide.pt"]).model
    with pytest.raises(CheckpointError, match=r"of another shape: 'model.0.conv.weight'"):
        trained_network(settings, ("a", "b"), CPU, tmp_path)


def test_what_is_fetched_is_known_by_its_hash() -> None:
    """Files of one name differ between releases: fetched are those of 7.0."""
    assert OFFICIAL_FILES["yolov5n"].sha256 == "4f180cf23ba0717ada0badd6c685026d73d48f184d00fc159c2641284b2ac0a3"
