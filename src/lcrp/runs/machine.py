"""What the machine gives this process: memory, CPUs that it may use, space on a disk."""

import ctypes
import multiprocessing
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
_OWN_STATUS = Path("/proc/self/status")
_MEMORY = Path("/proc/meminfo")
_PROCESSES = Path("/proc")
_OF_VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_OF_VERSION_2 = ("memory.max", "memory.current", "inactive_file")
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's mallopt
_KEPT_FREE, _OF_ITS_OWN = 1 << 30, 1 << 28  # bytes: of all that is kept, and from which on memory is the system's again
_MOST_OF_OLD = 1 << 25  # the largest threshold that an old glibc takes
_OWN_SETTINGS = ("MALLOC_", "GLIBC_TUNABLES")  # variables of the environment begin with


def peak_memory() -> int | None:
    """Most bytes that this process held in memory so far, and what copies of it hold now; None if unknown."""
    if not _has_resource:
        return None
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _BYTES_PER_UNIT
    return own + sum(_own_memory(copy.pid) for copy in multiprocessing.active_children())


def _own_memory(process: int | None) -> int:
    """Bytes that a process shares with no other; 0 where the system does not tell."""
    found = _text(_PROCESSES / str(process) / "smaps_rollup")
    return 1024 * sum(int(line.split()[1]) for line in found.splitlines() if line.startswith("Private_"))


def resident_memory() -> tuple[int, int] | None:
    """Bytes that this process holds in memory now, and held at most; None where the system does not tell."""
    found = dict(line.split(":", 1) for line in _text(_OWN_STATUS).splitlines() if ":" in line)
    try:
        now, most = (int(found[key].split()[0]) * 1024 for key in ("VmRSS", "VmHWM"))
    except (KeyError, ValueError, IndexError):
        return None
    return now, most


def free_memory(cgroups: Path = _CGROUPS, own: Path = _OWN_CGROUPS, machine: Path = _MEMORY) -> int | None:
    """Bytes of memory that are left to this process; None where the system does not tell.

    Args:
        cgroups: where Linux tells of control groups, of version 1 or 2.
        own: says which groups this process is in.
        machine: says what the machine has.
    """
    found = dict(line.split(":", 1) for line in _text(machine).splitlines() if ":" in line)
    left = [int(size.split()[0]) * 1024 for key, size in found.items() if key == "MemAvailable"]
    return min([*left, *_left_in_groups(cgroups, own)], default=None)


def keep_freed_memory() -> bool:
    """Up to 1 GiB that this process frees is kept for what it needs next, where memory is glibc's.

    Else every large map is given back to the system and asked for again, page by page, up to a tenth of the time.

    Returns:
        Whether it is; not where the environment says how memory is to be kept.
    """
    if sys.platform != "linux" or any(name.startswith(_OWN_SETTINGS) for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another library of C
        return False
    is_known = mallopt(_MMAP_THRESHOLD, _OF_ITS_OWN) == 1 or mallopt(_MMAP_THRESHOLD, _MOST_OF_OLD) == 1
    return bool(is_known and mallopt(_TRIM_THRESHOLD, _KEPT_FREE) == 1)


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
    for group, is_first_version in _own_groups(cgroups, own, "cpu"):
        if is_first_version:
            yield from _quota(_text(group / "cpu.cfs_quota_us"), _text(group / "cpu.cfs_period_us"))
        else:
            yield from _quota(*(_text(group / "cpu.max").split() or ["max", ""]))


def _left_in_groups(cgroups: Path, own: Path) -> Iterator[int]:
    """What limits of all groups leave; what the system keeps of files it gives back."""
    for group, is_first_version in _own_groups(cgroups, own, "memory"):
        names = _OF_VERSION_1 if is_first_version else _OF_VERSION_2
        found = dict(line.split(maxsplit=1) for line in _text(group / "memory.stat").splitlines())
        try:
            limit, used, of_files = *(int(_text(group / name)) for name in names[:2]), int(found.get(names[2], 0))
        except ValueError:  # 'max', or not there
            continue
        yield max(0, limit - used + of_files)


def _own_groups(cgroups: Path, own: Path, controller: str) -> Iterator[tuple[Path, bool]]:
    """Groups of a controller that this process is in, and those around them; whether of version 1."""
    for line in _text(own).splitlines():
        _, controllers, path = line.split(":", 2)
        is_first_version = controller in controllers.split(",")
        if controllers and not is_first_version:
            continue
        for group in _groups(cgroups / controller if is_first_version else cgroups, path):
            yield group, is_first_version


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
