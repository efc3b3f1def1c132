"""Whole commands, as users give them: killed and given again, spread by every launcher; always the same bytes."""

import contextlib
import importlib.util
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from conftest import TINY

PASS = (*TINY, "statistics.num_samples=14", "threads=1")  # seven chunks
SHARDS = ("-m", "stage=glocal", *PASS, "shard.count=3", "shard.index=0,1,2")

pytestmark = pytest.mark.slow


def started(folder: Path, *arguments: str, **variables: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", **variables}
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def lcrp(folder: Path, *arguments: str, **variables: str) -> "tuple[int, str]":
    """Exit code of a command, and what it wrote."""
    process = started(folder, "-m", "lcrp", *arguments, **variables)
    out, err = process.communicate(timeout=240)
    return process.returncode, out + err


def statistics_of(folder: Path) -> Mapping[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "outputs" / "statistics").rglob("*.h5")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("whole")
    code, text = lcrp(folder, "stage=glocal", *PASS)
    assert code == 0, text
    (content,) = statistics_of(folder).values()
    return content


def merged(folder: Path) -> bytes:
    code, text = lcrp(folder, "stage=merge", *PASS)
    assert code == 0, text
    return next(content for name, content in statistics_of(folder).items() if "shard" not in name)


def test_twenty_kills_at_random_moments_change_no_bit(tmp_path: Path, whole: bytes) -> None:
    """The moments are counted from the first checkpoint on where there is one, so that the pass gets on."""
    moments = random.Random(11)
    command = ("-m", "lcrp", "stage=glocal", *PASS, "stage.checkpoint_minutes=0")
    num_killed = 0
    while num_killed < 20:
        process = started(tmp_path, *command)
        wait_for_lock(tmp_path, process, of="")  # any: the run's own comes first
        time.sleep(moments.uniform(0, 0.4))
        process.kill()
        process.communicate()
        num_killed += 1
        found = [name for name in statistics_of(tmp_path) if "checkpoint" not in name]
        if found:
            assert statistics_of(tmp_path)[found[0]] == whole
            (path,) = (tmp_path / "outputs").rglob(found[0])
            path.unlink()
    code, text = lcrp(tmp_path, *command[2:])
    assert code == 0, text
    (content,) = statistics_of(tmp_path).values()
    assert content == whole


def wait_for_lock(folder: Path, process: "subprocess.Popen[str]", of: str = "statistics") -> None:
    """Until the pass has begun; the killed ones before it left their lock's file, without the lock."""
    while process.poll() is None:
        with contextlib.suppress(FileNotFoundError):  # let go meanwhile
            locks = (folder / "outputs" / of).rglob(".*.lock")
            if any(str(process.pid) in lock.read_text(encoding="utf-8") for lock in locks):
                return
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_in_one_line_and_its_exit_code(tmp_path: Path, whole: bytes, number: signal.Signals) -> None:
    process = started(tmp_path, "-m", "lcrp", "stage=glocal", *PASS, "workers=2", "threads=1")
    wait_for_lock(tmp_path, process)
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 128 + number
    (line,) = err.splitlines()
    assert line.startswith(f"lcrp: stopped by {number.name} after ")
    code, text = lcrp(tmp_path, "stage=glocal", *PASS)
    assert code == 0, text
    assert "going on with sample" in text
    assert list(statistics_of(tmp_path).values()) == [whole]


def test_termination_before_a_pass_begins_is_one_line_too(tmp_path: Path) -> None:
    process = started(tmp_path, "-m", "lcrp", "stage=glocal", *PASS)
    wait_for_lock(tmp_path, process, of="runs")
    process.terminate()
    _, err = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM
    (line,) = err.splitlines()
    assert line.startswith(("lcrp: terminated", "lcrp: stopped by SIGTERM after "))


def needs(module: str) -> pytest.MarkDecorator:
    is_missing = importlib.util.find_spec(module) is None
    return pytest.mark.skipif(is_missing, reason=f"{module} is not installed")


@pytest.mark.parametrize(
    "launcher",
    [
        pytest.param(("hydra/launcher=basic",), id="basic"),
        pytest.param(("hydra/launcher=joblib", "hydra.launcher.n_jobs=2"), id="joblib", marks=needs("joblib")),
        pytest.param(("hydra/launcher=submitit_local",), id="submitit_local", marks=needs("submitit")),
        pytest.param(("hydra/launcher=ray",), id="ray", marks=needs("ray")),
    ],
)
def test_shards_of_a_launcher_merge_to_the_whole(tmp_path: Path, whole: bytes, launcher: tuple[str, ...]) -> None:
    code, text = lcrp(tmp_path, *SHARDS, *launcher)
    assert code == 0, text
    assert merged(tmp_path) == whole


@needs("submitit")
def test_shards_of_slurm_merge_to_the_whole(tmp_path: Path, whole: bytes) -> None:
    variables = slurm(tmp_path)
    launcher = ("hydra/launcher=submitit_slurm", "hydra.launcher.array_parallelism=2", "hydra.launcher.timeout_min=5")
    code, text = lcrp(tmp_path, *SHARDS, *launcher, **variables)
    assert code == 0, text
    states = [path.read_text(encoding="utf-8") for path in Path(variables["FAKE_SLURM"]).glob("*.state")]
    assert len(states) == 3  # the last one's may not be noted yet
    assert "FAILED" not in states
    assert merged(tmp_path) == whole


def slurm(folder: Path) -> dict[str, str]:
    """Commands of SLURM that work without one, first on the path."""
    commands, jobs = folder / "bin", folder / "jobs"
    commands.mkdir()
    jobs.mkdir()
    source = Path(__file__).with_name("fake_slurm.py")
    for name in ("sbatch", "srun", "sacct", "scancel"):
        command = commands / name
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{source}" {name} "$@"\n', encoding="utf-8")
        command.chmod(0o755)
    return {"PATH": f"{commands}:{os.environ['PATH']}", "FAKE_SLURM": str(jobs)}


def test_shards_of_torchrun_merge_to_the_whole(tmp_path: Path, whole: bytes) -> None:
    process = started(
        tmp_path,
        *("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "lcrp", "stage=glocal", *PASS),
        "shard.index=${oc.env:RANK}",
        "shard.count=${oc.env:WORLD_SIZE}",
    )
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, out + err
    assert merged(tmp_path) == whole


@needs("joblib")
def test_a_failed_shard_leaves_the_others_and_is_all_that_is_made_again(tmp_path: Path, whole: bytes) -> None:
    code, text = lcrp(tmp_path, *SHARDS)
    assert code == 0, text
    made = {path.name: path for path in (tmp_path / "outputs").rglob("*.h5")}
    broken = next(path for name, path in made.items() if "shard-1" in name)
    broken.unlink()
    broken.mkdir()  # nothing can be written there
    kept = {name: path.stat().st_mtime_ns for name, path in made.items() if path != broken}
    launcher = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    code, text = lcrp(tmp_path, *SHARDS, *launcher)
    assert code == 1
    assert "shard-1-of-3.h5" in text
    assert "Traceback" not in text
    broken.rmdir()
    code, text = lcrp(tmp_path, *SHARDS, *launcher)
    assert code == 0, text
    assert {name: made[name].stat().st_mtime_ns for name in kept} == kept
    assert merged(tmp_path) == whole
