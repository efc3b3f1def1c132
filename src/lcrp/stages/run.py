"""One run: its folder, its progress and its provenance."""

import json
import logging
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

log = logging.getLogger(__name__)

_Unit = TypeVar("_Unit")

PROVENANCE_FILE = "provenance.json"
_PACKAGES = ("lcrp", "torch", "torchvision", "zennit", "numpy", "h5py")
_REDRAW_SECONDS = 0.2
_LOG_SECONDS = 30.0
_BYTES_PER_UNIT = 1 if sys.platform == "darwin" else 1024  # of getrusage's ru_maxrss


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Where one run puts its artifacts, and how it tells of itself.

    Attributes:
        folder: the run's own folder; exists.
        output_root: `outputs` of the folder where the command was given: what runs share lies below it.
    """

    folder: Path
    output_root: Path

    def progress(self, total: int, description: str, unit: str) -> Progress:
        """Progress of a loop over `total` units; a context manager with `advance(count)`."""
        return Progress(total, description, unit)

    def write_provenance(self, facts: Mapping[str, object], *, seconds: float) -> Path:
        """Write provenance.json: what was run, by which versions, on what, and at what cost.

        Args:
            facts: what only the caller knows (overrides, device, checkpoint and dataset hashes, outcome).
            seconds: wall time of the run.

        Returns:
            The file.
        """
        record = {
            "versions": versions(),
            "commit": commit(),
            "host": {"platform": platform.platform(), "cores": os.cpu_count()},
            **facts,
            "wall_seconds": round(seconds, 2),
            "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _BYTES_PER_UNIT / 2**20),
        }
        path = self.folder / PROVENANCE_FILE
        path.write_text(json.dumps(record, indent=2, default=str) + "\n", encoding="utf-8")
        return path


def clock(seconds: float) -> str:
    """Seconds as ``m:ss`` or ``h:mm:ss``."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that can alter numbers."""
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in _PACKAGES}


def commit() -> str | None:
    """Commit of the checkout that this package runs from, with '-dirty' if it was edited; None outside one."""
    package = Path(__file__).resolve().parents[1]
    if package.parent.name != "src":  # installed from a wheel: a repository around it is somebody else's
        return None
    try:
        described = subprocess.run(
            ["git", "-C", str(package), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() or None
