"""Files say more than tensors: what a YOLOv5's or YOLOv6's modules say is obeyed, or refused with the difference."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pickled
import pytest
import torch
from pickled import changed, everywhere, says
from torch import nn
from torch.nn import functional

from lcrp.errors import CheckpointError
from lcrp.models.checkpoint import load_state, read_checkpoint
from lcrp.models.yolo.part import Part
from lcrp.models.yolov5 import YOLOv5
from lcrp.models.yolov6 import YOLOv6


def fresh() -> YOLOv5:
    network = YOLOv5(num_classes=2, depth=0.33, width=0.25)
    network.initialise(torch.Generator().manual_seed(0))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.01, 0.1, generator=torch.Generator().manual_seed(1))
    return network.eval().requires_grad_(False)


@pytest.fixture
def load(tmp_path: Path) -> Callable[[Part], tuple[YOLOv5, tuple[str, ...]]]:
    """Writes a file with the weights of `fresh` and other modules, and reads it."""

    def loaded(layers: Part) -> tuple[YOLOv5, tuple[str, ...]]:
        checkpoint = read_checkpoint(pickled.write(tmp_path / "own.pt", layers, fresh().state_dict()))
        network = YOLOv5(**YOLOv5.arguments_of(checkpoint.state))  # type: ignore[arg-type]
        return network.eval().requires_grad_(False), load_state(network, checkpoint)

    return loaded


def picture() -> torch.Tensor:
    return torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(2))


def logits(network: YOLOv5) -> torch.Tensor:
    output = network(picture())
    return torch.cat((output.class_logits, output.objectness_logits[..., None]), dim=-1)


def replaced(network: nn.Module, kind: type, make: Callable[[], nn.Module]) -> None:
    """The same by hand, of a network as published."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, kind):
                setattr(module, name, make())


def test_a_file_as_published_gives_the_same_bits(load: Callable) -> None:
    network, unusual = load(pickled.yolov5())
    assert unusual == ()
    assert torch.equal(logits(network), logits(fresh()))
    assert [name for name, _ in network.named_modules()] == [name for name, _ in fresh().named_modules()]


@pytest.mark.parametrize(
    ("kind", "settings", "make"),
    [
        ("ReLU", {"inplace": True}, nn.ReLU),
        ("LeakyReLU", {"negative_slope": 0.1, "inplace": True}, lambda: nn.LeakyReLU(0.1)),
        ("Hardswish", {}, nn.Hardswish),
        ("Identity", {}, nn.Identity),
    ],
)
def test_the_activation_is_the_files(load: Callable, kind: str, settings: dict, make: Callable) -> None:
    network, unusual = load(everywhere(pickled.yolov5(), "SiLU", lambda _: Part(kind=kind, settings=settings)))
    expected = fresh()
    replaced(expected, nn.SiLU, make)
    assert torch.equal(logits(network), logits(expected))
    assert (logits(network) - logits(fresh())).abs().max() > 1e-3
    assert unusual == (f"57 x {make()} in place of SiLU()",)


def test_one_activation_alone_is_the_files(load: Callable) -> None:
    network, unusual = load(changed(pickled.yolov5(), "9.cv1.act", lambda _: Part(kind="Identity")))
    assert isinstance(network.model[9].cv1.act, nn.Identity)
    assert unusual == ("Identity() in place of SiLU()",)


def test_epsilon_is_the_files(load: Callable) -> None:
    network, unusual = load(everywhere(pickled.yolov5(), "BatchNorm2d", says(eps=0.05)))
    expected = fresh()
    for module in expected.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 0.05
    assert torch.equal(logits(network), logits(expected))
    assert not torch.allclose(logits(network), logits(fresh()))
    assert unusual == ("57 x BatchNorm of eps 0.05 in place of 0.001",)


def test_residual_sums_are_the_files(load: Callable) -> None:
    layers = changed(pickled.yolov5(), "4.m.0", says(add=False))
    network, unusual = load(changed(layers, "13.m.0", says(add=True)))
    expected = fresh()
    expected.model[4].m[0].shortcut, expected.model[13].m[0].shortcut = False, True
    assert torch.equal(logits(network), logits(expected))
    assert not torch.allclose(logits(network), logits(fresh()))
    assert unusual == ("Bottleneck without a residual sum", "Bottleneck with a residual sum")


def test_resizing_is_the_files(load: Callable) -> None:
    bilinear = says(mode="bilinear", align_corners=True)
    network, unusual = load(everywhere(pickled.yolov5(), "Upsample", bilinear))
    expected = fresh()
    replaced(expected, nn.Upsample, lambda: nn.Upsample(scale_factor=2.0, mode="bilinear", align_corners=True))
    assert torch.equal(logits(network), logits(expected))
    assert unusual[0].startswith("2 x Upsample(scale_factor=2.0, mode='bilinear'")


def test_pools_are_the_files(load: Callable) -> None:
    network, unusual = load(changed(pickled.yolov5(), "9.m", says(kernel_size=3, padding=1)))
    pyramid, x = network.model[9], torch.rand(1, 256, 4, 6)
    maps = [pyramid.cv1(x)]
    for _ in range(3):
        maps.append(functional.max_pool2d(maps[-1], 3, 1, 1))
    assert torch.equal(pyramid(x), pyramid.cv2(torch.cat(maps, dim=1)))
    assert unusual == ("pools of 3x3 in place of 5x5",)


REFUSED = {
    "stride": (lambda part: changed(part, "1.conv", says(stride=(1, 1))), r"'model.1.conv' has stride \(1, 1\)"),
    "padding": (lambda part: changed(part, "0.conv", says(padding=3)), r"padding \(3, 3\) and not \(2, 2\)"),
    "groups": (lambda part: changed(part, "1.conv", says(groups=2)), "groups 2 and not 1"),
    "reflection": (lambda part: changed(part, "1.conv", says(padding_mode="reflect")), "padding_mode reflect"),
    "factor": (lambda part: changed(part, "11", says(scale_factor=4.0)), r"Upsample by 4.0 and not 2.0"),
    "mode": (lambda part: changed(part, "11", says(mode="lanczos")), "'mode' is 'lanczos'; known are nearest"),
    "pool": (lambda part: changed(part, "9.m", says(stride=2)), "does not keep the size"),
    "axis": (lambda part: changed(part, "12", says(d=2)), "joins along axis 2"),
    "source": (lambda part: changed(part, "12", says(f=(-1, 4))), r"layer 12 reads \(-1, 4\) and not \[11, 6\]"),
    "strides": (lambda part: changed(part, "24", says(stride=(4.0, 8.0, 16.0))), r"its strides are \(4.0, 8.0, 16.0\)"),
    "block": (lambda part: changed(part, "8", lambda one: replace(one, kind="C3TR")), "'model.8' is C3TR and not C3"),
    "activation": (
        lambda part: changed(part, "0.act", lambda _: Part(kind="PReLU")),
        "'model.0.act' is PReLU, and known are Identity, SiLU, ReLU,",
    ),
    "slope": (
        lambda part: changed(part, "0.act", lambda _: Part(kind="LeakyReLU", settings={"negative_slope": "x"})),
        "'model.0.act': LeakyReLU says 'negative_slope' is 'x', and no number",
    ),
    "epsilon": (lambda part: changed(part, "0.bn", says(eps=float("nan"))), "'eps' is nan, and no number of this kind"),
    "sum": (lambda part: changed(part, "2.m.0", says(add="yes")), r"'add' is 'yes', and neither true nor false"),
    "extra": (
        lambda part: changed(part, "8", lambda one: replace(one, parts={**one.parts, "se": Part(kind="ReLU")})),
        r"'model.8' has a part 'se' \(ReLU\)",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_obeyed_is_refused_with_the_difference(load: Callable, case: str) -> None:
    change, message = REFUSED[case]
    with pytest.raises(CheckpointError, match=message) as told:
        load(change(pickled.yolov5()))
    assert "own.pt': the file's network is not the one that its weights are published with: " in str(told.value)
    assert "\n" not in str(told.value)
    assert told.value.mend == "Only networks of the published layout are built: docs/how-to/own_network.md"


def test_a_network_is_not_touched_by_what_is_refused(tmp_path: Path) -> None:
    layers = changed(everywhere(pickled.yolov5(), "BatchNorm2d", says(eps=0.5)), "12", says(d=2))
    network = YOLOv5(num_classes=2, depth=0.33, width=0.25)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    checkpoint = read_checkpoint(pickled.write(tmp_path / "own.pt", layers, fresh().state_dict()))
    with pytest.raises(CheckpointError):
        load_state(network, checkpoint)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert {module.eps for module in network.modules() if isinstance(module, nn.BatchNorm2d)} == {0.001}


def test_a_yolov6_is_obeyed(tmp_path: Path) -> None:
    network = YOLOv6(num_classes=2, depth=0.33, width=0.125)
    network.initialise(torch.Generator().manual_seed(0))
    network.eval().requires_grad_(False)

    def loaded(part: Part) -> tuple[YOLOv6, tuple[str, ...]]:
        path = pickled.write(tmp_path / "own.pt", part, network.state_dict(), package="yolov6")
        checkpoint = read_checkpoint(path)
        found = YOLOv6(**YOLOv6.arguments_of(checkpoint.state))  # type: ignore[arg-type]
        return found.eval().requires_grad_(False), load_state(found, checkpoint)

    part = pickled.yolov6(network)
    same, unusual = loaded(part)
    assert unusual == ()
    assert torch.equal(same(picture()).class_logits, network(picture()).class_logits)
    other, unusual = loaded(everywhere(part, "ReLU", lambda _: Part(kind="Hardswish")))
    assert unusual[0].endswith("x Hardswish() in place of ReLU()")
    replaced(network, nn.ReLU, nn.Hardswish)
    assert torch.equal(other(picture()).class_logits, network(picture()).class_logits)
    with pytest.raises(CheckpointError, match=r"'backbone.stem' is QARepVGGBlock and not RepVGGBlock"):
        loaded(changed(part, "backbone.stem", lambda one: replace(one, kind="QARepVGGBlock")))


@pytest.mark.parametrize("file", ["yolov5n_face.pt", "yolov5n_helmet_vest.pt", "yolov5n_v6.0_coco.pt"])
def test_files_of_trainers_are_as_published(shared: Path, file: str) -> None:
    checkpoint = read_checkpoint(shared / "checkpoints" / file)
    assert load_state(YOLOv5(**YOLOv5.arguments_of(checkpoint.state)), checkpoint) == ()  # type: ignore[arg-type]
