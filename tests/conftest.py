"""Fixtures shared by all tests."""

import os
import random
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

PROJECT = Path(__file__).resolve().parents[1]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Start every test, its fixtures included, at the same random numbers, whatever ran before it.

    With one thread, so that what is counted happens in this process: with several, work is done side by side.
    """
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with real checkpoints, photographs and the forerunner's outputs."""
    folder = Path(os.environ.get("LCRP_SHARED", PROJECT.parent / "shared"))
    if not (folder / "goldens").is_dir():
        pytest.skip("the forerunner's recorded outputs are not here; LCRP_SHARED=FOLDER names them")
    return folder


@pytest.fixture
def no_other_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that tests before left behind do not count: beside others no copy of a process begins."""
    before = set(threading.enumerate())
    monkeypatch.setattr(threading, "active_count", lambda: 1 + len(set(threading.enumerate()) - before))
