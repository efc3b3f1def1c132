"""What the program tells a person to run does run, as printed."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from conftest import TINY, Outcome
from lcrp.config.jobs import Job

CommandLine = Callable[..., Outcome]


def printed(outcome: Outcome, words: str) -> list[str]:
    """The arguments of the command that an error ends with."""
    (line,) = outcome.err
    assert outcome.code == 1
    program, *arguments = shlex.split(line.partition(words)[2])
    assert program == "lcrp"
    return arguments


AFTER = {  # commands that need statistics
    "render": ("stage=render", "stage.samples=[0]", "stage.n_references=1"),
    "export": ("stage=export", "stage.folder=crp"),
}


@pytest.mark.parametrize("stage", AFTER)
def test_missing_statistics_are_made_by_the_command_that_is_printed(lcrp: CommandLine, stage: str) -> None:
    """With weights and settings of a person's own, which a command of names alone would leave out."""
    given = (*TINY, "composite=gradient", "dataset.context_bias=0.5")
    arguments = printed(lcrp(*AFTER[stage], *given), "Make them: ")
    assert arguments == ["stage=glocal", *given]
    assert lcrp(*arguments).code == 0
    assert lcrp(*AFTER[stage], *given).code == 0


def test_a_persons_own_folder_is_part_of_it(lcrp: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "my conf" / "model").mkdir(parents=True)
    (tmp_path / "my conf" / "model" / "own.yaml").write_text("defaults: [yolov5, _self_]\nname: own\n")
    given = ("model=own", *TINY[1:])
    arguments = printed(lcrp("--config-dir", "my conf", "stage=render", *given), "Make them: ")
    assert arguments == ["--config-dir", "my conf", "stage=glocal", *given]
    assert lcrp(*arguments).code == 0


def test_stale_statistics_say_how_to_show_other_decisions_and_that_runs(lcrp: CommandLine) -> None:
    """model.confidence belongs to the statistics, stage.confidence to the picture at hand."""
    assert lcrp(*TINY).code == 0
    render = ("stage=render", *TINY, "stage.samples=[0]", "stage.n_references=1")
    stale = lcrp(*render, "model.confidence=0.00000001")
    assert "model.task.confidence is 1e-07 there and 1e-08 here" in stale.err[0]
    assert "To show other decisions with them, write stage.confidence=..., not model.confidence." in stale.err[0]
    assert lcrp(*printed(stale, "Make them anew: ")).code == 0
    assert lcrp(*render, "stage.confidence=0.00000001", "stage.max_detections=9", "stage.max_targets=2").code == 0


def test_nothing_found_says_which_threshold_to_write_once(lcrp: CommandLine, tmp_path: Path) -> None:
    render = ("stage=render", *TINY, "stage.samples=[0]", "stage.n_references=0")
    refused = lcrp(*render, "stage.confidence=1")
    assert (refused.code, len(refused.err)) == (1, 1)
    told = re.search(
        r"predicts nothing above 1; the best score there is: '\w+' (\S+)\. Write (stage.confidence=\S+) ",
        refused.err[0],
    )
    assert told is not None
    assert 0 < float(told[1]) < 1
    assert not any("nothing to explain" in line for line in refused.out)
    (folder,) = (tmp_path / "outputs" / "runs").iterdir()
    assert "WARNING" not in (folder / "lcrp.log").read_text()
    assert lcrp(*render, told[2]).code == 0, "what is printed takes that decision"


def test_shards_that_are_missing_are_made_by_the_command_that_is_printed(lcrp: CommandLine) -> None:
    arguments = printed(lcrp("stage=merge", *TINY, "statistics.batch_size=1"), " and another: ")
    assert lcrp(*arguments).code == 0
    assert lcrp("stage=merge", *TINY, "statistics.batch_size=1").code == 0


@pytest.mark.parametrize("words", [["render", "model.checkpoint=random"], ["stage=rendr"], ["downlod", "scenes"]])
def test_what_is_meant_is_a_command_that_is_understood(lcrp: CommandLine, words: list[str]) -> None:
    arguments = printed(lcrp(*words), "; did you mean: ")
    assert lcrp(*arguments, "--cfg", "job").code == 0


def test_a_run_that_names_foreign_code_is_verified_by_the_command_that_is_printed(
    lcrp: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_net.py").write_text("from lcrp.models.yolov5 import YOLOv5\n\n\nclass Net(YOLOv5):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert lcrp(*TINY, "model.network._target_=my_net.Net").code == 0
    (run,) = (tmp_path / "outputs" / "runs").iterdir()
    place = f"run={run.relative_to(tmp_path)}"
    arguments = printed(lcrp("stage=verify", place), "say so: ")
    assert arguments == ["stage=verify", place, "model.network._target_=my_net.Net"]
    assert lcrp(*arguments).code == 0


def test_the_device_that_was_used_is_recorded(
    lcrp: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    assert lcrp(*TINY, "device=auto").code == 0
    (run,) = (tmp_path / "outputs" / "runs").iterdir()
    assert '"device": "cpu"' in (run / "provenance.json").read_text()
    refused = lcrp(*TINY, "device=mps")
    assert refused.err == [
        "lcrp: error: device='mps' is not on this machine: it is the GPU of Apple's computers; use device=cpu"
    ]


def test_what_apples_gpus_lack_is_one_line(lcrp: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks(_: object) -> Path:
        raise TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64.")

    monkeypatch.setattr("lcrp.config.build.find_device", lambda _: torch.device("mps"))
    monkeypatch.setattr("lcrp.config.jobs.build_job", lambda *_: Job(stage=lacks, facts={}))
    outcome = lcrp(*TINY, "device=mps")
    assert (outcome.code, len(outcome.err)) == (1, 1)
    assert "device 'mps' lacks what this needs (Cannot convert a MPS Tensor to float64" in outcome.err[0]
    assert outcome.err[0].endswith("write device=cpu")


def test_a_cpu_without_memory_left_is_one_line(lcrp: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def wants(_: object) -> Path:
        torch.empty(2**60)  # bytes that no machine has
        raise AssertionError("it was given")

    monkeypatch.setattr("lcrp.config.jobs.build_job", lambda *_: Job(stage=wants, facts={}))
    outcome = lcrp(*TINY)
    assert (outcome.code, len(outcome.err)) == (1, 1)
    assert outcome.err[0].startswith("lcrp: error: device 'cpu' is out of memory; lower statistics.batch_size, or ")
