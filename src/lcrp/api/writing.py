"""Files that a person asked for."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lcrp.errors import StoreError


@contextmanager
def writable(paths: Sequence[Path]) -> Iterator[None]:
    """Files are written in the block: their folders are made, as for all that lcrp writes.

    Raises:
        StoreError: one of them cannot be written.
    """
    try:
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        named = ", ".join(f"'{path}'" for path in paths)
        raise StoreError(f"cannot write {named}: {error.strerror or error}") from error
