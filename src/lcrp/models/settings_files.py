"""Settings of networks in JSON files beside their weights (no torch)."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lcrp.errors import CheckpointError

CONFIG = "config.json"
MAX_BYTES = 2**20


def read_settings(path: Path) -> Mapping[str, Any]:
    """What a JSON file holds by name.

    Raises:
        CheckpointError: it cannot be read, or holds something else.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise CheckpointError(f"'{path}' has {size} bytes, the limit is {MAX_BYTES}")
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"'{path}' cannot be read as JSON ({error})") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"'{path}' holds a {type(found).__name__}, not settings by name")
    return found


def config_of(folder: Path) -> Mapping[str, Any]:
    """With which settings the network in a folder was built; none for a file.

    Raises:
        CheckpointError: they cannot be read.
    """
    return read_settings(folder / CONFIG) if folder.is_dir() else {}
