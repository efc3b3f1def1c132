"""A pass that is half done: what it found is kept, and another process goes on from there to the same bits."""

import logging
import signal
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from lcrp.decisions.subject import StatisticsSettings
from lcrp.errors import InaccessibleError, Interrupted, StoreError
from lcrp.runs.processes import processes_for, threads_of_each
from lcrp.runs.run import Run
from lcrp.stages.glocal.findings import Findings
from lcrp.storage.location import checkpoint_path
from lcrp.storage.statistics import StatisticsFile
from lcrp.values.paths import shown
from lcrp.values.statistics import Span, StatisticsHeader, joined

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be made.

    Attributes:
        path: the file.
        header: what it will say of itself.
        span: samples to be seen: the first, and the one behind the last.
    """

    path: Path
    header: StatisticsHeader
    span: Span

    @property
    def checkpoint(self) -> Path:
        """Where what is found is kept until then."""
        return checkpoint_path(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """Where a pass starts.

    Attributes:
        found: what an earlier process found.
        first: sample to go on with.
        threads: CPU threads to go on with, in every process.
        processes: that work side by side.
    """

    found: Findings
    first: int
    threads: int
    processes: int


def beginning(job: Job, statistics: StatisticsSettings, device: torch.device, run: Run) -> Beginning:
    """What the job's checkpoint holds, or nothing yet.

    Raises:
        InaccessibleError: it cannot be opened now.
        ConfigError: it was made with a number of threads that this process may not or shall not use.
    """
    present = threads_of_each(device)
    anew = Beginning(found=Findings(statistics), first=job.span[0], threads=present, processes=processes_for(device))
    if not job.checkpoint.exists():
        return anew
    try:
        with StatisticsFile(job.checkpoint, is_part=True) as file:
            if file.header.config_hash != job.header.config_hash or not _is_begun(file.header, job):
                raise StoreError(f"'{job.checkpoint}' is of another pass")
            found, header = Findings.stored(file, statistics, device), file.header
    except InaccessibleError:
        raise
    except StoreError as error:
        log.warning("%s; the pass begins anew", error)
        return anew
    first = header.coverage[0][1]
    log.info("going on with sample %d, from '%s' (delete it to begin anew)", first, shown(job.checkpoint))
    if device.type != "cpu" or header.threads in (None, present):  # on a GPU no bit depends on them
        return replace(anew, found=found, first=first)
    return Beginning(found=found, first=first, threads=run.resumed_threads(header.threads), processes=1)


def _is_begun(header: StatisticsHeader, job: Job) -> bool:
    return len(header.coverage) == 1 and header.coverage[0][0] == job.span[0] and header.coverage[0][1] <= job.span[1]


def keep(found: Findings, job: Job, first: int) -> bool:
    """Write a checkpoint of what comes before a sample; whether that was possible."""
    header = replace(job.header, coverage=joined([(job.span[0], first)]), threads=torch.get_num_threads())
    try:
        found.write(job.checkpoint, header, compress=False)
    except StoreError as error:
        log.warning("no checkpoint: %s", error)
        return False
    return True


def stopped(number: signal.Signals, job: Job, first: int, *, is_kept: bool) -> Interrupted:
    """What a stop leaves behind."""
    done, total = first - job.span[0], job.span[1] - job.span[0]
    what = "started again, it goes on from there" if is_kept else "they are lost, since no checkpoint could be written"
    return Interrupted(f"stopped by {number.name} after {done} of {total} samples; {what}", signal=number)
