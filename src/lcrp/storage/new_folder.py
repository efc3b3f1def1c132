"""A folder that is there whole or not at all."""

import contextlib
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from lcrp.errors import StoreError


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to write to, which becomes `path` once the block has ended without an error.

    Raises:
        StoreError: something is at `path` already, or nothing can be written there.
    """
    try:
        if path.exists() and not (path.is_dir() and not any(path.iterdir())):
            raise StoreError(
                f"'{path}' is there already and is left alone; name a new folder", mend="Set stage.folder."
            )
        part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
        part.mkdir(parents=True)
        try:
            yield part
            part.replace(path)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise StoreError(f"cannot write '{path}': {error.strerror or error}") from error
