"""Fetching a published archive: resumed where it broke off, verified, unpacked.

torchvision's own download starts over each time, which no one wants to do with seven gigabytes.
"""

import http.client
import re
import tarfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from torchvision.datasets.utils import calculate_md5

from lcrp.data.published import Archive
from lcrp.errors import DataError

PIECE = 2**20  # bytes read at a time
TIMEOUT = 60.0  # seconds without a byte
_NETWORK_ERRORS = (OSError, http.client.HTTPException)
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")
_AGAIN = "run the command again to go on"
_ARCHIVE_ERRORS = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, RuntimeError)


def lacking(archive: Archive, folder: Path) -> dict[str, int]:
    """Parts of the archive that are not complete in a folder, with the files that are there of each."""
    found = {part: _num_files(folder / part) for part in archive.contents}
    return {part: count for part, count in found.items() if count < archive.contents[part]}


def received(url: str, part: Path) -> Iterator[tuple[int, int]]:
    """Append what is still missing of the file at `url` to `part`.

    Args:
        url: http or https.
        part: what an earlier try left, if anything.

    Yields:
        Bytes that are there and bytes in all: at once, and after every piece.

    Raises:
        DataError: the server refuses, the connection breaks off or the disk is full; `part` stays for the next try.
    """
    try:
        there = part.stat().st_size if part.is_file() else 0
        response, start, total = _opened(url, max(0, there - 1))  # one byte again: asking for none is an error
        with response, part.open("r+b" if start else "wb") as file:
            file.seek(start)
            yield start, total
            while piece := response.read(PIECE):
                file.write(piece)
                yield file.tell(), total
    except urllib.error.HTTPError as error:
        raise DataError(
            f"{url} answers {error.code} {error.reason}; see whether it has moved, or set stage.url_base to a mirror"
        ) from error
    except _NETWORK_ERRORS as error:
        raise DataError(f"{url} could not be fetched{_so_far(part)}: {_reason(error)}; {_AGAIN}") from error
    if part.stat().st_size != total:
        raise DataError(f"{url} broke off{_so_far(part)} of {total / 1e6:.0f}; {_AGAIN}")


def verify(path: Path, archive: Archive) -> None:
    """Compare a file's md5 with the published one, if one is known.

    Raises:
        DataError: they differ; the message names both.
    """
    found = calculate_md5(path) if archive.md5 else None
    if found != archive.md5:
        raise DataError(f"{path} is not the published {archive.file_name}: its md5 is {found}, not {archive.md5}")


def unpack(path: Path, archive: Archive, folder: Path) -> None:
    """Unpack what a dataset needs of an archive into its folder; files that are there are replaced.

    Every file appears in full or not at all. Nothing is written outside `folder`.

    Raises:
        DataError: the archive is damaged or lacks something, one of its members leads outside, the disk is full, or
            this Python cannot unpack tar files safely.
    """
    try:
        with TemporaryDirectory(dir=folder, prefix=f".{path.name}.") as name:
            temporary = Path(name)
            extract = _extract_zip if path.suffix == ".zip" else _extract_tar
            extract(path, temporary, lambda member: _is_wanted(member, tuple(archive.contents)))
            for file in [found for found in temporary.rglob("*") if found.is_file()]:
                target = folder / file.relative_to(temporary)
                target.parent.mkdir(parents=True, exist_ok=True)
                file.replace(target)
    except _ARCHIVE_ERRORS as error:
        raise DataError(f"{path} cannot be unpacked ({error}); delete it and fetch it again") from error
    except OSError as error:
        raise DataError(f"{path} cannot be unpacked into {folder}: {error.strerror or error}") from error
    for part, count in lacking(archive, folder).items():
        raise DataError(f"{path} holds only {count} of {archive.contents[part]} files of {part}; delete it")


def _opened(url: str, offset: int) -> tuple[http.client.HTTPResponse, int, int]:
    """The answer to a request for all but the first `offset` bytes, where it begins, and the length in all."""
    headers = {"User-Agent": "lcrp"} | ({"Range": f"bytes={offset}-"} if offset else {})
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        return _opened(url, 0)  # what is there is no beginning of this file
    answered = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if response.status == http.HTTPStatus.PARTIAL_CONTENT and answered and int(answered[1]) == offset:
        return response, offset, int(answered[2])
    length = response.headers.get("Content-Length")
    if response.status == http.HTTPStatus.OK and length:  # all of it: this server does not go on
        return response, 0, int(length)
    response.close()
    raise http.client.HTTPException(f"its answer {response.status} does not say how long the file is")


def _extract_zip(path: Path, folder: Path, is_wanted: Callable[[str], bool]) -> None:
    with zipfile.ZipFile(path) as opened:
        for name in opened.namelist():
            if name.startswith("/") or ".." in PurePosixPath(name).parts or "\\" in name or ":" in name:
                raise zipfile.BadZipFile(f"its member '{name}' leads outside")
        opened.extractall(folder, [name for name in opened.namelist() if is_wanted(name)])


def _extract_tar(path: Path, folder: Path, is_wanted: Callable[[str], bool]) -> None:
    if not hasattr(tarfile, "data_filter"):
        raise DataError(f"{path} is kept, but Python unpacks tar files safely from 3.11.4 on only; use a newer Python")
    with tarfile.open(path, "r:") as opened:
        opened.extractall(folder, [one for one in opened.getmembers() if is_wanted(one.name)], filter="data")


def _is_wanted(member: str, parts: Sequence[str]) -> bool:
    return any(member == part or member.startswith(f"{part}/") for part in parts)


def _num_files(path: Path) -> int:
    """Files in a folder, or 1 for a file."""
    if path.is_dir():
        return sum(child.is_file() for child in path.iterdir())
    return int(path.is_file())


def _so_far(part: Path) -> str:
    return f" beyond {part.stat().st_size / 1e6:.0f} MB" if part.is_file() else ""


def _reason(error: BaseException) -> str:
    """Why it failed, in few words."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if not isinstance(cause, OSError) or not cause.strerror:
        return str(cause) or type(cause).__name__
    return f"{cause.strerror} ({cause.filename})" if cause.filename else cause.strerror
