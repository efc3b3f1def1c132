"""HDF5 files: how arrays and texts are laid out, and how what is wrong with a file is told."""

import contextlib
import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
import numpy.typing as npt

from lcrp.errors import InaccessibleError, StoreError, VersionError

Array = npt.NDArray[Any]

_MOST_COMPRESSED = 1100  # bytes that gzip can make of one, and some more
_DAMAGE = (OSError, KeyError, RuntimeError, ValueError, TypeError)  # what h5py raises on damaged files
_LOCKED = "unable to lock file"  # HDF5's words; on Windows the error says nothing else
_ENCODING = ("utf-8", "surrogateescape")  # file names need not be valid UTF-8


def open_file(path: Path, *, kind: str, version: int) -> h5py.File:
    """A file opened for reading, of the right format and version.

    Raises:
        StoreError: it is missing, damaged, or something else.
    """
    with reading(path):
        if path.exists() and not path.is_file():  # to open a pipe would wait for ever
            raise StoreError(f"'{path}' is no file")
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
        raise StoreError(f"'{path}' is no {kind} file (its format is {found!r}), or it is damaged")
    found = int(file.attrs["format_version"])
    if found != version:
        raise VersionError(
            f"'{path}' has version {found} of the format {kind}, but this lcrp reads version {version}: make the file "
            "anew, or use the lcrp that wrote it"
        )


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Tells what goes wrong in opening or reading `path` as one line.

    Raises:
        StoreError: the file is missing, truncated, not HDF5, or a checksum does not fit.
        InaccessibleError: another program holds it, or the system refuses it.
    """
    try:
        yield
    except FileNotFoundError:
        raise StoreError(f"there is no file '{path}'") from None
    except _DAMAGE as error:
        if isinstance(error, BlockingIOError) or _LOCKED in str(error):
            raise InaccessibleError(_held(path, error)) from error
        if isinstance(error, OSError) and error.errno is not None:  # told by the system, not by HDF5
            raise InaccessibleError(f"'{path}' cannot be read: {os.strerror(error.errno)}") from error
        reason = str(error).strip("'\"").splitlines()[0] if str(error) else type(error).__name__
        raise StoreError(f"'{path}' cannot be read, if it is damaged delete it and make it again: {reason}") from error


def _held(path: Path, error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
        return (
            f"'{path}' lies on a file system without locks; the environment variable HDF5_USE_FILE_LOCKING=FALSE reads "
            "it all the same"
        )
    return f"'{path}' is held open by another program, which may be writing it; close it there and try again"


class Rowwise(Protocol):
    """An array, or something else that is read row by row."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of every axis."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the entries."""

    def __getitem__(self, rows: slice) -> Array:
        """Rows as an array."""


def read_array(group: h5py.Group, name: str) -> Array:
    """An array as it was written.

    Raises:
        ValueError: it cannot be that what is declared was stored.
    """
    dataset = group[name]
    if not isinstance(dataset, h5py.Dataset):
        raise ValueError(f"group '{dataset.name}' is no array")
    stored = dataset.id.get_storage_size()
    if dataset.nbytes > stored * _MOST_COMPRESSED:
        raise ValueError(f"array '{dataset.name}' declares {dataset.nbytes} bytes, {stored} are stored")
    values: Array = np.asarray(dataset[()])
    return values


def encoded_texts(texts: Sequence[str]) -> Array:
    """Texts [N] as bytes of one length."""
    encoded = [text.encode(*_ENCODING) for text in texts]
    return np.array(encoded, dtype=f"S{max(map(len, encoded), default=1) or 1}")


def text_dtype(columns: Sequence[Rowwise]) -> np.dtype[Any]:
    """Of a dataset that holds the texts of all columns."""
    length = max(column.dtype.itemsize for column in columns)
    dtype: np.dtype[Any] = h5py.string_dtype("utf-8", length)
    return dtype


def read_texts(group: h5py.Group, name: str) -> list[str]:
    """Texts as they were written."""
    return [bytes(text).decode(*_ENCODING) for text in read_array(group, name).tolist()]
