"""Files that are either there in full or not there at all."""

import contextlib
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

from lcrp.errors import StoreError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; it replaces `path` once the block has ended without an error.

    What was written is on the disk before the replacement, so neither a crash nor a loss of power leaves half a
    file. Several processes may write the same path: the last one to finish wins.

    Raises:
        StoreError: the folder cannot be made, or nothing can be written there.
    """
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            _sync(part, os.O_RDWR)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        if hasattr(os, "O_DIRECTORY"):  # Windows opens no folders
            _sync(path.parent, os.O_RDONLY)
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> StoreError:
    """What to say of a file, or of a folder, that cannot be made."""
    is_in_the_way = isinstance(error, NotADirectoryError | FileExistsError)
    places = (place for place in (*reversed(path.parents), path) if place.is_symlink() or place.exists())
    obstacle = next((place for place in places if not place.is_dir()), None) if is_in_the_way else None
    if obstacle is None:
        return StoreError(f"cannot write '{path}': {error.strerror or error}")
    return StoreError(f"cannot write '{path}': '{obstacle}' is no folder; rename it, or work in another folder")


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write plain nested values as indented JSON, in the order given."""
    with replacing(path) as part:
        part.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
