"""The command line, run inside the test's own process: importing torch anew takes seconds."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from lcrp.cli import main

# A detector small enough to run in a test; low thresholds, so that random weights detect something.
TINY = (
    "model=yolov5",
    "model.checkpoint=random",
    "model.network.depth=0.1",
    "model.network.width=0.05",
    "model.confidence=0.0000001",
    "model.max_detections=1",
    "model.layer=model.2.cv3.conv",
    "statistics.layers=[model.2.cv3.conv]",
    "statistics.targets=predicted",
    "statistics.num_samples=2",
    "statistics.batch_size=2",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a command left behind: exit code and the lines it wrote."""

    code: int
    out: list[str]
    err: list[str]


@pytest.fixture
def lcrp(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., Outcome]:
    """Runs ``lcrp`` with the given arguments in the test's own folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)

    def run(*arguments: str) -> Outcome:
        monkeypatch.setattr("sys.argv", ["lcrp", *arguments])
        root = logging.getLogger()
        handlers, level = root.handlers[:], root.level
        capsys.readouterr()
        code: object = None
        try:
            main()
        except SystemExit as stop:
            code = stop.code
        finally:  # Hydra's handlers write to streams that end with the test
            logging.captureWarnings(False)
            for handler in set(root.handlers) - set(handlers):
                handler.close()
            root.handlers[:] = handlers
            root.setLevel(level)
        captured = capsys.readouterr()
        assert code is None or isinstance(code, int)
        return Outcome(code=code or 0, out=captured.out.splitlines(), err=captured.err.splitlines())

    return run
