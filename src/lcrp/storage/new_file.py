"""HDF5 files in the making: how arrays and texts are laid out."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import numpy.typing as npt

from lcrp.storage.atomic import replacing
from lcrp.storage.disk import Disk
from lcrp.storage.hdf5 import Array, Rowwise, encoded_texts, text_dtype

_LIBRARY_VERSION = ("v108", "v108")  # fixed: equal content gives equal bytes, and old readers can follow
_CHUNK_ENTRIES = 1 << 18


@contextlib.contextmanager
def new_file(path: Path, *, kind: str, version: int) -> Iterator["NewGroup"]:
    """A file that replaces `path` once the block has ended without an error.

    Args:
        path: where the file will lie.
        kind: its format, such as 'lcrp-statistics'.
        version: version of the format.
    """
    with replacing(path) as part, part.open("w+b", buffering=0) as raw:
        disk = Disk(raw)
        with h5py.File(disk, "w", libver=_LIBRARY_VERSION) as file:
            file.attrs["format"], file.attrs["format_version"] = kind, version
            yield NewGroup(group=file, disk=disk)
        disk.check()


class Rows(NamedTuple):
    """Rows of a source, from `start` to before `stop`."""

    source: Rowwise
    start: int
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewGroup:
    """A group of a new file, or the file itself.

    What keeps the file from being written is raised with the next array, rather than after hours.

    Attributes:
        group: as h5py knows it.
        disk: what the file is written to.
    """

    group: h5py.Group
    disk: Disk

    @property
    def attrs(self) -> h5py.AttributeManager:
        """Its attributes."""
        return self.group.attrs

    def create_group(self, name: str) -> "NewGroup":
        """A group within this one."""
        return NewGroup(group=self.group.create_group(name), disk=self.disk)

    def write_array(self, name: str, values: Array, *, compress: bool = True) -> None:
        """Write an array [...], checksummed, and compressed unless that is refused.

        A table [K, ...] of three axes has one chunk per row, others have chunks of whole rows.
        """
        layout = _layout(values.shape, compress=compress)
        self.group.create_dataset(name, data=values, track_times=False, **layout)
        self.disk.check()

    def write_rows(self, name: str, parts: Sequence[Rows], dtype: npt.DTypeLike, *, compress: bool) -> None:
        """Write the rows of several sources one after the other; the bytes do not depend on how they are cut.

        No more than a chunk of the dataset and a chunk of a part lie in memory at once.

        Args:
            name: of the dataset.
            parts: what its rows are taken from, one at least; they agree in all axes but the first.
            dtype: of the dataset.
            compress: gzip.
        """
        shape = (sum(part.stop - part.start for part in parts), *parts[0].source.shape[1:])
        layout = _layout(shape, compress=compress)
        dataset = self.group.create_dataset(name, shape=shape, dtype=dtype, track_times=False, **layout)
        start = 0
        for block in _blocks(parts, layout["chunks"][0] if layout else 1):
            dataset[start : start + len(block)] = block.astype(dataset.dtype)
            start += len(block)
            self.disk.check()

    def write_texts(self, name: str, texts: Sequence[str]) -> None:
        """Write texts [N] as UTF-8 of fixed length, so that they are checksummed and compressed like numbers."""
        encoded = encoded_texts(texts)
        self.write_array(name, encoded.astype(text_dtype([encoded])))


def _blocks(parts: Sequence[Rows], size: int) -> Iterator[Array]:
    """Rows of all parts in blocks of equal size, the last one perhaps smaller."""
    waiting: list[Array] = []
    missing = size
    for source, start, stop in parts:
        while start < stop:
            rows = source[start : min(stop, start + missing)]
            waiting.append(rows)
            start, missing = start + len(rows), missing - len(rows)
            if not missing:
                yield np.concatenate(waiting)
                waiting, missing = [], size
    if waiting:
        yield np.concatenate(waiting)


def _layout(shape: Sequence[int], *, compress: bool) -> dict[str, Any]:
    """How a dataset of this shape lies in the file; nothing for empty ones."""
    if 0 in shape:
        return {}
    row_entries = int(np.prod(shape[1:]))
    num_rows = 1 if len(shape) == 3 else min(shape[0], max(1, _CHUNK_ENTRIES // row_entries))
    options: dict[str, Any] = {"chunks": (num_rows, *shape[1:]), "fletcher32": True}
    if compress:
        options |= {"compression": "gzip", "compression_opts": 1, "shuffle": True}
    return options
