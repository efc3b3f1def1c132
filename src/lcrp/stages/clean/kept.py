"""What earlier commands left in a folder: statistics, caches, half done work and runs, and of what use it still is."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lcrp import __version__
from lcrp.errors import InaccessibleError, StoreError, VersionError
from lcrp.runs.provenance import PROVENANCE_FILE, read_provenance
from lcrp.runs.run import OUTPUTS
from lcrp.storage.location import final_path, is_in_place
from lcrp.storage.lock import is_being_written
from lcrp.storage.statistics import read_header

ROOTS = (OUTPUTS, "multirun")  # of the folder where commands are given
_HOUR, _DAY = 3600, 86400


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Something that an earlier command left.

    Attributes:
        path: a file or a folder.
        kind: what it is, in a word.
        state: whether it is of use still.
        num_bytes: that it takes.
        age: seconds since it was changed last.
    """

    path: Path
    kind: str
    state: str
    num_bytes: int
    age: float

    @property
    def age_text(self) -> str:
        """For example ``3 days``."""
        for size, unit in ((_DAY, "day"), (_HOUR, "hour"), (60, "minute")):
            count = int(self.age // size)
            if count:
                return f"{count} {unit}{'s' if count > 1 else ''}"
        return "now"


def kept(origin: Path) -> Iterator[Kept]:
    """All that commands left below a folder, kind by kind."""
    outputs = origin / OUTPUTS
    statistics = outputs / "statistics"
    for path in sorted(statistics.glob("*/*.h5")):
        yield _kept(path, "checkpoint" if final_path(path) != path else "statistics", _statistics_state(path))
    for path in sorted(statistics.glob("*/.*.part")):
        yield _kept(path, "rest", "left by a process that was killed")
    for pattern, kind, state in (
        ("statistics/*/references", "cache", "maps of reference samples; made again where they are missing"),
        ("evidence/*", "parts", "of work that goes on from them with the same command"),
        ("training/*.pt", "training", "that goes on with the same command"),
        ("cache/*", "cache", "pictures of a training; drawn again where they are missing"),
    ):
        for path in sorted(outputs.glob(pattern)):
            yield _kept(path, kind, state)
    for path in sorted((outputs / "runs").glob("*")):
        yield _kept(path, "run", _run_state(path))
    for path in sorted((origin / "multirun").glob("*")):
        jobs = [job for job in sorted(path.glob("*")) if (job / ".hydra").is_dir()]
        states = list(dict.fromkeys(map(_run_state, jobs)))
        yield _kept(path, "sweep", f"{len(jobs)} jobs: {', '.join(states)}" if jobs else "without jobs")


def files_of(path: Path) -> Iterator[Path]:
    """A file, or all files and links of a folder and its folders; links are never followed."""
    if path.is_symlink() or not path.is_dir():
        yield path
        return
    for folder, folders, files in os.walk(path):
        inner = [name for name in folders if (Path(folder) / name).is_symlink()]
        yield from (Path(folder) / name for name in [*files, *inner])


def num_bytes_of(path: Path) -> int:
    """Bytes of a file or of all files of a folder."""
    return sum(one.lstat().st_size for one in files_of(path))


def _kept(path: Path, kind: str, state: str) -> Kept:
    facts = [one.lstat() for one in files_of(path)] or [path.lstat()]
    newest = max(fact.st_mtime for fact in facts)
    size = sum(fact.st_size for fact in facts)
    return Kept(path=path, kind=kind, state=state, num_bytes=size, age=max(0.0, time.time() - newest))


def _statistics_state(path: Path) -> str:
    if is_being_written(final_path(path)):
        return "being written now"
    try:
        header = read_header(path)
    except InaccessibleError:
        return "held open by another program"
    except VersionError:
        return "of another version of lcrp, which this one cannot read"
    except StoreError:
        return "damaged"
    if not is_in_place(path, header):
        return "its name does not fit its content: nothing finds it"
    if header.complete:
        return "complete"
    seen = sum(end - start for start, end in header.coverage)
    return f"{seen} of {header.num_samples} samples"


def _run_state(path: Path) -> str:
    if is_being_written(path / PROVENANCE_FILE):
        return "runs now"
    try:
        versions = read_provenance(path).get("versions")
    except StoreError:
        return "did not end well"
    version = versions.get("lcrp") if isinstance(versions, dict) else None
    return "ended well" if version == __version__ else f"ended well, by lcrp {version}"
