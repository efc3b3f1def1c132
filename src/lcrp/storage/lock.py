"""One writer at a time."""

import contextlib
import fcntl
import os
import platform
from collections.abc import Iterator
from pathlib import Path

from lcrp.errors import StoreError


@contextlib.contextmanager
def sole_writer(path: Path) -> Iterator[None]:
    """Nobody else writes `path` within the block; the lock ends with the process, however it ends.

    The lock is a file beside it, `.<name>.lock`, which says who holds it.

    Raises:
        StoreError: another process holds it, or no file can be made there.
    """
    lock = path.with_name(f".{path.name}.lock")
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _held(lock)
    except OSError as error:
        raise StoreError(f"cannot write '{path}': {error.strerror or error}") from error
    if descriptor is None:
        raise StoreError(f"'{path}' is being written by {_holder(lock)}; wait for it, or stop it")
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {platform.node()}".encode(), 0)
        yield
    finally:
        lock.unlink(missing_ok=True)  # before it is let go: whoever opened it finds out that it is gone
        os.close(descriptor)


def _held(lock: Path) -> int | None:
    """A descriptor that holds the lock; None if somebody else does."""
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:
            os.close(descriptor)
            raise
        if _is_there(lock, descriptor):
            return descriptor
        os.close(descriptor)  # it was removed by its last holder in between


def _is_there(lock: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(lock.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _holder(lock: Path) -> str:
    try:
        return lock.read_text(encoding="utf-8") or "another process"
    except OSError:
        return "another process"
