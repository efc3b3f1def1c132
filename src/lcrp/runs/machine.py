"""What the machine gives this process: memory used so far, CPUs that it may use, space on a disk."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

try:
    import resource
except ImportError:  # on Windows
    _has_resource = False
else:
    _has_resource = True

_BYTES_PER_UNIT = 1 if sys.platform == "darwin" else 1024  # of getrusage's ru_maxrss
_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUPS = Path("/proc/self/cgroup")


def peak_memory() -> int | None:
    """Most bytes that this process held in memory so far; None where the system does not tell."""
    if not _has_resource:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _BYTES_PER_UNIT


def free_space(folder: Path) -> int | None:
    """Bytes that can still be written to the disk of a folder, which need not be there yet; None if unknown."""
    for known in (folder, *folder.parents):
        try:
            return shutil.disk_usage(known).free
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return None


def allowed_cpus() -> int:
    """CPUs on which this process may run."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_quota(cgroups: Path = _CGROUPS, own: Path = _OWN_CGROUPS) -> float | None:
    """CPUs' worth of time that containers and schedulers leave to this process; None without a limit.

    Args:
        cgroups: where Linux tells of control groups, of version 1 or 2.
        own: says which groups this process is in.
    """
    return min(_quotas(cgroups, own), default=None)


def _quotas(cgroups: Path, own: Path) -> Iterator[float]:
    """Limits of all groups that this process is in, and of those around them."""
    for line in _text(own).splitlines():
        _, controllers, path = line.split(":", 2)
        is_first_version = "cpu" in controllers.split(",")
        if controllers and not is_first_version:
            continue
        for group in _groups(cgroups / "cpu" if is_first_version else cgroups, path):
            if is_first_version:
                yield from _quota(_text(group / "cpu.cfs_quota_us"), _text(group / "cpu.cfs_period_us"))
            else:
                yield from _quota(*(_text(group / "cpu.max").split() or ["max", ""]))


def _groups(root: Path, path: str) -> Iterator[Path]:
    """Folders of a group and of those around it; within a container its own group is the root."""
    group = root / path.lstrip("/")
    while group != root and root in group.parents:
        yield group
        group = group.parent
    yield root


def _quota(quota: str, period: str) -> Iterator[float]:
    try:
        limit = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):  # 'max', or not there
        return
    if limit > 0:  # version 1 says -1 where there is none
        yield limit


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
