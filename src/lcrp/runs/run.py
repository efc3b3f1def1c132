"""One run: its folder, and where what runs share lies."""

from dataclasses import dataclass
from pathlib import Path

from lcrp.runs.interruption import StopRequest
from lcrp.runs.progress import OnProgress, Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Where one run puts its artifacts, and how it tells of itself.

    Attributes:
        folder: the run's own folder; exists.
        output_root: `outputs` of the folder where the command was given: what runs share lies below it.
        on_progress: is told how far long work is; None draws a line in a terminal or a notebook, or writes to the log.
    """

    folder: Path
    output_root: Path
    on_progress: OnProgress | None = None

    def progress(
        self, total: int, description: str, unit: str, *, done: int = 0, stop: StopRequest | None = None
    ) -> Progress:
        """Progress of a loop over `total` units, of which `done` are done; a context manager with `advance(count)`."""
        return Progress(total, description, unit, done=done, told=self.on_progress, stop=stop)
