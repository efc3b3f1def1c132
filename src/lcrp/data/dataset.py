"""What every dataset offers to the stages, and what datasets share."""

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from lcrp.data.transforms import InputTransform
from lcrp.errors import DataError, nearest
from lcrp.values.sample import Sample


class Dataset(Protocol):
    """Pictures in a fixed order, each with a key, ready for a model but for the normalisation."""

    @property
    def name(self) -> str:
        """The dataset's name in messages and figures."""
        ...

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, index = class id (for segmentation with the background)."""
        ...

    @property
    def transform(self) -> InputTransform:
        """How a picture becomes the model's input."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample:
        """Sample `index`; DataError if its picture cannot be read."""
        ...

    def key(self, index: int) -> str:
        """Name of sample `index` that stays when the dataset grows."""
        ...

    def index_of(self, key: str) -> int:
        """Index of the sample called `key`; DataError if there is none."""
        ...

    def fingerprint(self) -> str:
        """Hash of the samples and their order, the same wherever the files lie."""
        ...


class Keyed:
    """What datasets share that know the keys of all samples beforehand.

    Attributes:
        name: the dataset's name.
        keys: of the samples, in order.
    """

    name: str
    keys: Sequence[str]

    def __len__(self) -> int:
        return len(self.keys)

    def key(self, index: int) -> str:
        """Name of sample `index`; DataError if there is none."""
        return self.keys[checked_index(index, len(self), self.name)]

    def index_of(self, key: str) -> int:
        """Index of the sample called `key`; DataError if there is none."""
        return find_key(self.keys, key, self.name)


def find_key(keys: Sequence[str], key: str, name: str) -> int:
    """Index of `key` in `keys`.

    Args:
        keys: every sample's key.
        key: the key that is looked for.
        name: the dataset's name, for the message.

    Raises:
        DataError: if no sample has this key.
    """
    try:
        return keys.index(key)
    except ValueError:
        raise DataError(f"{name} has no sample '{key}'; nearest: {nearest(key, keys)}") from None


def checked_index(index: int, length: int, name: str) -> int:
    """`index` if the dataset has such a sample.

    Raises:
        DataError: if it is negative or too large.
    """
    if not 0 <= index < length:
        raise DataError(f"{name} has no sample {index}; it has {length} samples, numbered from 0")
    return index


def file_size(path: str | Path) -> int:
    """Bytes of a file; -1 if there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - of a text it takes a fifth of the time
    except (OSError, ValueError):  # a name that no file can have
        return -1
    return found.st_size if stat.S_ISREG(found.st_mode) else -1


def fingerprint_of(name: str, files: Iterable[tuple[str, int]], options: Mapping[str, object]) -> str:
    """Hash of a dataset's name, its samples in order and its options.

    Args:
        name: the dataset's name.
        files: key and file size in bytes of every sample, in order.
        options: whatever else determines the samples, as plain values.

    Returns:
        64 hexadecimal digits (sha256).
    """
    digest = hashlib.sha256()
    digest.update(json.dumps([name, options], sort_keys=True).encode())
    for key, size in files:
        digest.update(json.dumps([key, size]).encode())
    return digest.hexdigest()
