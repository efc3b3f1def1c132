"""One writer at a time."""

import contextlib
import errno
import os
import platform
from collections.abc import Iterator
from pathlib import Path

from lcrp.errors import StoreError
from lcrp.storage.atomic import unwritable

try:
    import fcntl
except ImportError:  # on Windows
    import msvcrt

    _has_flock = False
else:
    _has_flock = True

_TAKEN = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)  # the last two on Windows
_LOCKED_BYTE = 1 << 20  # on Windows what is locked cannot be read either: far behind what the file says


@contextlib.contextmanager
def sole_writer(path: Path) -> Iterator[None]:
    """Nobody else writes `path` within the block; the lock ends with the process, however it ends.

    The lock is a file beside it, `.<name>.lock`, which says who holds it.

    Raises:
        StoreError: another process holds it, or no file can be made there.
    """
    lock = lock_path(path)
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _held(lock)
    except OSError as error:
        raise unwritable(path, error) from error
    if descriptor is None:
        raise StoreError(f"'{path}' is being written by {_holder(lock)}; wait for it, or stop it")
    try:
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, f"process {os.getpid()} on {platform.node()}".encode())
        yield
    finally:
        _let_go(lock, descriptor)


@contextlib.contextmanager
def in_use(path: Path) -> Iterator[None]:
    """Tells others that `path` is in use within the block, where the file system has locks."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(StoreError):
            stack.enter_context(sole_writer(path))
        yield


def is_being_written(path: Path) -> bool:
    """Whether another process, or another part of this one, holds the lock of `path`; makes no file."""
    if not lock_path(path).exists():
        return False
    try:
        with sole_writer(path):
            return False
    except StoreError:
        return True


def lock_path(path: Path) -> Path:
    """The file that whoever writes `path` holds."""
    return path.with_name(f".{path.name}.lock")


def is_lock(path: Path) -> bool:
    """Whether a file is a lock, held or left over."""
    return path.name.startswith(".") and path.name.endswith(".lock")


def locked_path(lock: Path) -> Path:
    """What a lock is of: the inverse of `lock_path`."""
    return lock.with_name(lock.name.removeprefix(".").removesuffix(".lock"))


def _held(lock: Path) -> int | None:
    """A descriptor that holds the lock; None if somebody else does."""
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
        try:
            _take(descriptor)
        except OSError as error:
            os.close(descriptor)
            if error.errno in _TAKEN:
                return None
            raise
        if _is_there(lock, descriptor):
            return descriptor
        os.close(descriptor)  # it was removed by its last holder in between


def _take(descriptor: int) -> None:
    if _has_flock:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]


def _let_go(lock: Path, descriptor: int) -> None:
    if _has_flock:
        lock.unlink(missing_ok=True)  # before it is let go: whoever opened it finds out that it is gone
        os.close(descriptor)
    else:
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)  # type: ignore[attr-defined]
        os.close(descriptor)
        with contextlib.suppress(OSError):  # a file that another process has opened stays there
            lock.unlink()


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
