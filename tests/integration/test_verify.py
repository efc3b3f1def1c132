"""stage=verify: nothing changed, or every change named in one line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import TINY, Outcome
from lcrp.runs import provenance

CommandLine = Callable[..., Outcome]


@pytest.fixture
def made(lcrp: CommandLine) -> Path:
    """The statistics file of a run in the folder 'made'."""
    outcome = lcrp("stage=glocal", *TINY, "hydra.run.dir=made")
    assert outcome.code == 0, outcome.err
    return Path(outcome.out[-1])


def test_a_run_that_is_as_it_was_verifies(lcrp: CommandLine, made: Path) -> None:
    outcome = lcrp("stage=verify", "run=made", "hydra.run.dir=check")
    assert outcome.code == 0, outcome.err
    assert outcome.out[-1].endswith("check/verification.json")
    report = json.loads(Path("check/verification.json").read_text(encoding="utf-8"))
    assert (report["changed"], report["files"]) == ([], 1)
    assert made.exists()


def test_changes_of_files_and_versions_are_named(
    lcrp: CommandLine, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.write_bytes(made.read_bytes() + b"x")
    monkeypatch.setattr(provenance.metadata, "version", lambda name: "0.0" if name == "zennit" else "1.0")
    outcome = lcrp("stage=verify", "run=made", "hydra.run.dir=check")
    assert outcome.code == 1
    (line,) = outcome.err
    assert "versions.zennit is '0.4.6' there and '0.0' here" in line
    assert line.endswith(f"'{made}' has another content")
    made.unlink()
    assert lcrp("stage=verify", "run=made").err[0].endswith(f"'{made}' is gone")


def test_changes_of_inputs_are_named(lcrp: CommandLine, made: Path) -> None:
    provenance = Path("made/provenance.json")
    content = json.loads(provenance.read_text(encoding="utf-8"))
    content["dataset"]["fingerprint"] = "another"
    content["command"]["overrides"].append("model.iou=0.5")
    provenance.write_text(json.dumps(content), encoding="utf-8")
    (line,) = lcrp("stage=verify", "run=made").err
    assert line.startswith("lcrp: error: 2 things changed since ")
    assert "dataset.fingerprint is 'another' there and " in line
    assert "iou is 0.45 there and 0.5 here" in line
    content["command"]["overrides"].pop()
    provenance.write_text(json.dumps(content), encoding="utf-8")
    (line,) = lcrp("stage=verify", "run=made").err
    assert line.startswith("lcrp: error: 1 thing changed since ")
    assert made.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["stage=verify"], "stage=verify needs the folder of an earlier run; write run=outputs/runs/..."),
        (["stage=verify", "run=nowhere"], "has no provenance.json: name the folder of a run that ended well"),
        (["stage=glocal", "run=made"], "run='made' says nothing to stage=glocal; stage=verify looks at it"),
        (["shard.count=0"], "shard.count=0 is too small; the least is 1"),
        (["shard.count=2", "shard.index=2"], "shard.index=2 is out of range; write a value from 0 to 1"),
        (
            ["stage=render", "shard.count=2"],
            "shard.count=2 says nothing to stage=render; it cuts glocal, missed, audit and tune",
        ),
        (["stage.checkpoint_minutes=-1"], "stage.checkpoint_minutes=-1.0 is too small; the least is 0"),
    ],
)
def test_what_cannot_be_meant_is_refused(lcrp: CommandLine, arguments: list[str], message: str) -> None:
    outcome = lcrp(*arguments)
    assert outcome.code == 1
    (line,) = outcome.err
    assert message in line


def test_a_damaged_provenance_is_one_line(lcrp: CommandLine) -> None:
    Path("made").mkdir()
    Path("made/provenance.json").write_text("{", encoding="utf-8")
    assert "provenance.json' cannot be read: " in lcrp("stage=verify", "run=made").err[0]
    Path("made/provenance.json").write_text("{}", encoding="utf-8")
    assert "is no provenance of lcrp" in lcrp("stage=verify", "run=made").err[0]


def test_a_run_of_python_says_why_it_cannot_be_repeated(lcrp: CommandLine, tmp_path: Path) -> None:
    """It was called no provenance of lcrp at all."""
    record = {"function": "lcrp.evaluate", "versions": {}}
    (tmp_path / "provenance.json").write_text(json.dumps(record), encoding="utf-8")
    (line,) = lcrp("stage=verify", f"run={tmp_path}").err
    assert line.endswith("was made by lcrp.evaluate in Python, which no command can repeat")
