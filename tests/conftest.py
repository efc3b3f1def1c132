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
        pytest.skip("the forerunner's recorded outputs are not here; LCRP_SHARED=FOLDER names them")
    return folder
