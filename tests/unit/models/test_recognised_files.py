"""Files are taken for what they are: the family, its name as a person calls it, and the sign."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pickled
import pytest
import torch
import torchvision
from torch import Tensor, nn

from lcrp.errors import CheckpointError
from lcrp.models.auto.smp_encoders import ENCODERS
from lcrp.models.auto.table import recognised
from lcrp.models.checkpoint import WEIGHTS_FOLDER, save_checkpoint
from lcrp.models.ssd import SSD
from lcrp.models.unet import UNet
from lcrp.models.yolo.family import yolo
from lcrp.models.yolo.tables import VERSIONS
from lcrp.models.yolov5 import YOLOv5
from lcrp.models.yolov6 import YOLOv6

smp = pytest.importorskip("segmentation_models_pytorch")
State = Mapping[str, Tensor]


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[State], Path]:
    """Write a state dict."""

    def save(state: State) -> Path:
        torch.save(dict(state), tmp_path / "best.pt")
        return tmp_path / "best.pt"

    return save


@pytest.mark.parametrize(
    ("network", "family", "what"),
    [
        (YOLOv5(num_classes=2, depth=0.33, width=0.25), "yolov5", "YOLOv5n, 2 classes"),
        (YOLOv5(num_classes=1, depth=0.33, width=0.125), "yolov5", "YOLOv5, 1 class"),
        (YOLOv6(num_classes=3, depth=0.33, width=0.25), "yolov6", "YOLOv6n 0.1.0, 3 classes"),
        (SSD(num_classes=4, size=300, width=0.125), "ssd", "SSD300 on a VGG-16, 4 classes"),
        (UNet(num_classes=5, width=0.125), "unet", "a UNet with a VGG13 encoder, 5 classes"),
    ],
)
def test_networks_of_our_own(network: nn.Module, family: str, what: str, saved: Callable[[State], Path]) -> None:
    known = recognised(saved(network.state_dict()))
    assert (known.family, known.what) == (family, what)
    assert ("model.input.height" in known.settings) == (family == "ssd")  # made for 300 pixels


@pytest.mark.parametrize("file", sorted(WEIGHTS_FOLDER.glob("*.pt")), ids=lambda file: file.stem)
def test_all_that_come_with_it(file: Path) -> None:
    known = recognised(file)
    assert known.family == file.stem.partition("_")[0]
    assert "classes (" in known.what


@pytest.mark.parametrize("version", VERSIONS)
def test_state_dicts_of_ultralytics(version: str, saved: Callable[[State], Path]) -> None:
    known = recognised(saved(yolo(num_classes=3, version=version, scale="n").state_dict()))
    names = {"5u": "YOLOv5nu", "8": "YOLOv8n", "10": "YOLOv10n", "11": "YOLO11n", "12": "YOLO12n", "26": "YOLO26n"}
    assert (known.family, known.what) == ("yolo", f"{names[version]}, 3 classes")
    assert known.sign.endswith("layers with weights")


@pytest.mark.parametrize("scale", "nsmlx")
def test_scales_are_told_apart(scale: str, saved: Callable[[State], Path]) -> None:
    with torch.device("meta"):
        network = yolo(num_classes=3, version="11", scale=scale)
    assert recognised(saved(as_zeros(network))).what == f"YOLO11{scale}, 3 classes"


def test_segmenters_of_ultralytics(saved: Callable[[State], Path]) -> None:
    masks = recognised(saved(yolo(num_classes=3, version="8", task="segment").state_dict()))
    assert (masks.what, masks.settings) == ("YOLOv8n-seg, 3 classes", {})
    pixels = recognised(saved(yolo(num_classes=3, version="26", task="semantic").state_dict()))
    assert (pixels.what, pixels.settings) == ("YOLO26n-sem, 3 classes", {"model.network.task": "semantic"})


def test_files_of_training_scripts(tmp_path: Path) -> None:
    network = YOLOv5(num_classes=2, depth=0.33, width=0.25)
    known = recognised(pickled.write(tmp_path / "best.pt", pickled.yolov5(), network.state_dict()))
    assert known.what == "YOLOv5n, 2 classes (a, b)"
    part = pickled.yolov5(2)
    as_ultralytics = pickled.write(tmp_path / "own.pt", part, network.state_dict(), package="ultralytics")
    assert recognised(as_ultralytics).sign == "its class ultralytics.DetectionModel"


@pytest.mark.parametrize(("written", "side"), [(640, None), (1280, 1280), (650, 672), ("big", None), (10**9, None)])
def test_the_size_of_training_is_that_of_the_input(tmp_path: Path, written: object, side: int | None) -> None:
    """The library predicts with it, too."""
    part, network = pickled.yolov5(), YOLOv5(num_classes=2, depth=0.33, width=0.25)
    path = pickled.write(
        tmp_path / "own.pt", part, network.state_dict(), package="ultralytics", args={"imgsz": written}
    )
    expected = {} if side is None else {"model.input.height": str(side), "model.input.width": str(side)}
    assert recognised(path).settings == expected


@pytest.mark.parametrize("kind", ["PoseModel", "OBBModel", "ClassificationModel", "RTDETRDetectionModel"])
def test_other_tasks_of_ultralytics_are_named(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = pickled.home
    monkeypatch.setattr(
        pickled, "home", lambda one, package: "ultralytics.nn.tasks" if one == kind else home(one, package)
    )
    part, network = pickled.yolov5(), YOLOv5(num_classes=2, depth=0.33, width=0.25)
    root = pickled.Part(kind=kind, parts={"model": part})
    monkeypatch.setattr(pickled, "Part", lambda **_: root)
    path = pickled.write(tmp_path / "best.pt", part, network.state_dict(), package="ultralytics")
    with pytest.raises(CheckpointError, match=rf"written by ultralytics as a {kind}, which .*detect, segment and sem"):
        recognised(path)


def test_key_points_are_told_by_their_branch(saved: Callable[[State], Path]) -> None:
    """Their state dicts hold all of a detector."""
    state = yolo(num_classes=1, version="8").state_dict()
    path = saved({**state, "model.22.cv4.0.0.conv.weight": torch.zeros(51, 64, 3, 3)})
    with pytest.raises(CheckpointError, match="of ultralytics, which finds key points or rotated boxes; lcrp explains"):
        recognised(path)


def as_zeros(network: nn.Module) -> State:
    """The state of a network without memory, written in few bytes."""
    return {key: torch.zeros((), dtype=value.dtype).expand(value.shape) for key, value in network.state_dict().items()}


def torchvision_state(name: str, num_classes: int) -> State:
    with torch.device("meta"):
        network = torchvision.models.get_model(name, weights=None, weights_backbone=None, num_classes=num_classes)
    return as_zeros(network)


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("fasterrcnn_resnet50_fpn", "6 classes"),
        ("maskrcnn_resnet50_fpn_v2", "6 classes"),
        ("retinanet_resnet50_fpn", "6 classes"),
        ("fcos_resnet50_fpn", "6 classes"),
        ("ssd300_vgg16", "6 classes"),
        ("ssdlite320_mobilenet_v3_large", "6 classes"),
        ("deeplabv3_mobilenet_v3_large", "7 classes"),
        ("fcn_resnet50", "7 classes"),
        ("lraspp_mobilenet_v3_large", "7 classes"),
    ],
)
def test_builders_of_torchvision(name: str, classes: str, saved: Callable[[State], Path]) -> None:
    known = recognised(saved(torchvision_state(name, 7)))
    assert (known.family, known.what) == ("torchvision", f"torchvision's {name}, {classes}")
    assert known.settings == {"model.network.name": name}


def test_builders_with_the_same_layers_are_asked_for(saved: Callable[[State], Path]) -> None:
    known = recognised(saved(torchvision_state("fasterrcnn_mobilenet_v3_large_fpn", 7)))
    assert known.settings == {}
    (what,) = known.untold.values()
    assert what == "'fasterrcnn_mobilenet_v3_large_320_fpn', 'fasterrcnn_mobilenet_v3_large_fpn' have the same"


def test_another_backbone_is_no_builders(saved: Callable[[State], Path]) -> None:
    state = {
        key: value for key, value in torchvision_state("fasterrcnn_resnet50_fpn", 7).items() if "layer4" not in key
    }
    with pytest.raises(CheckpointError, match="looks like a detector of torchvision on another backbone"):
        recognised(saved(state))


def smp_state(architecture: str, encoder: str, **options: object) -> State:
    with torch.device("meta"):
        network = smp.create_model(architecture, encoder_name=encoder, encoder_weights=None, classes=3, **options)
    return as_zeros(network)


@pytest.mark.parametrize(
    "architecture",
    ["unet", "unetplusplus", "manet", "linknet", "fpn", "pspnet", "pan", "deeplabv3", "deeplabv3plus", "upernet"],
)
def test_state_dicts_of_smp(architecture: str, saved: Callable[[State], Path]) -> None:
    known = recognised(saved(smp_state(architecture, "resnet18")))
    assert known.what == f"segmentation_models_pytorch's {architecture} on resnet18, 3 classes"
    assert known.settings == {"model.network.architecture": architecture, "model.network.encoder": "resnet18"}
    assert not known.untold


def test_encoders_that_read_values_while_they_are_built(saved: Callable[[State], Path]) -> None:
    network = smp.create_model("segformer", encoder_name="mit_b0", encoder_weights=None, classes=2)
    known = recognised(saved(as_zeros(network)))
    assert known.settings == {"model.network.architecture": "segformer", "model.network.encoder": "mit_b0"}


def test_prefixes_of_lightning_do_not_matter(saved: Callable[[State], Path]) -> None:
    state = {f"model.{key}": value for key, value in smp_state("fpn", "resnet18").items()}
    assert recognised(saved(state)).settings["model.network.architecture"] == "fpn"


def test_what_a_state_dict_of_smp_does_not_tell_is_asked_for(saved: Callable[[State], Path]) -> None:
    changed = recognised(saved(smp_state("unet", "resnet18", decoder_channels=(128, 64, 32, 16, 8))))
    assert list(changed.untold) == ["model.network.options"]
    foreign = recognised(saved(smp_state("unet", "tu-resnet10t")))
    assert list(foreign.untold) == ["model.network.encoder"]
    assert "tu-NAME of timm's" in foreign.untold["model.network.encoder"]


def test_folders_of_smp(tmp_path: Path) -> None:
    smp.Unet("resnet18", encoder_weights=None, classes=4).save_pretrained(tmp_path / "folder")
    known = recognised(tmp_path / "folder")
    assert (known.family, known.settings) == ("smp", {})
    assert known.what == "segmentation_models_pytorch's Unet on resnet18, 4 classes"
    assert known.sign == "its config.json"
    alone = recognised(tmp_path / "folder" / "model.safetensors")
    assert alone.settings == {"model.network.architecture": "unet", "model.network.encoder": "resnet18"}


@pytest.mark.filterwarnings("ignore:.timm-. encoders")
def test_the_table_of_encoders_is_the_librarys() -> None:
    listed = {name for names in ENCODERS.values() for name in names}
    assert listed <= set(smp.encoders.get_encoder_names())
    on_meta = [(counts, names) for counts, names in ENCODERS.items() if not names[0].startswith("mit_")]
    for (num_tensors, num_values), names in on_meta[::10]:
        with torch.device("meta"):
            state = smp.encoders.get_encoder(names[0], weights=None).state_dict()
        own = [value for key, value in state.items() if not key.endswith("num_batches_tracked")]
        assert (len(own), sum(value.numel() for value in own)) == (num_tensors, num_values), names


def test_a_file_that_is_written_anew_is_told_anew(tmp_path: Path) -> None:
    from lcrp.config.auto import known_checkpoint

    path = tmp_path / "best.pt"
    save_checkpoint(path, YOLOv5(num_classes=1, depth=0.33, width=0.0625), class_names=["a"])
    assert known_checkpoint("best.pt", tmp_path).family == "yolov5"
    save_checkpoint(path, UNet(num_classes=1, width=0.0625), class_names=["a"])
    assert known_checkpoint("best.pt", tmp_path).family == "unet"
