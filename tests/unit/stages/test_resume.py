"""A pass that was stopped, in whatever way, ends with the very bytes of one that was not."""

import itertools
import logging
import os
import random
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import noise_world
import pytest
import torch
from noise_world import Noise

from lcrp.decisions.subject import Subject
from lcrp.errors import ConfigError, Interrupted, StoreError
from lcrp.runs import processes
from lcrp.runs.run import Run
from lcrp.runs.threads import Threads, torch_threads
from lcrp.stages.glocal import checkpoint
from lcrp.stages.glocal import glocal as glocal_module
from lcrp.stages.glocal.glocal import GlocalSettings, glocal
from lcrp.storage import atomic
from lcrp.storage.location import checkpoint_path
from lcrp.storage.lock import sole_writer
from lcrp.storage.statistics import StatisticsFile, read_header
from lcrp.values.sample import Sample

DATASET = Noise(length=25, broken=(4, 17))  # 9 chunks of 3, the last one with one sample
STATISTICS = replace(noise_world.STATISTICS, record=True)
EVERY_CHUNK = GlocalSettings(checkpoint_minutes=0)


class Killed(BaseException):
    """Stands for SIGKILL: nothing is written on the way out."""


class Mortal:
    """A dataset during whose reading something happens, at one sample, once."""

    def __init__(self, at: int, event: object) -> None:
        self.at, self.event, self.transform = at, event, DATASET.transform
        self.class_names, self.name = DATASET.class_names, DATASET.name

    def __len__(self) -> int:
        return len(DATASET)

    def __getitem__(self, index: int) -> Sample:
        if index == self.at:
            self.at = -1
            if isinstance(self.event, BaseException):
                raise self.event
            os.kill(os.getpid(), self.event)  # type: ignore[arg-type]
        return DATASET[index]

    def key(self, index: int) -> str:
        return DATASET.key(index)

    def fingerprint(self) -> str:
        return DATASET.fingerprint()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "run").mkdir()
    return Run(folder=tmp_path / "run", output_root=tmp_path / "outputs")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("undisturbed")
    whole = Run(folder=folder, output_root=folder)
    return glocal(noise_world.subject(DATASET), STATISTICS, GlocalSettings(), whole).read_bytes()


def stopped(at: int, event: object) -> Subject:
    return noise_world.subject(Mortal(at, event))  # type: ignore[arg-type]


def test_twenty_kills_change_no_bit(run: Run, undisturbed: bytes) -> None:
    moments = random.Random(5)
    num_kills = 0
    while num_kills < 20:
        try:
            path = glocal(stopped(moments.randrange(25), Killed()), STATISTICS, EVERY_CHUNK, run)
        except Killed:
            num_kills += 1
        else:
            assert path.read_bytes() == undisturbed
            path.unlink()
    path = glocal(noise_world.subject(DATASET), STATISTICS, EVERY_CHUNK, run)
    assert path.read_bytes() == undisturbed
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("at", [0, 13, 24])
def test_signals_leave_a_checkpoint_at_the_end_of_the_chunk(
    run: Run, undisturbed: bytes, number: signal.Signals, at: int
) -> None:
    before = signal.getsignal(number)
    done = min(25, at // 3 * 3 + 3)
    message = f"stopped by {number.name} after {done} of 25 samples; started again, it goes on from there"
    with pytest.raises(Interrupted, match=message) as caught:
        glocal(stopped(at, number), STATISTICS, GlocalSettings(), run)
    assert caught.value.signal == number
    assert signal.getsignal(number) is before
    (checkpoint,) = run.output_root.rglob("*.h5")
    assert read_header(checkpoint).coverage == ((0, done),)
    rest = Mortal(-1, None)
    path = glocal(noise_world.subject(rest), STATISTICS, GlocalSettings(), run)  # type: ignore[arg-type]
    assert path.read_bytes() == undisturbed
    assert not checkpoint.exists()


def test_what_was_done_is_not_done_again(run: Run) -> None:
    with pytest.raises(Killed):
        glocal(stopped(16, Killed()), STATISTICS, EVERY_CHUNK, run)
    with pytest.raises(Killed):  # sample 14 would be read again otherwise
        glocal(stopped(24, Killed()), STATISTICS, EVERY_CHUNK, run)
    glocal(stopped(14, Killed()), STATISTICS, EVERY_CHUNK, run)


def test_checkpoints_are_as_far_apart_as_wished(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10_000, 25))  # seconds; one look at it per chunk and checkpoint
    monkeypatch.setattr(glocal_module, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    written: list[int] = []
    keep = glocal_module.keep
    monkeypatch.setattr(glocal_module, "keep", lambda *given: written.append(given[2]) or keep(*given))
    glocal(noise_world.subject(DATASET), STATISTICS, GlocalSettings(checkpoint_minutes=1.0), run)
    assert written
    assert all(later - sooner >= 6 for sooner, later in itertools.pairwise(written))


def test_a_checkpoint_of_other_settings_is_not_taken_up(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    named = replace(EVERY_CHUNK, output=run.output_root / "mine.h5")
    with pytest.raises(Killed):
        glocal(stopped(16, Killed()), STATISTICS, named, run)
    other = replace(STATISTICS, top_n=2)
    path = glocal(noise_world.subject(DATASET), other, named, run)
    assert "is of another pass; the pass begins anew" in caplog.text
    whole = glocal(noise_world.subject(DATASET), other, GlocalSettings(), run)
    assert path.read_bytes() == whole.read_bytes()


def test_a_damaged_checkpoint_is_told_and_left(run: Run, undisturbed: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Killed):
        glocal(stopped(16, Killed()), STATISTICS, EVERY_CHUNK, run)
    (checkpoint,) = run.output_root.rglob("*.checkpoint.h5")
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    assert glocal(noise_world.subject(DATASET), STATISTICS, EVERY_CHUNK, run).read_bytes() == undisturbed
    assert "the pass begins anew" in caplog.text


def test_a_full_disk_stops_no_pass(
    run: Run, undisturbed: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A checkpoint that cannot be written is a warning: there may be room again at the end."""
    sync = atomic._sync

    def full(path: Path, flags: int) -> None:
        if "checkpoint" in path.name:
            raise OSError(28, "No space left on device")
        sync(path, flags)

    monkeypatch.setattr(atomic, "_sync", full)
    path = glocal(noise_world.subject(DATASET), STATISTICS, EVERY_CHUNK, run)
    assert path.read_bytes() == undisturbed
    assert "no checkpoint" in caplog.text
    assert list(path.parent.iterdir()) == [path]


def test_a_second_writer_is_refused(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "one.h5"
    settings = GlocalSettings(output=path)
    with (
        sole_writer(path),
        pytest.raises(StoreError, match=rf"one.h5' is being written by process {os.getpid()} on .*; wait for it"),
    ):
        glocal(noise_world.subject(DATASET), STATISTICS, settings, run)
    glocal(noise_world.subject(DATASET), STATISTICS, settings, run)
    assert list(path.parent.glob(".*")) == []


@pytest.fixture
def part(run: Run) -> Iterator[Path]:
    with pytest.raises(Interrupted):
        glocal(stopped(13, signal.SIGTERM), STATISTICS, GlocalSettings(), run)
    (found,) = run.output_root.rglob("*.h5")
    return found


def test_a_checkpoint_lies_beside_the_file_and_is_none(part: Path) -> None:
    path = part.with_name(part.name.replace(".checkpoint", ""))
    assert part == checkpoint_path(path)
    with pytest.raises(StoreError, match=r"it lacks 10 of 25 samples, from sample 15 on"):
        StatisticsFile(part)


def test_progress_is_told_before_the_first_chunk_and_may_interrupt(run: Run, undisturbed: bytes) -> None:
    """As from a thread of a notebook, which gets no signals: whoever is told raises KeyboardInterrupt."""
    heard: list[tuple[int, int]] = []

    def told(done: int, total: int, description: str, unit: str) -> None:
        assert (description, unit) == ("glocal", "samples")
        heard.append((done, total))
        if done >= 7:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="after 9 of 25 samples; started again, it goes on from there"):
        glocal(noise_world.subject(DATASET), STATISTICS, GlocalSettings(), replace(run, on_progress=told))
    assert heard[0] == (0, 25)
    assert heard[-1] == (9, 25)
    path = glocal(noise_world.subject(DATASET), STATISTICS, GlocalSettings(), run)
    assert path.read_bytes() == undisturbed


def test_a_pass_goes_on_with_the_threads_with_which_it_began(
    run: Run, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "processes_for", lambda _: 1)  # as where copies of a process do not begin
    monkeypatch.setattr(checkpoint, "processes_for", lambda _: 1)
    before = torch.get_num_threads()
    with torch_threads(before + 1), pytest.raises(Killed):
        glocal(stopped(16, Killed()), STATISTICS, EVERY_CHUNK, run)
    (begun,) = run.output_root.rglob("*.h5")
    assert read_header(begun).threads == before + 1
    for threads, reason in (
        (Threads(count=before, is_given=True, most=before + 1), f"set threads={before + 1}"),
        (Threads(count=before, is_given=False, most=before), f"of which this process may use {before}"),
    ):
        with pytest.raises(ConfigError, match=reason):
            glocal(noise_world.subject(DATASET), STATISTICS, EVERY_CHUNK, replace(run, threads=threads))
    used: set[int] = set()
    own = replace(
        run,
        threads=Threads(count=before, is_given=False, most=before + 1),
        on_progress=lambda *_: used.add(torch.get_num_threads()),
    )
    with caplog.at_level(logging.INFO):
        path = glocal(noise_world.subject(DATASET), STATISTICS, EVERY_CHUNK, own)
    assert used == {before + 1}
    assert own.notes == {"threads": before + 1}
    assert f"going on with {before + 1} threads, as the work began, and not with {before}" in caplog.messages
    assert torch.get_num_threads() == before
    assert read_header(path).threads is None
