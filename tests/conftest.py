"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with real checkpoints, photographs and the forerunner's outputs."""
    folder = Path(os.environ.get("LCRP_SHARED", PROJECT.parent / "shared"))
    if not (folder / "goldens").is_dir():
        pytest.skip(f"{folder} with the forerunner's outputs is not on this machine (LCRP_SHARED names another folder)")
    return folder
