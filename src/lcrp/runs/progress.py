"""Progress of long work: how much is done, at what rate, and how long the rest takes."""

import logging
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Self, TypeVar

from lcrp.runs.interruption import StopRequest

log = logging.getLogger(__name__)

OnProgress = Callable[[int, int, str, str], None]
"""Is told (done, total, description, unit): at the start, and whenever more is done or to be done.

A KeyboardInterrupt that it raises asks long work to stop where it can go on later.
"""

_Unit = TypeVar("_Unit")

_REDRAW_SECONDS = 0.2
_FIRST_LOG_SECONDS, _LAST_LOG_SECONDS = 1.0, 30.0  # between log lines: doubled each time, up to the latter


class Progress:
    """Shows how far a loop is, from its start on.

    Without `told` it is a line that redraws itself in a terminal or a notebook, else log lines: one at once, and
    further ones at growing intervals. Used as ``with run.progress(500, "glocal", "samples") as progress: ...
    progress.advance(8)``.

    Args:
        total: units to be done.
        description: of the work, for example 'glocal'.
        unit: what is counted, in the plural.
        done: units that an earlier run finished; they say nothing about the pace of this one.
        told: is told instead.
        stop: takes a KeyboardInterrupt that `told` raises.
    """

    def __init__(
        self,
        total: int,
        description: str,
        unit: str,
        *,
        done: int = 0,
        told: OnProgress | None = None,
        stop: StopRequest | None = None,
    ) -> None:
        self._total, self._description, self._unit = total, description, unit
        self._done = self._start = done
        self._told, self._stop = told, stop
        self._is_redrawn = told is None and _is_redrawn()
        self._pause = _REDRAW_SECONDS if self._is_redrawn else _FIRST_LOG_SECONDS
        self._began = self._shown = time.monotonic()
        self._width = 0  # of the line as it stands in the terminal

    def __enter__(self) -> Self:
        """Start the clock, and say that the work begins."""
        self._began = self._shown = time.monotonic()
        self._show()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the line in a terminal, so that what follows starts on its own."""
        if self._is_redrawn:
            self._redraw("")
        if kind is None:
            log.info("%s: %d %s in %s", self._description, self._done, self._unit, clock(self.seconds))

    def advance(self, count: int = 1) -> None:
        """Count `count` more units as done and show it if it is time to."""
        self._done += count
        now = time.monotonic()
        if self._told is None and now - self._shown < self._pause:
            return
        self._shown = now
        if not self._is_redrawn:
            self._pause = min(2 * self._pause, _LAST_LOG_SECONDS)
        self._show()

    def extend(self, count: int) -> None:
        """`count` more units are to be done; fewer, where it is negative."""
        self._total += count
        if self._told is not None:
            self._tell(self._told)

    def counted(self, units: Iterable[_Unit]) -> Iterator[_Unit]:
        """The same units, each counted when the next one is asked for."""
        for unit in units:
            yield unit
            self.advance()

    def __str__(self) -> str:
        """For example ``glocal: 120/500 samples, 3.4/s, 1:52 left``; without a pace as long as nothing is done."""
        count = f"{self._description}: {self._done}/{self._total} {self._unit}"
        rate = (self._done - self._start) / max(self.seconds, 1e-9)
        if rate <= 0:
            return count
        pace = f"{rate:.1f}/s" if rate >= 1 else f"{1 / rate:.1f} s each"
        return f"{count}, {pace}, {clock((self._total - self._done) / rate)} left"

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._began

    def _show(self) -> None:
        if self._told is not None:
            self._tell(self._told)
        elif self._is_redrawn:
            self._redraw(str(self))
        else:
            log.info("%s", str(self))  # as it is now: handlers may write later

    def _tell(self, told: OnProgress) -> None:
        try:
            told(self._done, self._total, self._description, self._unit)
        except KeyboardInterrupt:
            if self._stop is None:
                raise
            if not self._stop:  # asked again and again it is asked once
                self._stop.arrive(signal.SIGINT)

    def _redraw(self, line: str) -> None:
        """Replace the line; by blanks, since notebooks do not know a terminal's codes."""
        line = line[: shutil.get_terminal_size().columns - 1]
        blank = " " * max(0, self._width - len(line))
        sys.stderr.write(f"\r{line}{blank}" if line else f"\r{blank}\r")
        sys.stderr.flush()
        self._width = len(line)


def _is_redrawn() -> bool:
    """Whether what is written to stderr is seen at once by a person: in a terminal, or in a notebook."""
    stream = sys.stderr
    return stream is not None and (stream.isatty() or type(stream).__module__.startswith("ipykernel."))


def clock(seconds: float) -> str:
    """Seconds as ``m:ss`` or ``h:mm:ss``."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
