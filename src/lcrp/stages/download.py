"""stage=download: the public datasets, from where they are published to the folder where lcrp looks for them."""

import logging
from dataclasses import dataclass
from pathlib import Path

from lcrp.data.fetch import lacking, received, unpack, verify
from lcrp.data.published import ARCHIVES, BY_HAND, Archive
from lcrp.errors import DataError, refuse
from lcrp.runs.run import Run

log = logging.getLogger(__name__)

MB = 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadSettings:
    """What is fetched, from where to where.

    Attributes:
        dataset: its name.
        root: its folder; None if it has none.
        url_base: address of a folder that holds the archives instead of the one where they are published.
        keep_archives: whether archives stay in `root` when they are unpacked.
    """

    dataset: str
    root: Path | None
    url_base: str | None
    keep_archives: bool

    def __post_init__(self) -> None:
        if self.url_base is not None and not self.url_base.startswith(("http://", "https://")):
            refuse([f"url_base='{self.url_base}' is no address; write http://... or https://..."])


def download(settings: DownloadSettings, run: Run) -> list[Path]:
    """Fetch what is not there yet of a public dataset, verify it and unpack it.

    A transfer that broke off goes on where it stopped.

    Returns:
        The dataset's folder; nothing if it needs no download.

    Raises:
        DataError: the dataset needs an account, or something cannot be fetched, verified, written or unpacked.
    """
    name, root = settings.dataset, settings.root
    if root is not None and name in BY_HAND:
        raise DataError(BY_HAND[name].format(root=root))
    if root is None or name not in ARCHIVES:
        log.info("dataset '%s' has nothing to download; public ones are %s", name, ", ".join(ARCHIVES))
        return []
    for archive in ARCHIVES[name]:
        if lacking(archive, root):
            _provide(archive, root, settings, run)
        else:
            log.info("%s is there already", " and ".join(str(root / part) for part in archive.contents))
    return [root]


def _provide(archive: Archive, root: Path, settings: DownloadSettings, run: Run) -> None:
    """Bring what an archive contains into the dataset's folder."""
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{root} cannot be made: {error.strerror}; set dataset.root to another folder") from error
    path = root / archive.file_name
    if path.is_file():
        log.info("%s is there already; it is checked and unpacked", path)
        verify(path, archive)
    else:
        _fetch(archive, path, settings.url_base, run)
    log.info("unpacking %s", path)
    unpack(path, archive, root)
    if not settings.keep_archives:
        path.unlink()


def _fetch(archive: Archive, path: Path, url_base: str | None, run: Run) -> None:
    """Transfer an archive, or the rest of it; it gets its name once it is verified."""
    url = archive.url if url_base is None else f"{url_base.rstrip('/')}/{archive.file_name}"
    part = path.with_name(f"{path.name}.part")
    pieces = received(url, part)
    start, total = next(pieces)
    shown = start // MB
    with run.progress(total // MB, f"fetch {archive.file_name}", "MB", done=shown) as progress:
        for there, _ in pieces:
            progress.advance(there // MB - shown)
            shown = there // MB
    try:
        verify(part, archive)
    except DataError as error:
        part.unlink()
        raise DataError(f"{error}; it is deleted. Run the command again, or set stage.url_base to a mirror") from None
    part.replace(path)
