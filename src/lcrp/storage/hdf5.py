"""HDF5 files: how arrays and texts are laid out, and how what is wrong with a file is told."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from lcrp.errors import StoreError
from lcrp.storage.atomic import replacing

Array = npt.NDArray[Any]

_LIBRARY_VERSION = ("v108", "v108")  # fixed: equal content gives equal bytes, and old readers can follow
_CHUNK_ENTRIES = 1 << 18
_DAMAGE = (OSError, KeyError, RuntimeError, ValueError, TypeError)  # what h5py raises on damaged files
_ENCODING = ("utf-8", "surrogateescape")  # file names need not be valid UTF-8


@contextlib.contextmanager
def new_file(path: Path, *, kind: str, version: int) -> Iterator[h5py.File]:
    """A file that replaces `path` once the block has ended without an error.

    Args:
        path: where the file will lie.
        kind: its format, such as 'lcrp-statistics'.
        version: version of the format.
    """
    with replacing(path) as part, h5py.File(part, "w", libver=_LIBRARY_VERSION) as file:
        file.attrs["format"], file.attrs["format_version"] = kind, version
        yield file


def open_file(path: Path, *, kind: str, version: int) -> h5py.File:
    """A file opened for reading, of the right format and version.

    Raises:
        StoreError: it is missing, damaged, or something else.
    """
    with reading(path):
        file = h5py.File(path, "r")
        try:
            _check_format(file, path, kind, version)
        except BaseException:
            file.close()
            raise
        return file


def _check_format(file: h5py.File, path: Path, kind: str, version: int) -> None:
    found = file.attrs.get("format")
    if found != kind:
        raise StoreError(f"'{path}' is no {kind} file (its format is {found!r})")
    found = int(file.attrs["format_version"])
    if found != version:
        raise StoreError(
            f"'{path}' has version {found} of the format {kind}, this lcrp reads version {version}; "
            "make the file again, or use the lcrp that wrote it"
        )


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Tells what goes wrong in opening or reading `path` as one line.

    Raises:
        StoreError: the file is missing, truncated, not HDF5, or a checksum does not fit.
    """
    try:
        yield
    except FileNotFoundError:
        raise StoreError(f"there is no file '{path}'") from None
    except _DAMAGE as error:
        reason = str(error).strip("'\"").splitlines()[0] if str(error) else type(error).__name__
        raise StoreError(f"'{path}' cannot be read, if it is damaged delete it and make it again: {reason}") from error


def write_array(group: h5py.Group, name: str, values: Array, *, compress: bool = True) -> None:
    """Write an array [...], checksummed, and compressed unless that is refused.

    A table [K, ...] of three axes has one chunk per row, others have chunks of whole rows.
    """
    options: dict[str, object] = {}
    if values.size:
        row_entries = max(1, values[0].size)
        num_rows = 1 if values.ndim == 3 else min(len(values), max(1, _CHUNK_ENTRIES // row_entries))
        options = {"chunks": (num_rows, *values.shape[1:]), "fletcher32": True}
        if compress:
            options |= {"compression": "gzip", "compression_opts": 1, "shuffle": True}
    group.create_dataset(name, data=values, track_times=False, **options)


def read_array(group: h5py.Group, name: str) -> Array:
    """An array as it was written."""
    values: Array = np.asarray(group[name][()])
    return values


def write_texts(group: h5py.Group, name: str, texts: Sequence[str], *, compress: bool = True) -> None:
    """Write texts [N] as UTF-8 of fixed length, so that they are checksummed and compressed like numbers."""
    encoded = [text.encode(*_ENCODING) for text in texts]
    length = max((len(text) for text in encoded), default=0)
    write_array(group, name, np.array(encoded, dtype=h5py.string_dtype("utf-8", max(1, length))), compress=compress)


def read_texts(group: h5py.Group, name: str) -> list[str]:
    """Texts as they were written."""
    return [bytes(text).decode(*_ENCODING) for text in read_array(group, name).tolist()]
