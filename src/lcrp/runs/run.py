"""One run: its folder, and where what runs share lies."""

import logging
from dataclasses import dataclass, field
from pathlib import Path

from lcrp.runs.interruption import StopRequest
from lcrp.runs.progress import OnProgress, Progress
from lcrp.runs.threads import Threads

log = logging.getLogger(__name__)

OUTPUTS = "outputs"  # of the folder where commands are given: what they write, unless told otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Where one run puts its artifacts, and how it tells of itself.

    Attributes:
        folder: the run's own folder; exists.
        output_root: what runs share lies below it: `OUTPUTS` of the folder where the command was given.
        on_progress: is told how far long work is; None draws a line in a terminal or a notebook, or writes to the log.
        threads: that the run was given; None leaves them to the caller, and half done work takes its own.
        notes: what the stage adds to the run's provenance.
    """

    folder: Path
    output_root: Path
    on_progress: OnProgress | None = None
    threads: Threads | None = None
    notes: dict[str, object] = field(default_factory=dict)

    def progress(
        self, total: int, description: str, unit: str, *, done: int = 0, stop: StopRequest | None = None
    ) -> Progress:
        """Progress of a loop over `total` units, of which `done` are done; a context manager with `advance(count)`."""
        return Progress(total, description, unit, done=done, told=self.on_progress, stop=stop)

    def resumed_threads(self, kept: int | None) -> int:
        """CPU threads with which half done work goes on; told and noted where they are others than the run's.

        Args:
            kept: the number with which it began; None if it does not matter, or nobody knows.

        Raises:
            ConfigError: this process may not, or shall not, use so many.
        """
        import torch  # takes seconds: the command line makes a run before it is needed

        present = torch.get_num_threads()
        if kept is None or kept == present:
            return present
        threads = kept if self.threads is None else self.threads.resumed(kept)
        log.info("going on with %d threads, as the work began, and not with %d", threads, present)
        self.notes["threads"] = threads
        return threads
