"""What a pass will cost, told after its first chunk, so that nobody waits for hours to find the disk full."""

import logging
from dataclasses import dataclass, replace

from lcrp.decisions.subject import StatisticsSettings
from lcrp.errors import StoreError
from lcrp.runs.machine import free_space, peak_memory
from lcrp.runs.progress import clock
from lcrp.stages.glocal.checkpoint import Job
from lcrp.stages.glocal.findings import Findings
from lcrp.storage.expected_size import Extent
from lcrp.values.paths import shown
from lcrp.values.sizes import size_text
from lcrp.values.statistics import Span

log = logging.getLogger(__name__)

_TOLD_FROM_SECONDS = 60.0  # a shorter pass is over before one has read what it costs
_UNCERTAINTY = 2.0  # factor within which the size of the file is known


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a pass will cost.

    Attributes:
        seconds_left: at the pace so far.
        peak_memory: bytes so far; None where the system does not tell.
        more_memory: bytes that tables and log will take beyond that.
        file_bytes: of the statistics file.
        disk_bytes: at most, checkpoints included, beyond what is there already.
        free_bytes: on that disk; None if unknown.
    """

    seconds_left: float
    peak_memory: int | None
    more_memory: float
    file_bytes: float
    disk_bytes: float
    free_bytes: int | None

    def __str__(self) -> str:
        """For example ``about 1:52:10 left; ...``."""
        parts = [f"about {clock(self.seconds_left)} left"]
        if self.peak_memory is not None:
            expected = size_text(self.peak_memory + self.more_memory)
            parts.append(f"memory {size_text(self.peak_memory)} so far and about {expected} at the end")
        free = "" if self.free_bytes is None else f" ({size_text(self.free_bytes)} free)"
        parts.append(
            f"disk about {size_text(self.file_bytes)} for the file and {size_text(self.disk_bytes)} on the way{free}"
        )
        return "; ".join(parts)


def tell_cost(found: Findings, job: Job, statistics: StatisticsSettings, *, seen: Span, seconds: float) -> bool:
    """Log what a long pass costs, and warn where the disk may not hold it; whether anything is known by now.

    Args:
        found: so far, by earlier processes too.
        job: what is made.
        statistics: how much is kept.
        seen: samples that this process has seen: the first, and the one behind the last.
        seconds: that it took.

    Raises:
        StoreError: the disk cannot hold the file.
    """
    if not found.num_targets:
        return False
    rate = seconds / max(1, seen[1] - seen[0])
    _check(estimate(found, job, statistics, num_left=job.span[1] - seen[1], seconds_each=rate), job)
    return True


def estimate(
    found: Findings, job: Job, statistics: StatisticsSettings, *, num_left: int, seconds_each: float
) -> Estimate:
    """What the rest of a pass costs, from what it has found so far.

    Args:
        found: so far, by earlier processes too.
        job: what is made.
        statistics: how much is kept.
        num_left: samples that follow.
        seconds_each: that one takes.
    """
    assert found.accumulator is not None
    num_samples = job.span[1] - job.span[0]
    now = Extent(
        num_layers=len(found.accumulator.shapes),
        num_concepts=sum(shape.num_concepts for shape in found.accumulator.shapes.values()),
        num_classes=len(job.header.class_names),
        num_samples=num_samples - num_left,
        num_targets=found.num_targets,
        top_n=statistics.top_n,
        top_n_per_class=statistics.top_n_per_class,
        record=statistics.record,
    )
    num_targets = round(found.num_targets * num_samples / max(1, now.num_samples))
    end = replace(now, num_samples=num_samples, num_targets=num_targets)
    there = job.checkpoint.stat().st_size if job.checkpoint.exists() else 0
    return Estimate(
        seconds_left=seconds_each * num_left,
        peak_memory=peak_memory(),
        more_memory=end.table_bytes + end.log_bytes - now.table_bytes - now.log_bytes,
        file_bytes=end.file_bytes,
        disk_bytes=end.checkpoint_bytes + max(end.checkpoint_bytes, end.file_bytes) - there,
        free_bytes=free_space(job.path.parent),
    )


def _check(cost: Estimate, job: Job) -> None:
    free, folder = cost.free_bytes, shown(job.path.parent)
    if free is not None and free * _UNCERTAINTY < cost.file_bytes:
        raise StoreError(
            f"the statistics will take about {size_text(cost.file_bytes)}, but only {size_text(free)} are free in "
            f"'{folder}': make room, or keep fewer samples or layers",
            mend="Set statistics.top_n_per_class, statistics.layers, or stage.output to a place on another disk.",
        )
    if cost.seconds_left >= _TOLD_FROM_SECONDS:
        log.info("glocal: %s", cost)
    if free is not None and free < cost.disk_bytes:
        log.warning(
            "'%s' has %s free, and this pass takes about %s there, checkpoints included: make room while it runs",
            folder,
            size_text(free),
            size_text(cost.disk_bytes),
        )
