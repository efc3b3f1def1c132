"""benchmarks/gpu.py runs, also without a GPU, and says what it measured."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


def run(tmp_path: Path, *arguments: str) -> tuple[dict, list[str]]:
    """What the benchmark wrote: its JSON, and the rows of its table."""
    output = tmp_path / "gpu.json"
    command = [sys.executable, str(PROJECT / "benchmarks" / "gpu.py"), "--device", "cpu", "--output", str(output)]
    environment = os.environ | {"PYTHONPATH": str(PROJECT / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, *arguments], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    text = output.with_suffix(".md").read_text(encoding="utf-8")
    assert done.stdout.endswith(text + "\n")
    return json.loads(output.read_text(encoding="utf-8")), [line for line in text.splitlines() if line.startswith("|")]


def check(report: dict, rows: list[str], names: list[str]) -> None:
    assert [row["model"] for row in report["rows"]] == names
    assert [line.split(" | ")[0] for line in rows] == [f"| {name}" for name in names]
    for row in report["rows"]:
        batches = row["glocal"]["batches"]
        assert [one["batch"] for one in batches] == [2]
        assert batches[0]["plain seconds"] > 0
        assert all(one["images per second"] > 0 for one in batches)
        assert all(one["targets per image"] == 3 for one in batches)
        assert row["render"]["seconds"] > 0
        assert row["render"]["references"] == 3
    assert report["machine"]["device"] == "cpu"
    assert {"torch", "lcrp"} <= set(report["machine"])


def test_a_network_is_measured(tmp_path):
    report, (_, _, *rows) = run(tmp_path, "--quick", "--models", "unet")
    check(report, rows, ["unet"])


@pytest.mark.slow
def test_every_network_is_measured(tmp_path):
    report, (_, _, *rows) = run(tmp_path, "--quick")
    check(report, rows, ["yolov5m", "yolov6s", "yolo11n", "ssd512", "unet", "deeplabv3plus"])


@pytest.mark.slow
def test_what_there_is_no_time_for_is_said(tmp_path):
    report, (_, _, row) = run(tmp_path, "--quick", "--models", "unet", "--minutes", "0.1")
    assert report["rows"][0]["glocal"] == report["rows"][0]["render"] == {"ended": "no time was left"}
    assert row == "| unet | 64x128 | float32 |  |  |  |  | no time was left | no time was left |  |"
