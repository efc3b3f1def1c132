"""Arrays of numbers in blocks of bytes, and a JSON index that says where each lies.

A block is gzip of its arrays one after the other, little-endian, each beginning at a multiple of 8 bytes.
"""

import gzip
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Entry = dict[str, Any]

TYPES: Final = {"i1": np.int8, "u1": np.uint8, "i4": np.int32, "f4": np.float32, "f8": np.float64}
ALIGNED = 8


class Blocks:
    """Blocks that are being filled."""

    def __init__(self) -> None:
        self.index: dict[str, Entry] = {}
        self.packed: list[bytes] = []

    def add(self, arrays: Mapping[str, Array]) -> int:
        """Add one block; returns its number."""
        parts, at = [], 0
        for name, array in arrays.items():
            kind = _kind(array)
            values = np.ascontiguousarray(array, dtype=np.dtype(TYPES[kind]).newbyteorder("<")).tobytes()
            assert name not in self.index, name
            self.index[name] = {"type": kind, "shape": list(array.shape), "block": len(self.packed), "at": at}
            padding = -len(values) % ALIGNED
            parts.append(values + bytes(padding))
            at += len(values) + padding
        self.packed.append(gzip.compress(b"".join(parts), compresslevel=6, mtime=0))
        return len(self.packed) - 1


def unpacked(entry: Entry, blocks: Sequence[bytes]) -> Array:
    """An array by its entry in the index, from blocks that are no longer compressed."""
    kind = np.dtype(TYPES[entry["type"]]).newbyteorder("<")
    count = int(np.prod(entry["shape"], dtype=np.int64))
    array = np.frombuffer(blocks[entry["block"]], dtype=kind, count=count, offset=entry["at"])
    return array.reshape(entry["shape"])


def _kind(array: Array) -> str:
    """How an array is stored: whole numbers in 32 bits unless they are bytes."""
    match array.dtype.kind, array.dtype.itemsize:
        case "b", _:
            return "u1"
        case (("i" | "u"), 1):
            return "i1" if array.dtype.kind == "i" else "u1"
        case (("i" | "u"), _):
            assert not array.size or (array.min() >= -(2**31) and array.max() < 2**31), "beyond 32 bits"
            return "i4"
        case "f", 4:
            return "f4"
        case _:
            return "f8"
