"""A file that HDF5 writes to, on a disk that may be full."""

import contextlib
import io
from collections.abc import Iterator
from typing import Any


class Disk:
    """A file as HDF5 writes it, which can be closed even where nothing more can be written.

    HDF5's own files crash the process when they are closed on a full disk. Here what fails is noted, and raised by
    `check`.

    Args:
        raw: unbuffered, open for reading and writing.
    """

    def __init__(self, raw: io.FileIO) -> None:
        self._raw, self._place, self._end = raw, 0, 0
        self._error: OSError | None = None

    def check(self) -> None:
        """Raise the first error there was."""
        if self._error is not None:
            raise self._error

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place in the file, as if all had been written."""
        self._place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._end}[whence]
        return self._place

    def tell(self) -> int:
        """The place in the file; h5py asks for it."""
        return self._place

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; with zeros where nothing could be written."""
        view = memoryview(buffer).cast("B")
        self._raw.seek(self._place)
        done = 0
        while done < len(view):
            count = self._raw.readinto(view[done:])
            if not count:
                view[done:] = bytes(len(view) - done)
                break
            done += count
        self._place += len(view)
        return len(view)

    def read(self, size: int) -> bytes:
        """Bytes from the present place on."""
        content = bytearray(size)
        self.readinto(content)
        return bytes(content)

    def write(self, content: Any) -> int:
        """Write all of a buffer."""
        view = memoryview(content).cast("B")
        with self._noted():
            self._raw.seek(self._place)
            done = 0
            while done < len(view):
                done += self._raw.write(view[done:])
        self._place += len(view)
        self._end = max(self._end, self._place)
        return len(view)

    def truncate(self, size: int) -> int:
        """Set the length."""
        with self._noted():
            self._raw.truncate(size)
        self._end = size
        return size

    def flush(self) -> None:
        """Nothing is buffered here."""

    @contextlib.contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._error = self._error or error
