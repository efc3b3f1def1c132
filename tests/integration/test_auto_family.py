"""model=auto is the named family: same files, same bits, same places; only what is written differs."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from test_printed_commands import printed

from conftest import Outcome
from lcrp.models.checkpoint import save_checkpoint
from lcrp.models.unet import UNet
from lcrp.models.yolov5 import YOLOv5

CommandLine = Callable[..., Outcome]

NAMES = ("boat", "car", "kite", "horse", "rider", "bird")
FEW = ("statistics.targets=predicted", "statistics.num_samples=2", "model.confidence=0.0000001")
LAYER = ("model.layer=model.2.cv3.conv", "statistics.layers=[model.2.cv3.conv]")
GIVEN = (*FEW, *LAYER, "model.max_detections=1", "model.input.height=64", "model.input.width=64")
SHOW = ("stage=render", "stage.samples=[0]", "stage.n_references=1", "stage.n_concepts=1")


@pytest.fixture
def best(tmp_path: Path) -> str:
    """A YOLOv5 of a person's own."""
    save_checkpoint(tmp_path / "best.pt", YOLOv5(num_classes=6, depth=0.33, width=0.0625), class_names=NAMES)
    return "model.checkpoint=best.pt"


def files(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*.h5")}


def folders_of(runs: Path) -> list[str]:
    """Names of runs without their times."""
    return sorted(one.name.split("_", 2)[2] for one in runs.iterdir())


def test_same_statistics_at_the_same_place(lcrp: CommandLine, best: str, tmp_path: Path) -> None:
    assert lcrp("stage=glocal", "model=auto", best, *GIVEN).code == 0
    outputs = tmp_path / "outputs"
    told = files(outputs)
    (run,) = (outputs / "runs").iterdir()
    recorded = json.loads((run / "provenance.json").read_text())["command"]["overrides"]
    assert recorded == ["stage=glocal", "model=yolov5", best, *GIVEN]
    assert yaml.safe_load((run / ".hydra" / "overrides.yaml").read_text()) == recorded
    assert yaml.safe_load((run / ".hydra" / "config.yaml").read_text())["model"]["name"] == "yolov5"
    line = "best.pt is YOLOv5, 6 classes (boat, car, kite, ...), from its 25 layers and the anchors of its head"
    assert f"{line}: model=yolov5" in (run / "lcrp.log").read_text()
    names = folders_of(outputs / "runs")
    shutil.move(outputs, tmp_path / "auto")
    assert lcrp("stage=glocal", "model=yolov5", best, *GIVEN).code == 0
    assert told
    assert files(outputs) == told
    assert folders_of(outputs / "runs") == names == ["glocal_yolov5_scenes"]


def test_statistics_of_the_family_are_found_and_the_command_that_makes_them_runs(lcrp: CommandLine, best: str) -> None:
    arguments = printed(lcrp(*SHOW, "model=auto", best, *GIVEN), "Make them: ")
    assert arguments == ["stage=glocal", "model=yolov5", best, *GIVEN]
    assert lcrp(*arguments).code == 0
    shown = lcrp(*SHOW, "model=auto", best, *GIVEN)
    assert shown.code == 0, shown.err
    assert "_render_yolov5_scenes/" in shown.out[-1]


@pytest.mark.usefixtures("best")
def test_each_job_of_a_sweep_has_its_own_family(lcrp: CommandLine, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "unet.pt", UNet(num_classes=7, width=0.0625), class_names=("background", *NAMES))
    torch.save({"weight": torch.zeros(3)}, tmp_path / "odd.pt")
    given = ("model.checkpoint=best.pt,odd.pt,unet.pt", "statistics.num_samples=1", "statistics.targets=predicted")
    swept = lcrp("-m", "stage=glocal", "model=auto", *given, "statistics.layers=[model.2.cv3.conv,encoder.features.2]")
    (folder,) = (tmp_path / "multirun").iterdir()
    names = sorted(one.name for one in folder.iterdir() if one.is_dir())
    assert names == ["0_glocal_yolov5_scenes", "1_glocal_auto_scenes", "2_glocal_unet_scenes"]
    for number, family in ((0, "yolov5"), (2, "unet")):
        log = (folder / f"{number}_glocal_{family}_scenes" / "lcrp.log").read_text()
        assert f"model={family}" in log
    assert any(
        "'odd.pt' is of a network that lcrp does not know" in line.replace(f"{tmp_path}/", "") for line in swept.out
    )


@pytest.mark.usefixtures("best")
def test_an_experiment_may_choose_it(lcrp: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "own" / "experiment").mkdir(parents=True)
    (tmp_path / "own" / "experiment" / "mine.yaml").write_text(
        "# @package _global_\ndefaults: [override /model: auto]\nmodel: {checkpoint: best.pt}\n"
    )
    made = lcrp("--config-dir", "own", "+experiment=mine", *GIVEN)
    assert made.code == 0, made.err
    assert folders_of(tmp_path / "outputs" / "runs") == ["glocal_yolov5_scenes"]


def test_settings_are_shown_as_they_will_be(lcrp: CommandLine, best: str) -> None:
    shown = lcrp("--cfg", "job", "-p", "model", "model=auto", best, "model.input.height=320")
    assert shown.code == 0
    assert {"name: yolov5", "  height: 320", "  width: 256"} <= set(shown.out)  # of the embedded pictures
    assert "name: ${family:${model.checkpoint}}" in lcrp("--cfg", "job", "-p", "model", "model=auto").out
    page = lcrp("--help", "model=auto").out
    assert page[0] == "model=auto"


def test_a_setting_that_the_family_does_not_have_is_refused(lcrp: CommandLine, best: str) -> None:
    refused = lcrp("model=auto", best, "model.network.encoder=resnet34")
    assert refused.code == 1
    assert refused.err[-1].startswith("lcrp: error: ")
    assert "'model.network.encoder' is not set yet" in refused.err[-1]


@pytest.mark.parametrize("checkpoint", [None, "random", "official"])
def test_without_a_file_there_is_nothing_to_tell_it_by(lcrp: CommandLine, checkpoint: str | None) -> None:
    given = [] if checkpoint is None else [f"model.checkpoint={checkpoint}"]
    refused = lcrp("stage=render", "model=auto", *given)
    assert (refused.code, len(refused.err)) == (1, 1)
    assert "model=auto tells the network by its checkpoint" in refused.err[0]
    assert "give the path of a file or folder, official:NAME or embedded:NAME" in refused.err[0]


def test_an_ssd_of_another_size_gets_its_input(lcrp: CommandLine) -> None:
    shown = lcrp("--cfg", "job", "-p", "model.input", "model=auto", "model.checkpoint=official:ssd300")
    assert {"height: 300", "width: 300"} <= set(shown.out)
    own = lcrp(
        "--cfg", "job", "-p", "model.input", "model=auto", "model.checkpoint=official:ssd300", "model.input.height=64"
    )
    assert {"height: 64", "width: 300"} <= set(own.out)  # what a person sets counts


def test_another_family_is_told_with_the_command_that_runs(lcrp: CommandLine, best: str) -> None:
    """Settings of networks that the right family does not have are left out of it."""
    refused = lcrp("stage=glocal", "model=unet", "model.network.width=0.5", best, "model.min_area=4", "device=cpu")
    (line,) = refused.err
    assert "'best.pt' is YOLOv5, 6 classes (boat, car, kite, ...), from its 25 layers" in line
    assert "it does not fit 'unet'" in line
    assert printed(refused, "Write: ") == ["stage=glocal", "model=yolov5", best, "device=cpu"]
    arguments = printed(lcrp("stage=glocal", "model=ssd", best, *GIVEN), "Write: ")
    assert arguments == ["stage=glocal", "model=yolov5", best, *GIVEN]
    assert lcrp(*arguments).code == 0


def test_without_a_family_the_default_one_tells_it(lcrp: CommandLine, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "unet.pt", UNet(num_classes=7, width=0.0625), class_names=("background", *NAMES))
    few = ("statistics.num_samples=1", "statistics.targets=predicted", "statistics.layers=[encoder.features.2]")
    given = ("model.checkpoint=unet.pt", *few)
    arguments = printed(lcrp(*given), "Write: ")
    assert arguments == ["model=unet", *given]
    assert lcrp(*arguments).code == 0


def test_other_formats_and_networks_are_told_whatever_the_family(lcrp: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "best.onnx").write_bytes(b"\x08\x08\x12\x07pytorch")
    torch.save({"weight": torch.zeros(3)}, tmp_path / "odd.pt")
    for family in ("yolov5", "yolo", "unet", "auto"):
        assert "'best.onnx' is ONNX: " in lcrp(f"model={family}", "model.checkpoint=best.onnx").err[-1]
        unknown = lcrp(f"model={family}", "model.checkpoint=odd.pt").err[-1]
        assert "'odd.pt' is of a network that lcrp does not know (its first keys are 'weight')" in unknown


def test_a_network_of_a_persons_own_keeps_its_own_words(
    lcrp: CommandLine, best: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file may look like one that is known."""
    (tmp_path / "own" / "model").mkdir(parents=True)
    (tmp_path / "own" / "model" / "mine.yaml").write_text(
        "defaults: [unet, _self_]\nname: mine\nnetwork: {_target_: mine_of_auto.Mine, width: null}\n"
    )
    (tmp_path / "mine_of_auto.py").write_text(
        "from torch import nn\n\n\ndef Mine(width: None) -> nn.Module:\n    return nn.Conv2d(3, 7, 1)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    refused = lcrp("--config-dir", "own", "model=mine", best)
    assert "does not fit Conv2d; missing: 'weight', 'bias'" in refused.err[-1]
