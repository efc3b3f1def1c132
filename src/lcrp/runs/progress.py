"""Progress of long work: how much is done, at what rate, and how long the rest takes."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self, TypeVar

log = logging.getLogger(__name__)

_Unit = TypeVar("_Unit")

_REDRAW_SECONDS = 0.2
_LOG_SECONDS = 30.0


class Progress:
    """Shows how far a loop is: a line that redraws itself in a terminal, else a log line now and then.

    Used as ``with run.progress(500, "glocal", "samples") as progress: ... progress.advance(8)``.
    """

    def __init__(self, total: int, description: str, unit: str) -> None:
        self._total, self._description, self._unit = total, description, unit
        self._done = self._start = 0
        self._began = self._shown = time.monotonic()
        self._is_terminal = sys.stderr.isatty()

    def __enter__(self) -> Self:
        """Start the clock."""
        self._began = self._shown = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the line in a terminal, so that what follows starts on its own."""
        if self._is_terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
        if kind is None:
            log.info("%s: %d %s in %s", self._description, self._done, self._unit, clock(self._seconds()))

    def start_at(self, done: int) -> None:
        """Count `done` units as finished by an earlier run: they say nothing about the pace of this one."""
        self._done = self._start = done

    def advance(self, count: int = 1) -> None:
        """Count `count` more units as done and show it if it is time to."""
        self._done += count
        now = time.monotonic()
        if now - self._shown < (_REDRAW_SECONDS if self._is_terminal else _LOG_SECONDS):
            return
        self._shown = now
        if self._is_terminal:
            sys.stderr.write(f"\r\x1b[K{self}")
            sys.stderr.flush()
        else:
            log.info("%s", self)

    def counted(self, units: Iterable[_Unit]) -> Iterator[_Unit]:
        """The same units, each counted when the next one is asked for."""
        for unit in units:
            yield unit
            self.advance()

    def __str__(self) -> str:
        """For example ``glocal: 120/500 samples, 3.4/s, 1:52 left``."""
        rate = (self._done - self._start) / max(self._seconds(), 1e-9)
        left = clock((self._total - self._done) / rate) if rate > 0 else "?"
        pace = f"{rate:.1f}/s" if rate >= 1 or rate == 0 else f"{1 / rate:.1f} s each"
        return f"{self._description}: {self._done}/{self._total} {self._unit}, {pace}, {left} left"

    def _seconds(self) -> float:
        return time.monotonic() - self._began


def clock(seconds: float) -> str:
    """Seconds as ``m:ss`` or ``h:mm:ss``."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
