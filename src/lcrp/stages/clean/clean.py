"""stage=clean: what earlier commands left behind, and what of it the person wants deleted."""

import contextlib
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lcrp.errors import StoreError, nearest
from lcrp.runs.run import Run
from lcrp.stages.clean.kept import ROOTS, Kept, files_of, kept, num_bytes_of
from lcrp.storage.location import final_path
from lcrp.storage.lock import is_lock, lock_path, locked_path, sole_writer
from lcrp.values.paths import shown
from lcrp.values.sizes import size_text

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanSettings:
    """What is deleted.

    Attributes:
        delete: files, folders and patterns of them, relative to the folder where the command was given.
    """

    delete: tuple[str, ...] = ()


def clean(settings: CleanSettings, run: Run) -> list[Path]:
    """List what earlier commands left in the current folder, or delete what is named.

    Nothing outside outputs/ and multirun/ is deleted, no link is followed, and nothing that another process writes is
    touched. All of what is named is checked before anything is deleted.

    Args:
        settings: what is deleted; nothing lists what is there.
        run: whose own folder stays.

    Returns:
        Nothing: no file is written.

    Raises:
        StoreError: what is named is not there, lies elsewhere, or is being written.
    """
    origin = run.output_root.parent
    if not settings.delete:
        _tell([one for one in kept(origin) if run.folder not in (one.path, *one.path.parents)], origin)
        return []
    chosen = [path for pattern in settings.delete for path in _named(origin, pattern, run.folder)]
    paths = [path for path in dict.fromkeys(chosen) if not any(other in path.parents for other in chosen)]
    with contextlib.ExitStack() as locks:
        for locked in sorted({one for path in paths for one in _written(path)}):
            locks.enter_context(sole_writer(locked))
        freed = [_removed(path) for path in paths]
    for path in paths:
        _remove_folders(path)
    for path, size in zip(paths, freed, strict=True):
        log.info("deleted: %s (%s)", shown(path), size_text(size))
    log.info("freed: %s", size_text(sum(freed)))
    return []


def _tell(found: Sequence[Kept], origin: Path) -> None:
    for one in found:
        size, path = size_text(one.num_bytes), shown(one.path, origin)
        log.info("%-10s %8s %11s  %s: %s", one.kind, size, one.age_text, path, one.state)
    total = size_text(sum(one.num_bytes for one in found))
    log.info("%d things, %s; stage.delete=[PATH,PATTERN,...] deletes those that you name", len(found), total)


def _named(origin: Path, pattern: str, own: Path) -> list[Path]:
    """What a path or a pattern names, but for the folder of this very run."""
    whole = Path(os.path.normpath(origin / pattern))
    root = next((origin / name for name in ROOTS if origin / name in whole.parents), None)
    if root is None:
        raise StoreError(
            f"'{pattern}' is not deleted: it is not below {' or '.join(f'{name!r}' for name in ROOTS)} of the current "
            "folder; name files, folders or patterns there"
        )
    inner = str(whole.relative_to(root))
    try:
        found = [root / inner] if os.path.lexists(root / inner) else sorted(root.glob(inner))
    except (ValueError, NotImplementedError) as error:
        raise StoreError(f"'{pattern}' is no pattern: {error}") from error
    if not found:
        there = [shown(path, origin) for path in sorted(root.glob("*"))]
        raise StoreError(f"there is no '{pattern}' to delete; nearest: {nearest(pattern, there)}")
    for path in found:
        link = next((one for one in path.parents if root in one.parents and one.is_symlink()), None)
        if link is not None:
            raise StoreError(f"'{shown(path, origin)}' is not deleted: '{shown(link, origin)}' is a link to elsewhere")
    return [path for path in found if path != own and path not in own.parents]


def _written(path: Path) -> set[Path]:
    """Files there that a process locked, by the names under which they are locked; it may have ended since."""
    files = set(files_of(path))
    of_locks = {locked_path(one) for one in files if is_lock(one)}
    return of_locks | {final for one in files if lock_path(final := final_path(one)).exists()}


def _removed(path: Path) -> int:
    """Delete the files of a path but for locks, which are held; how many bytes that frees."""
    size = num_bytes_of(path)
    for one in list(files_of(path)):
        if not is_lock(one):
            try:
                one.unlink()
            except OSError as error:
                raise StoreError(f"cannot delete '{shown(one)}': {error.strerror or error}") from error
    return size


def _remove_folders(path: Path) -> None:
    """Delete folders that are empty by now; one in which another process has begun something stays."""
    if path.is_symlink() or not path.is_dir():
        return
    for folder, _, _ in os.walk(path, topdown=False):
        with contextlib.suppress(OSError):
            Path(folder).rmdir()
