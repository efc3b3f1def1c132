"""Files of pictures, and names for them; paths are texts where there may be a hundred thousand of them."""

import os
from collections.abc import Sequence
from pathlib import Path

from lcrp.errors import DataError
from lcrp.values.names import PICTURES

_LISTED = 5


def pictures_below(folder: str | Path) -> list[str]:
    """Paths of all pictures in a folder and its sub-folders, in order.

    Raises:
        DataError: it cannot be looked into.
    """
    found: list[str] = []

    def refuse(error: OSError) -> None:
        raise DataError(f"folder {folder} cannot be read ({error})") from error

    for where, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        found += [os.path.join(where, name) for name in sorted(names) if is_picture(name)]  # noqa: PTH118 - see above
    return found


def is_picture(name: str) -> bool:
    """Whether a file is called like a picture."""
    return name.lower().endswith(PICTURES) and not name.startswith(".")


def relative_keys(paths: Sequence[str]) -> tuple[list[str], Path]:
    """Names of files below the folder that holds them all, and this folder."""
    base = os.path.commonpath(list(dict.fromkeys(map(os.path.dirname, paths))))
    return [inside(path, base) for path in paths], Path(base)


def inside(path: str, folder: str | Path) -> str:
    """The part of a path below a folder that it begins with, with slashes."""
    return path[len(os.path.join(folder, "")) :].replace(os.sep, "/")  # noqa: PTH118 - texts


def by_stem(paths: Sequence[str], folder: str | Path) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Files by their path below a folder, without the ending, and what is to be said of those of one such name."""
    found: dict[str, Path] = {}
    doubled = []
    for path in paths:
        key = inside(path, folder)
        stem = os.path.splitext(key)[0]  # noqa: PTH122 - texts
        if stem in found:
            doubled.append(f"{key} (beside {found[stem].name})")
        else:
            found[stem] = Path(path)
    if not doubled:
        return found, ()
    examples = ", ".join(doubled[:_LISTED])
    return found, (f"{len(doubled)} files are called like another one but for the ending, and left out: {examples}",)
