"""Paths as a person reads them."""

import os
import re
from pathlib import Path

_FILES = (".yaml", ".yml", ".json", ".xml", ".txt")
_PARTS = ("annotations", "images", "labels", "masks", "train", "val", "valid", "validation", "test", "default")
_MAGIC = re.compile(r"[*?\[]")


def shown(path: Path, folder: Path | None = None) -> str:
    """A path relative to a folder, by default the current one, if it lies below it, else as it is.

    Logs and messages are passed on to others: they need not know where, and under whose name, the folder lies.
    """
    try:
        return str(path.relative_to(folder or Path.cwd()))
    except ValueError:
        return str(path)


def without_current_folder(text: str) -> str:
    """A message whose paths are relative to the current folder where they lie below it."""
    folder = Path.cwd()
    return text if folder == folder.parent else text.replace(f"{folder}{os.sep}", "")


def folder_named(path: Path) -> str:
    """What labelled pictures at a path are called: the folder of the set, and not that of one of its parts.

    Args:
        path: of a folder, a pattern, or a file such as data.yaml.

    Returns:
        Its name; empty where it says nothing, or is that of a home folder, which is a person's.
    """
    plain = Path(os.path.abspath(path.expanduser()))  # noqa: PTH100 - a link is called as it is
    if plain.suffix.lower() in _FILES or plain.is_file():
        plain = plain.parent
    while plain.name.lower() in _PARTS or _MAGIC.search(plain.name):
        plain = plain.parent
    return "" if plain == Path.home() else plain.name
