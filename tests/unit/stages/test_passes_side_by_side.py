"""Work that copies of a process do side by side: the same bytes as by one process with one thread."""

import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import colour_world
import noise_world
import numpy as np
import pytest
import torch
from colour_world import Squares
from noise_world import Noise

from lcrp.attribution.engine import Attributor
from lcrp.decisions import neuron_maps
from lcrp.decisions.concept_choice import ConceptChoice
from lcrp.decisions.counting import StartCounting
from lcrp.decisions.neuron_maps import Mode
from lcrp.decisions.references import reference_source, references_by_ranking
from lcrp.decisions.subject import Subject
from lcrp.errors import DataError, Interrupted, LayerError
from lcrp.runs import processes
from lcrp.runs.copies import Copies
from lcrp.runs.progress import Progress
from lcrp.runs.run import Run
from lcrp.runs.threads import Threads, torch_threads
from lcrp.stages.glocal import glocal as glocal_module
from lcrp.stages.glocal.glocal import GlocalSettings, glocal
from lcrp.storage.statistics import StatisticsFile, read_header
from lcrp.values.sample import Sample

pytestmark = [
    pytest.mark.skipif(
        sys.platform != "linux" or torch.cuda.is_available(), reason="copies begin on Linux, and where no GPU is"
    ),
    pytest.mark.usefixtures("no_other_thread"),
]

NOISE = Noise(length=25, broken=(0, 4, 17))  # 9 chunks of 3, the last one with one sample
STATISTICS = replace(noise_world.STATISTICS, record=True)


class Stopping(Noise):
    """Noise during whose reading something happens, at one sample."""

    def __init__(self, at: int, event: signal.Signals | BaseException) -> None:
        super().__init__(length=25, broken=(0, 4, 17))
        object.__setattr__(self, "happens", (at, event, os.getpid()))

    def __getitem__(self, index: int) -> Sample:
        at, event, first = self.happens
        if index == at:
            if isinstance(event, BaseException):
                raise event
            os.kill(first, event)  # whichever process reads
        return super().__getitem__(index)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "run").mkdir()
    return Run(folder=tmp_path / "run", output_root=tmp_path / "outputs")


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many copies began, each time; none is left."""
    numbers: list[int] = []
    made, begin = Copies.__init__, Copies._begin

    def counted_made(self: Copies, *given: Any) -> None:
        numbers.append(0)
        made(self, *given)

    def counted_begin(self: Copies) -> None:
        numbers[-1] += 1
        begin(self)

    monkeypatch.setattr(Copies, "__init__", counted_made)
    monkeypatch.setattr(Copies, "_begin", counted_begin)
    yield numbers
    assert not multiprocessing.active_children()


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("alone")
    run = Run(folder=folder, output_root=folder)
    return glocal(noise_world.subject(NOISE), STATISTICS, GlocalSettings(), run).read_bytes()


@pytest.mark.parametrize("threads", [2, 3, 16])
def test_statistics_are_byte_for_byte_those_of_one_thread(
    run: Run, alone: bytes, begun: list[int], threads: int
) -> None:
    heard: list[int] = []
    own = replace(run, on_progress=lambda done, *_: heard.append(done))
    with torch_threads(threads):
        path = glocal(noise_world.subject(NOISE), STATISTICS, GlocalSettings(), own)
        assert torch.get_num_threads() == threads
    assert path.read_bytes() == alone
    (num_copies,) = begun
    assert 2 <= num_copies <= min(threads, 9)  # there are 9 chunks
    assert heard == sorted(heard)
    assert (heard[0], heard[-1]) == (0, 25)


def test_passes_that_were_killed_go_on_with_any_number_of_processes(run: Run, alone: bytes, begun: list[int]) -> None:
    settings = GlocalSettings(checkpoint_minutes=0)
    for at, threads in ((13, 2), (16, 1), (24, 2)):
        dataset = Stopping(at, KeyboardInterrupt())
        with torch_threads(threads), pytest.raises(KeyboardInterrupt):
            glocal(noise_world.subject(dataset), STATISTICS, settings, run)
    (begun_file,) = run.output_root.rglob("*.checkpoint.h5")
    assert read_header(begun_file).threads == 1
    with torch_threads(2):
        path = glocal(noise_world.subject(NOISE), STATISTICS, settings, run)
    assert path.read_bytes() == alone
    assert begun


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("is_given", [False, True])
def test_a_signal_leaves_a_checkpoint_from_which_the_same_command_goes_on(
    run: Run, alone: bytes, begun: list[int], number: signal.Signals, is_given: bool
) -> None:
    own = replace(run, threads=Threads(count=2, is_given=is_given, most=2))
    with torch_threads(2), pytest.raises(Interrupted, match=rf"stopped by {number.name} after (\d+) of 25 samples"):
        glocal(noise_world.subject(Stopping(13, number)), STATISTICS, GlocalSettings(), own)
    (checkpoint,) = run.output_root.rglob("*.h5")
    assert 3 <= read_header(checkpoint).coverage[0][1] <= 15
    with torch_threads(2):
        path = glocal(noise_world.subject(NOISE), STATISTICS, GlocalSettings(), own)
    assert path.read_bytes() == alone
    assert own.notes == {}
    assert len(begun) == 2


def test_what_was_begun_with_several_threads_goes_on_so_alone(
    run: Run, begun: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with torch_threads(2):
        with monkeypatch.context() as patch:
            patch.setattr(processes, "processes_for", lambda _: 1)
            patch.setattr("lcrp.stages.glocal.checkpoint.processes_for", lambda _: 1)
            with pytest.raises(Interrupted):
                glocal(noise_world.subject(Stopping(13, signal.SIGINT)), STATISTICS, GlocalSettings(), run)
        (checkpoint,) = run.output_root.rglob("*.h5")
        assert read_header(checkpoint).threads == 2
        glocal(noise_world.subject(NOISE), STATISTICS, GlocalSettings(), run)
    assert begun == []


def test_a_picture_that_cannot_be_read_ends_the_pass_as_ever(run: Run, begun: list[int]) -> None:
    subject, settings = noise_world.subject(Noise(length=25, broken=(17,))), GlocalSettings(on_error="raise")
    with torch_threads(2), pytest.raises(DataError, match="sample 17 'noise/17'"):
        glocal(subject, STATISTICS, settings, run)
    assert begun == [2]


def test_a_pass_whose_copy_is_ended_ends_with_the_same_bytes(
    run: Run, alone: bytes, begun: list[int], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, forward = os.getpid(), Attributor.forward

    def killed(self: Attributor, images: torch.Tensor, *given: object, **named: object) -> object:
        if os.getpid() != own and np.random.default_rng(int(images.sum())).integers(2):
            os.kill(os.getpid(), signal.SIGKILL)
        return forward(self, images, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Attributor, "forward", killed)
    with torch_threads(2), caplog.at_level(logging.WARNING):
        path = glocal(noise_world.subject(NOISE), STATISTICS, GlocalSettings(), run)
    assert path.read_bytes() == alone
    assert begun == [2]
    assert any(message.startswith("a process beside this one ended (signal 9") for message in caplog.messages)


@pytest.fixture
def squares(run: Run) -> tuple[Subject, Path]:
    """A world of squares, one of which cannot be read any more, and its statistics."""
    subject = colour_world.subject(Squares(14))
    path = glocal(subject, colour_world.statistics(), GlocalSettings(), run)
    return replace(subject, dataset=Squares(14, broken=(3,))), path


@pytest.mark.parametrize("mode", ["relevance", "activation"])
@pytest.mark.parametrize("batch_size", [1, 2])
@pytest.mark.parametrize("rounds_at_once", [1, 32])
def test_references_are_bit_for_bit_those_of_one_thread(
    squares: tuple[Subject, Path],
    begun: list[int],
    monkeypatch: pytest.MonkeyPatch,
    mode: Mode,
    batch_size: int,
    rounds_at_once: int,
) -> None:
    subject, path = squares
    monkeypatch.setattr(neuron_maps, "ROUNDS_AT_ONCE", rounds_at_once)
    monkeypatch.setattr(processes, "FEW", 2)
    choice = ConceptChoice(mode=mode, layer="2", n_concepts=4, n_references=3)
    source = reference_source(path, subject.dataset, colour_world.CLASS_NAMES, choice, batch_size=batch_size)
    source = replace(source, cache=None)

    def found(threads: int) -> tuple[list[list[Any]], list[int]]:
        counted: list[int] = []
        progress = Progress(0, "", "", told=lambda done, total, *_: counted.append(total - done))
        with torch_threads(threads), subject.explainer.attributor(["2"]) as attributor:
            rankings = [(source, [0, 1, 2, 3]), (replace(source, num_references=1), [2, 3])]
            values = [
                [
                    (concept, one.key, one.score, one.heatmap.tobytes(), references.lost)
                    for concept, references in by_concept
                    for one in references.shown
                ]
                for by_concept in references_by_ranking(attributor, rankings, start_counting=progress_of(progress))
            ]
        return values, counted

    expected, _ = found(1)
    assert begun == []
    values, counted = found(2)
    assert values == expected
    assert begun
    assert counted[-1] == 0  # all are counted, those that cannot be read as well
    assert sum(map(len, expected)) > 8


def progress_of(progress: Progress) -> StartCounting:
    @contextmanager
    def start(total: int, *_: str) -> Iterator[Progress]:
        progress.extend(total)
        yield progress

    return start


class OneFile(Noise):
    """Noise from a file that is kept open: whoever reads shares the place in it."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(length=25)
        object.__setattr__(self, "file", file)

    def __getitem__(self, index: int) -> Sample:
        self.file.seek(index * 768)
        image = torch.frombuffer(bytearray(self.file.read(768)), dtype=torch.float32).reshape(3, 8, 8)
        return replace(super().__getitem__(index), image=image)


def test_a_dataset_may_keep_a_file_open(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "pictures"
    path.write_bytes(np.random.default_rng(0).random((25, 3, 8, 8), dtype=np.float32).tobytes())
    found = []
    for threads in (1, 2, 3):
        with torch_threads(threads), path.open("rb") as file:
            settings = GlocalSettings(output=tmp_path / f"{threads}.h5")
            statistics = replace(STATISTICS, batch_size=1)
            found.append(glocal(noise_world.subject(OneFile(file)), statistics, settings, run).read_bytes())
    assert found[0] == found[1] == found[2]


def test_a_layer_is_chosen_with_the_threads_of_the_pass(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its share stands in the file."""
    used: list[int] = []
    monkeypatch.setattr(glocal_module, "choice", lambda *_: used.append(torch.get_num_threads()))
    for threads in (1, 3):
        with torch_threads(threads), pytest.raises(LayerError):
            glocal(noise_world.subject(NOISE), replace(STATISTICS, layers=("auto",)), GlocalSettings(), run)
        assert torch.get_num_threads() == 1
    assert used == [1, 1]


@pytest.mark.parametrize("threads", [1, 2])
def test_a_pass_whose_pictures_go_alone_stops_at_the_end_of_a_chunk(
    run: Run, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    """Else it would go on with other chunks than those of a pass that was not stopped."""
    monkeypatch.setattr("lcrp.decisions.together.PIXELS_AT_ONCE", 1)
    statistics = replace(STATISTICS, batch_size=5)
    with torch_threads(threads):
        whole = glocal(noise_world.subject(NOISE), statistics, GlocalSettings(), run).read_bytes()
        other = replace(run, output_root=run.folder)
        with pytest.raises(Interrupted):
            glocal(noise_world.subject(Stopping(12, signal.SIGINT)), statistics, GlocalSettings(), other)
        (checkpoint,) = run.folder.rglob("*.h5")
        assert read_header(checkpoint).coverage[0][1] in (5, 10, 15)
        path = glocal(noise_world.subject(NOISE), statistics, GlocalSettings(), other)
    assert path.read_bytes() == whole
    with StatisticsFile(path, class_names=noise_world.CLASS_NAMES) as file:
        assert [one.sample for one in file.targets().skipped_samples] == [0, 4, 17]


@pytest.mark.parametrize(("threads", "expected"), [(1, 3), (2, 6), (3, 9)])
def test_the_time_left_is_told_when_all_processes_have_begun(
    run: Run, monkeypatch: pytest.MonkeyPatch, threads: int, expected: int
) -> None:
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr(glocal_module, "tell_cost", lambda *_, seen, seconds: told(seen, seconds))

    def told(span: tuple[int, int], seconds: float) -> bool:
        seen.append(span)
        return seconds > 0

    with torch_threads(threads):
        glocal(noise_world.subject(NOISE), STATISTICS, GlocalSettings(), run)
    assert seen == [(0, expected)]
