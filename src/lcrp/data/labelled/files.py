"""Files of pictures, and names for them."""

import os
from collections.abc import Sequence
from pathlib import Path

from lcrp.errors import DataError
from lcrp.values.names import PICTURES


def pictures_below(folder: Path) -> list[Path]:
    """All pictures in a folder and its sub-folders, by path.

    Raises:
        DataError: it cannot be looked into.
    """
    found: list[Path] = []

    def refuse(error: OSError) -> None:
        raise DataError(f"folder {folder} cannot be read ({error})") from error

    for where, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        found += [Path(where, name) for name in sorted(names) if is_picture(name)]
    return found


def is_picture(name: str) -> bool:
    """Whether a file is called like a picture."""
    return name.lower().endswith(PICTURES) and not name.startswith(".")


def relative_keys(paths: Sequence[Path]) -> tuple[list[str], Path]:
    """Names of files below the folder that holds them all, and this folder."""
    base = Path(os.path.commonpath([path.parent for path in paths]))
    return [path.relative_to(base).as_posix() for path in paths], base
