"""Long work is seen from its first second on: in a terminal, in a log, or by whoever is told."""

import io
import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from lcrp.runs import progress as module
from lcrp.runs.interruption import StopRequest
from lcrp.runs.progress import Progress, clock
from lcrp.runs.run import Run


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    seconds = Clock()
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=seconds))

    def sleep(count: float) -> None:
        seconds.now += count

    return sleep


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_log_has_a_line_before_anything_is_done_and_then_at_growing_intervals(
    passes: Callable[[float], None], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO), Progress(1000, "glocal", "samples") as progress:
        assert caplog.messages == ["glocal: 0/1000 samples"]
        for _ in range(200):
            passes(1.0)
            progress.advance()
    done = [int(line.split()[1].split("/")[0]) for line in caplog.messages[1:-1]]
    assert done == [1, 3, 7, 15, 31, 61, 91, 121, 151, 181]
    assert caplog.messages[2] == "glocal: 3/1000 samples, 1.0/s, 16:37 left"
    assert caplog.messages[-1] == "glocal: 200 samples in 3:20"


def test_more_may_come_up_while_it_runs(
    passes: Callable[[float], None], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    with caplog.at_level(logging.INFO), Progress(2, "references", "heatmaps") as progress:
        passes(2.0)
        progress.advance(2)
        progress.extend(1)
        passes(4.0)
        progress.advance()
    assert caplog.messages[1:3] == [
        "references: 2/2 heatmaps, 1.0/s, 0:00 left",
        "references: 3/3 heatmaps, 2.0 s each, 0:00 left",
    ]
    told: list[tuple[object, ...]] = []
    run = Run(folder=tmp_path, output_root=tmp_path, on_progress=lambda *what: told.append(what))
    with run.progress(2, "references", "heatmaps") as progress:
        progress.extend(-1)
    assert told == [(0, 2, "references", "heatmaps"), (0, 1, "references", "heatmaps")]


def test_a_terminal_shows_one_line_that_is_redrawn_and_gone_at_the_end(
    passes: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    with Progress(10, "render", "references") as progress:
        assert terminal.getvalue() == "\rrender: 0/10 references"
        progress.advance()
        assert terminal.getvalue() == "\rrender: 0/10 references"  # too soon
        passes(1.0)
        progress.advance()
    drawn = terminal.getvalue().split("\r")
    assert drawn[2].startswith("render: 2/10 references, 2.0/s, 0:04 left")
    assert drawn[3] == " " * len(drawn[2])
    assert drawn[4] == ""


def test_a_line_never_wraps(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "20")
    with Progress(10, "a description that is long", "samples"):
        assert len(terminal.getvalue()) == 20  # one of them returns to the line's start


def test_a_notebook_is_drawn_in(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})()
    monkeypatch.setattr(sys, "stderr", stream)
    with Progress(10, "glocal", "samples"):
        assert "0/10" in stream.getvalue()


def test_whoever_is_told_hears_of_every_step(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[tuple[int, int, str, str]] = []
    run = Run(folder=tmp_path, output_root=tmp_path, on_progress=lambda *step: heard.append(step))
    with caplog.at_level(logging.INFO), run.progress(7, "glocal", "samples", done=3) as progress:
        progress.advance(2)
        assert list(progress.counted("ab")) == ["a", "b"]
    assert heard == [(done, 7, "glocal", "samples") for done in (3, 5, 6, 7)]
    assert len(caplog.messages) == 1  # the last line


def test_pace_is_that_of_this_run_alone(passes: Callable[[float], None]) -> None:
    with Progress(100, "glocal", "samples", done=60) as progress:
        passes(20.0)
        progress.advance(10)
        assert str(progress) == "glocal: 70/100 samples, 2.0 s each, 1:00 left"


def test_an_interruption_by_whoever_is_told_is_a_request_to_stop() -> None:
    def interrupts(*_: object) -> None:
        raise KeyboardInterrupt

    stop = StopRequest()
    with Progress(3, "glocal", "samples", told=interrupts, stop=stop) as progress:
        progress.advance()
        progress.advance()
    assert stop.signal == signal.SIGINT
    with pytest.raises(KeyboardInterrupt), Progress(3, "glocal", "samples", told=interrupts):
        pass


def test_clock() -> None:
    assert [clock(seconds) for seconds in (0, 59.6, 3599, 3600)] == ["0:00", "1:00", "59:59", "1:00:00"]
