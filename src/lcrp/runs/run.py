"""One run: its folder, and where what runs share lies."""

from dataclasses import dataclass
from pathlib import Path

from lcrp.runs.progress import Progress


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
