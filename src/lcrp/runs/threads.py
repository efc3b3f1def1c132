"""How many threads torch computes with: by what this process may use, never by how busy the machine is at the moment.

Numbers depend on the count, so that it is chosen once, told, and kept with what is half done.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from lcrp.errors import ConfigError
from lcrp.runs.machine import allowed_cpus, cpu_quota


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a process may use of the machine, and with how many others it shares that.

    Attributes:
        found: threads that torch takes by itself: physical cores, or what OMP_NUM_THREADS says.
        cpus: that the process may run on.
        quota: CPUs' worth of time that is left to it; None without a limit.
        jobs: of a sweep that run at the same time, itself included.
        workers: processes of its own that read samples ahead.
    """

    found: int
    cpus: int
    quota: float | None = None
    jobs: int = 1
    workers: int = 0

    @property
    def most(self) -> int:
        """Threads that do not wait for each other, were the process alone."""
        return max(1, min(self.found, self.cpus, self.cpus if self.quota is None else int(self.quota)))

    @property
    def threads(self) -> int:
        """Threads for torch: an equal part for every job, less one for each worker, one at least."""
        machine = self.cpus if self.quota is None else min(self.cpus, int(self.quota))
        return max(1, min(self.found, machine // self.jobs) - self.workers)

    def __str__(self) -> str:
        """For example ``2 CPUs, quota 1.5, 4 jobs at once``."""
        parts = [f"{self.cpus} CPU{'s' if self.cpus > 1 else ''}"]
        if self.quota is not None:
            parts.append(f"a quota of {self.quota:g}")
        if self.found < self.cpus:
            parts.append(f"{self.found} by torch or OMP_NUM_THREADS")
        if self.jobs > 1:
            parts.append(f"{self.jobs} jobs at once")
        if self.workers:
            parts.append(f"{self.workers} that read samples")
        return ", ".join(parts)


def parallel_jobs(n_jobs: int | None, cpus: int) -> int:
    """Jobs that joblib runs at the same time: a number, or counted from the number of CPUs where it is negative."""
    if not n_jobs:
        return 1
    return n_jobs if n_jobs > 0 else max(1, cpus + 1 + n_jobs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Threads:
    """The threads that a run was given.

    Attributes:
        count: of them.
        is_given: whether the person named the number.
        most: as many as may be taken where work that is half done needs more.
        reason: what the number follows from, in words.
    """

    count: int
    is_given: bool
    most: int
    reason: str = ""

    def __str__(self) -> str:
        """For example ``2 (4 CPUs, 2 jobs at once)``."""
        return f"{self.count} ({self.reason})"

    def resumed(self, kept: int) -> int:
        """The number with which half done work goes on: that with which it began, so that the bits stay the same.

        Args:
            kept: the number with which it began.

        Raises:
            ConfigError: another one was asked for, or this process may not use so many.
        """
        if kept == self.count:
            return kept
        if self.is_given:
            raise ConfigError(
                f"the work began with {kept} threads, and {self.count} would change its last bits: set threads={kept}"
            )
        if kept > self.most:
            raise ConfigError(
                f"the work began with {kept} threads, of which this process may use {self.most}: go on where there are "
                f"as many, or set threads={kept}, which is slow"
            )
        return kept


def chosen_threads(given: int | None, *, found: int, jobs: int | None, workers: int) -> Threads:
    """The threads of a run.

    Args:
        given: the number that the person named.
        found: threads that torch takes by itself.
        jobs: of the sweep at the same time, as joblib counts them.
        workers: processes that read samples ahead.
    """
    cpus = allowed_cpus()
    share = Share(found=found, cpus=cpus, quota=cpu_quota(), jobs=parallel_jobs(jobs, cpus), workers=workers)
    if given is not None:
        return Threads(count=given, is_given=True, most=share.most, reason="as set")
    return Threads(count=share.threads, is_given=False, most=share.most, reason=str(share))


@contextlib.contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Torch computes with so many threads within the block."""
    import torch  # takes seconds: the command line chooses before it is needed

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
