"""What the machine gives: memory, CPUs and disk, as the system tells it, where it does."""

import multiprocessing
import multiprocessing.synchronize
import os
import platform
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from lcrp.runs import machine
from lcrp.runs.machine import (
    allowed_cpus,
    cpu_quota,
    free_memory,
    free_space,
    keep_freed_memory,
    peak_memory,
    resident_memory,
)


def groups(folder: Path, own: str, **files: str) -> tuple[Path, Path]:
    """Control groups as Linux shows them."""
    for name, text in files.items():
        path = folder / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "own").write_text(own)
    return folder / "cgroup", folder / "own"


def test_quota_of_version_2_is_the_least_of_all_groups_around(tmp_path: Path) -> None:
    found = groups(
        tmp_path,
        "0::/slurm/job\n",
        **{"cpu.max": "max 100000\n", "slurm/cpu.max": "150000 100000\n", "slurm/job/cpu.max": "400000 100000\n"},
    )
    assert cpu_quota(*found) == 1.5


def test_a_container_sees_its_own_group_as_the_root(tmp_path: Path) -> None:
    assert cpu_quota(*groups(tmp_path, "0::/\n", **{"cpu.max": "200000 100000\n"})) == 2.0


def test_quota_of_version_1(tmp_path: Path) -> None:
    own = "12:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n0::/\n"
    files = {"cpu/docker/abc/cpu.cfs_quota_us": "50000\n", "cpu/docker/abc/cpu.cfs_period_us": "100000\n"}
    no_limit = {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}
    assert cpu_quota(*groups(tmp_path, own, **files, **no_limit)) == 0.5


@pytest.mark.parametrize("text", ["max 100000\n", "", "no number\n", "1 0\n"])
def test_no_limit_and_nonsense_are_none(tmp_path: Path, text: str) -> None:
    assert cpu_quota(*groups(tmp_path, "0::/\n", **{"cpu.max": text})) is None
    assert cpu_quota(tmp_path / "missing", tmp_path / "missing") is None


def test_cpus_are_those_of_the_affinity_or_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 5, 7}, raising=False)
    assert allowed_cpus() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 12)
    assert allowed_cpus() == 12


def test_space_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    free = free_space(tmp_path / "not" / "yet")
    assert free is not None
    assert free > 0


def test_memory_is_unknown_where_the_system_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    peak = peak_memory()
    assert peak is None or peak > 1 << 20
    monkeypatch.setattr(machine, "_has_resource", False)
    assert peak_memory() is None


AS_ON_WINDOWS = """
    import os, shutil, subprocess, sys, types  # the library asks for msvcrt itself
    locked = {}

    def locking(descriptor, mode, count):
        place = (os.fstat(descriptor).st_ino, os.lseek(descriptor, 0, os.SEEK_CUR), count)
        if mode == 0:
            assert locked.pop(place) == descriptor
        elif place in locked:
            raise PermissionError(13, "Permission denied")
        else:
            locked[place] = descriptor

    sys.modules["msvcrt"] = types.SimpleNamespace(locking=locking, LK_UNLCK=0, LK_NBLCK=2)
    sys.modules["fcntl"] = sys.modules["resource"] = None
    for name in ("sched_getaffinity", "pwrite", "O_CLOEXEC", "O_DIRECTORY", "statvfs"):
        delattr(os, name)

    from pathlib import Path
    from lcrp.errors import StoreError
    from lcrp.runs.machine import allowed_cpus, cpu_quota, free_memory, free_space, peak_memory, resident_memory
    from lcrp.runs.provenance import write_provenance
    from lcrp.storage.atomic import write_json
    from lcrp.storage.lock import lock_path, sole_writer

    folder = Path(sys.argv[1])
    path = folder / "statistics.h5"
    with sole_writer(path):
        write_json(path, {"a": 1})
        assert lock_path(path).read_text(encoding="utf-8").startswith(f"process {os.getpid()} ")
        try:
            with sole_writer(path):
                raise AssertionError("two writers")
        except StoreError as error:
            assert "is being written by process" in str(error), error
    with sole_writer(path):
        pass
    assert not locked and not lock_path(path).exists()
    assert peak_memory() is None and allowed_cpus() >= 1
    assert '"peak_memory_mib": null' in write_provenance(folder, {}, seconds=1.0).read_text()
"""


def test_locks_files_and_provenance_without_what_windows_lacks(tmp_path: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(AS_ON_WINDOWS), str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


MEMORY = "MemTotal:       16000000 kB\nMemFree:          100000 kB\nMemAvailable:    8000000 kB\n"


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", {}, 8_000_000 * 1024),
        ("0::/\n", {"memory.max": "max\n", "memory.current": "5\n"}, 8_000_000 * 1024),
        (
            "0::/job/step\n",
            {
                "job/memory.max": "1000000\n",
                "job/memory.current": "900000\n",
                "job/memory.stat": "anon 5\nfile 300000\ninactive_file 250000\n",
                "job/step/memory.max": "max\n",
            },
            350_000,
        ),
        (
            "4:memory:/docker/abc\n0::/\n",
            {
                "memory/docker/abc/memory.limit_in_bytes": "1000000\n",
                "memory/docker/abc/memory.usage_in_bytes": "700000\n",
                "memory/docker/abc/memory.stat": "inactive_file 1\ntotal_inactive_file 50000\n",
                "memory/memory.limit_in_bytes": "9223372036854771712\n",
                "memory/memory.usage_in_bytes": "900000\n",
            },
            350_000,
        ),
        ("0::/\n", {"memory.max": "100\n", "memory.current": "200\n"}, 0),
    ],
)
def test_free_memory_is_the_least_of_the_machine_and_all_groups_around(
    tmp_path: Path, own: str, files: dict[str, str], expected: int
) -> None:
    (tmp_path / "meminfo").write_text(MEMORY)
    assert free_memory(*groups(tmp_path, own, **files), tmp_path / "meminfo") == expected


def test_free_memory_is_unknown_where_nobody_tells(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    assert free_memory(missing, missing, missing) is None


@pytest.mark.skipif(sys.platform != "linux", reason="told by Linux alone")
def test_resident_memory_grows_with_what_is_held() -> None:
    before = resident_memory()
    assert before is not None
    held = bytearray(os.urandom(1 << 20) * 64)
    after = resident_memory()
    assert after is not None
    assert after[1] >= after[0] >= before[0] + len(held) // 2


@pytest.mark.skipif(sys.platform != "linux", reason="told by Linux alone")
def test_peak_memory_counts_what_copies_hold() -> None:
    def hold(begun: "multiprocessing.synchronize.Event", ends: "multiprocessing.synchronize.Event") -> None:
        held = bytearray(os.urandom(1 << 20) * 128)
        begun.set()
        ends.wait()
        del held

    context = multiprocessing.get_context("fork")
    begun, ends = context.Event(), context.Event()
    before = peak_memory()
    copy = context.Process(target=hold, args=(begun, ends))
    copy.start()
    try:
        assert begun.wait(60)
        found = peak_memory()
    finally:
        ends.set()
        copy.join()
    assert before is not None
    assert found is not None
    assert found >= before + (100 << 20)


KEEPING = """
import torch
from lcrp.runs.machine import keep_freed_memory, resident_memory

def left_of(size):
    maps = torch.ones(size << 20, dtype=torch.uint8)
    held = resident_memory()[0]
    del maps
    return (size << 20) - (held - resident_memory()[0])

print(keep_freed_memory(), left_of(200) >> 20, left_of(600) >> 20)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the memory of glibc alone")
def test_memory_that_was_freed_is_kept_but_for_huge_pieces() -> None:
    """In a process of its own, as a process cannot go back."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    run = subprocess.run([sys.executable, "-c", KEEPING], env=environment, capture_output=True, text=True, check=True)
    is_kept, of_large, of_huge = run.stdout.split()
    assert is_kept == "True"
    assert int(of_large) > 190
    assert int(of_huge) < 10


class _OldLibrary:
    """Takes no threshold of more than 32 MiB."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def mallopt(self, kind: int, value: int) -> int:
        self.asked.append((kind, value))
        return int(kind == -1 or value <= 32 << 20)


def test_an_old_library_keeps_what_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own threshold, which follows what a program frees, ends with the first that is set: so both are."""
    library = _OldLibrary()
    monkeypatch.setattr(machine.ctypes, "CDLL", lambda _: library)
    monkeypatch.setattr(machine.sys, "platform", "linux")
    monkeypatch.setattr(machine.os, "environ", {})
    assert keep_freed_memory()
    assert library.asked == [(-3, 256 << 20), (-3, 32 << 20), (-1, 1 << 30)]


@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "MALLOC_ARENA_MAX", "GLIBC_TUNABLES"])
def test_what_the_environment_says_of_memory_stands(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(machine.ctypes, "CDLL", lambda _: 1 / 0)
    monkeypatch.setattr(machine.sys, "platform", "linux")
    monkeypatch.setattr(machine.os, "environ", {name: "1"})
    assert not keep_freed_memory()


def test_other_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.ctypes, "CDLL", lambda _: object())
    monkeypatch.setattr(machine.sys, "platform", "linux")
    monkeypatch.setattr(machine.os, "environ", {})
    assert not keep_freed_memory()
    monkeypatch.setattr(machine.sys, "platform", "darwin")
    monkeypatch.setattr(machine.ctypes, "CDLL", lambda _: 1 / 0)
    assert not keep_freed_memory()
