"""What has no rule on the way of the first decision is said in one line, once in a run, by whatever stage."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import noise_world
import pytest
import torch
from noise_world import Noise
from torch import nn

import lcrp
from lcrp.decisions.subject import Subject
from lcrp.runs.run import Run
from lcrp.stages.glocal.glocal import GlocalSettings, glocal

GRADIENT = "operations without a rule passed as gradient: "


class Swish(torch.autograd.Function):
    """Somebody's own activation."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx: Any, upper: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        gate = torch.sigmoid(x)
        return upper * (gate + x * gate * (1 - gate))


class Unruly(nn.Module):
    """A function of its own, a detach and a Fourier transform lie on the way."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = Swish.apply(self.first(x))
        y = y + 0.1 * y.detach()
        return self.last(y + torch.fft.irfft2(torch.fft.rfft2(y), s=y.shape[-2:]))


def told(caplog: pytest.LogCaptureFixture) -> Iterator[str]:
    """Warnings about operations."""
    return (record.getMessage() for record in caplog.records if GRADIENT in record.getMessage())


@pytest.fixture
def explainer() -> lcrp.Explainer:
    loaded = lcrp.load(Unruly(), task="segmentation", class_names=noise_world.CLASS_NAMES, input=(8, 8, "none"))
    return replace(loaded, unaccounted="accept")


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(line: str) -> None:
    assert "Swish (1)" in line
    assert "FftR2C (1)" in line
    assert "FftC2R (1)" in line
    assert "relevance is cut in the network" in line
    assert "detach (1)" in line


def test_explaining_many_pictures_says_it_once(explainer: lcrp.Explainer, caplog: pytest.LogCaptureFixture) -> None:
    for seed in range(3):
        assert lcrp.explain(explainer, torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(seed)))
    (line,) = told(caplog)
    check(line)


def test_another_network_of_the_same_process_says_it_too(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        loaded = lcrp.load(Unruly(), task="segmentation", class_names=noise_world.CLASS_NAMES, input=(8, 8, "none"))
        lcrp.explain(replace(loaded, unaccounted="accept"), torch.rand(3, 8, 8))
    assert len(list(told(caplog))) == 2


@pytest.mark.parametrize("stage", ["statistics", "evaluate", "context"])
def test_every_way_to_ask_says_it_once(explainer: lcrp.Explainer, stage: str, caplog: pytest.LogCaptureFixture) -> None:
    pictures = [torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(seed)) for seed in range(6)]
    if stage == "statistics":
        lcrp.statistics(explainer, pictures, layers="first")
    elif stage == "evaluate":
        lcrp.evaluate(
            explainer, pictures, methods=["epsilon_plus_flat", "random"], num_targets=2, num_steps=3, checks=True
        )
    else:
        lcrp.context(explainer, pictures, n_concepts=2, n_references=1, num_samples_per_class=1, layers="first")
    (line,) = told(caplog)
    check(line)


def test_a_pass_over_a_dataset_says_it_once(
    explainer: lcrp.Explainer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    subject: Subject = replace(noise_world.subject(Noise(length=25)), explainer=explainer)
    (tmp_path / "run").mkdir()
    caplog.set_level(logging.INFO)
    glocal(subject, noise_world.STATISTICS, GlocalSettings(), Run(folder=tmp_path / "run", output_root=tmp_path))
    (line,) = told(caplog)
    check(line)


def test_what_is_missing_is_an_error_that_names_them() -> None:
    loaded = lcrp.load(Unruly(), task="segmentation", class_names=noise_world.CLASS_NAMES, input=(8, 8, "none"))
    with pytest.raises(lcrp.LcrpError, match=r"of the relevance is unaccounted for.*Swish \(1\).*detach \(1\)"):
        lcrp.explain(loaded, torch.rand(3, 8, 8))
