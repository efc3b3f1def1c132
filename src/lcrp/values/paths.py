"""Paths as a person reads them."""

import os
from pathlib import Path


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
