"""Provenance: what a run says of itself, so that it can be repeated and looked at again."""

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import cast

from lcrp import __version__
from lcrp.errors import StoreError
from lcrp.runs.machine import peak_memory

PROVENANCE_FILE = "provenance.json"
_PACKAGES = ("torch", "torchvision", "zennit", "numpy", "h5py")


def write_provenance(folder: Path, facts: Mapping[str, object], *, seconds: float) -> Path:
    """Write provenance.json: what was run, by which versions, on what, and at what cost.

    Args:
        folder: of the run.
        facts: what only the caller knows (overrides, device, checkpoint and dataset hashes, outcome).
        seconds: wall time of the run.

    Returns:
        The file.
    """
    peak = peak_memory()
    record = {
        "versions": versions(),
        "commit": commit(),
        "host": {"platform": platform.platform(), "cores": os.cpu_count()},
        **facts,
        "wall_seconds": round(seconds, 2),
        "peak_memory_mib": None if peak is None else round(peak / 2**20),
    }
    path = folder / PROVENANCE_FILE
    path.write_text(json.dumps(record, indent=2, default=str) + "\n", encoding="utf-8")
    return path


def read_provenance(folder: Path) -> dict[str, object]:
    """What a run wrote of itself.

    Raises:
        StoreError: it is no folder of a run, or its provenance is damaged.
    """
    path = folder / PROVENANCE_FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StoreError(
            f"'{folder}' has no {PROVENANCE_FILE}: name the folder of a run that ended well, such as outputs/runs/..."
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"'{path}' cannot be read: {error}") from error
    if not _is_provenance(found):
        raise StoreError(f"'{path}' is no provenance of lcrp")
    return cast(dict[str, object], found)


def _is_provenance(found: object) -> bool:
    if not isinstance(found, dict) or not isinstance(found.get("written", {}), dict):
        return False
    if "command" not in found and isinstance(found.get("function"), str):  # a call in Python
        return True
    command = found.get("command")
    if not isinstance(command, dict) or not isinstance(command.get("folder"), str):
        return False
    overrides = command.get("overrides")
    return isinstance(overrides, list) and all(isinstance(override, str) for override in overrides)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that can alter numbers, lcrp among them."""
    known = {"python": platform.python_version(), "lcrp": __version__}
    return known | {name: _version(name) for name in _PACKAGES}


def _version(name: str) -> str:
    """Of an installed package; 'unknown' of one that is only on the path, as copied sources are."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "unknown"


def commit() -> str | None:
    """Commit of the checkout that this package runs from, with '-dirty' if it was edited; None outside one."""
    package = Path(__file__).resolve().parents[1]
    if package.parent.name != "src":  # installed from a wheel: a repository around it is somebody else's
        return None
    try:
        described = subprocess.run(
            ["git", "-C", str(package), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() or None


def file_sha256(path: Path) -> str:
    """The sha256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
