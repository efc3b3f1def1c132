"""What is built from the settings."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lcrp.config.build import build_subject, find_device, num_workers
from lcrp.config.compose import composed
from lcrp.errors import ConfigError


def machine(monkeypatch: pytest.MonkeyPatch, *, cuda: int = 0, mps: bool = False) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "found"), [(2, False, "cuda"), (1, True, "cuda"), (0, True, "mps"), (0, False, "cpu")]
)
def test_auto_takes_the_best_device_there_is(monkeypatch: pytest.MonkeyPatch, cuda: int, mps: bool, found: str) -> None:
    machine(monkeypatch, cuda=cuda, mps=mps)
    assert str(find_device("auto")) == found
    config = composed(["device=auto"])
    assert num_workers(config) == (0 if found == "cpu" else 4)


def test_devices_that_are_not_there_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, cuda=1)
    assert find_device("cuda:0") == torch.device("cuda:0")
    with pytest.raises(ConfigError, match=r"^device='cuda:1' is not on this machine: 1 CUDA devices are there"):
        find_device("cuda:1")
    with pytest.raises(ConfigError, match=r"^device='mps' is not on this machine"):
        find_device("mps")


def test_neither_device_nor_command_nor_workers_are_part_of_the_identity() -> None:
    config = composed(["model=unet", "model.checkpoint=random", "model.network.width=0.05"])
    subject = build_subject(config, torch.device("cpu"), Path.cwd(), "lcrp stage=glocal")
    assert subject.command == "lcrp stage=glocal"
    other = build_subject(replace(config, device="auto", workers=3), torch.device("cpu"), Path.cwd())
    assert other.identity == subject.identity
    assert (other.command, other.num_workers) == ("", 3)
    assert "cpu" not in str(subject.identity)
