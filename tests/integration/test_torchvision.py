"""Statistics and figures of unmodified networks of torchvision, by the command line."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torchvisions import SMALL, torchvision_network

pytestmark = pytest.mark.slow

SIDE = ("model.input.height=96", "model.input.width=96", "statistics.num_samples=2", "statistics.targets=predicted")
NAMES = "model.class_names=[one,two,three,four]"


def lcrp(folder: Path, *overrides: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "lcrp", *overrides], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["fasterrcnn_resnet50_fpn", "deeplabv3_mobilenet_v3_large"])
def test_statistics_and_figures_are_made(tmp_path: Path, name: str) -> None:
    is_detector = name.startswith("fasterrcnn")
    network = torchvision_network(name, **SMALL if is_detector else {})
    torch.save(network.state_dict(), tmp_path / "own.pt")
    own = [f"model.network.{key}={value}" for key, value in SMALL.items()]
    own += ["model.confidence=0", "model.max_detections=2"]
    given = ["model=torchvision", f"model.network.name={name}", "model.checkpoint=own.pt", NAMES, *SIDE]
    given += own if is_detector else []
    assert lcrp(tmp_path, *given).strip().endswith(".h5")
    assert lcrp(tmp_path, *given, "stage=render", "stage.samples=[0]").strip().endswith(".png")
