"""outcomes.md: `python tests/integration/hostile/table.py > tests/integration/hostile/outcomes.md` writes it."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from hostile import annotations, checkpoints, files, labelled, masks, pictures, places, settings, yolo

HEAD = """# Hostile and broken input

{count} inputs, all of them tested (`tests/integration/test_hostile_input.py`), and what becomes of each.

- **error**: one line on stderr that contains these words (bars between them: one of them), and exit code 1. Nothing
  is written but the folder of the run, and nothing that the input says is run.
- **skipped and counted**: the pass goes on; the log counts the sample, and the statistics file lists it with the
  reason.
- **read**: as any other.
"""


class Row(Protocol):
    """A row of the table."""

    @property
    def name(self) -> str:
        """What the input is."""

    @property
    def outcome(self) -> str:
        """What becomes of it."""


def text() -> str:
    """The page."""
    parts: dict[str, Sequence[Row]] = {
        "Checkpoints": checkpoints.cases(),
        "Checkpoints of YOLO's libraries": yolo.cases(),
        "Pictures": [*pictures.cases(), *pictures.passed_over()],
        "Annotations and masks": [
            *annotations.files(),
            *annotations.samples(),
            *masks.commands(),
            *masks.voc_samples(),
        ],
        "Labelled sets of one's own": labelled.cases(),
        "Files that lcrp reads again": [
            *files.statistics(),
            *files.flips(),
            *files.exchange(),
            *files.provenance(),
        ],
        "Disks and folders": [*places.unwritable(), *places.full_disks()],
        "Settings": settings.cases(),
    }
    lines = [HEAD.format(count=sum(map(len, parts.values())))]
    for title, rows in parts.items():
        lines += [f"## {title}", "", "| input | outcome |", "|---|---|"]
        lines += [f"| {_cell(row.name)} | {_cell(row.outcome)} |" for row in rows]
        lines.append("")
    return "\n".join(lines)


def _cell(words: str) -> str:
    for sign in "\\|<*[]":
        words = words.replace(sign, f"\\{sign}")
    return words.replace("\n", " ").encode("utf-8", "replace").decode()


if __name__ == "__main__":
    sys.stdout.write(text())
