"""A file that another program holds open is as good as ever: nobody is told to delete it, and nobody replaces it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import statistics_samples as samples

from lcrp.errors import InaccessibleError, StoreError
from lcrp.storage.hdf5 import reading
from lcrp.storage.location import StatisticsKey, find_statistics, statistics_path
from lcrp.storage.statistics import read_header

HOLD = "import h5py, sys; file = h5py.File(sys.argv[1], 'a'); print('held', flush=True); sys.stdin.read()"


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Another process has the file open for writing."""
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield
        assert process.stdin is not None
        process.stdin.close()


def test_a_held_file_is_not_called_damaged(tmp_path: Path) -> None:
    path = samples.write(tmp_path / "statistics.h5", complete=True)
    with held(path), pytest.raises(InaccessibleError, match="is held open by another program") as caught:
        read_header(path)
    assert "damaged" not in str(caught.value)
    assert "delete" not in str(caught.value)
    assert read_header(path).complete


def test_a_held_file_is_not_taken_for_none(tmp_path: Path) -> None:
    key = StatisticsKey(model="toy", dataset="noise", composite="flat", identity={"a": 1}, settings={"top_n": 40})
    other = replace(key, settings={"top_n": 10})
    path = samples.write(statistics_path(tmp_path, other), complete=True, config=other.config())
    with held(path), pytest.raises(InaccessibleError, match="is held open"):
        find_statistics(tmp_path, key)
    assert find_statistics(tmp_path, key) == path


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(13, "no"), "'x' cannot be read: Permission denied"),
        (OSError(5, "no"), "'x' cannot be read: Input/output error"),
        (OSError(37, "unable to lock file, errno = 37"), "without locks; .*HDF5_USE_FILE_LOCKING=FALSE"),
        (OSError("unable to lock file, Win32 GetLastError() = 33"), "is held open"),
    ],
)
def test_what_the_system_refuses_is_not_damage(error: OSError, message: str) -> None:
    with pytest.raises(InaccessibleError, match=message), reading(Path("x")):
        raise error


def test_what_hdf5_finds_wrong_is_damage() -> None:
    with pytest.raises(StoreError, match="if it is damaged delete it") as caught, reading(Path("x")):
        raise OSError("Unable to synchronously open file (truncated file: eof = 96)")
    assert not isinstance(caught.value, InaccessibleError)
