"""Sizes and paths as a person reads them."""

from pathlib import Path

import pytest

from lcrp.values.paths import shown
from lcrp.values.sizes import size_text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (9_960, "10 kB"),
        (248_000_000, "248 MB"),
        (999_600_000, "1.0 GB"),
        (3e15, "3000 TB"),
    ],
)
def test_sizes(size: float, text: str) -> None:
    assert size_text(size) == text


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown(tmp_path / "a" / "b") == str(Path("a", "b"))
    assert shown(tmp_path.parent) == str(tmp_path.parent)
    assert shown(Path("a", "b")) == str(Path("a", "b"))
    assert shown(tmp_path / "a" / "b", tmp_path / "a") == "b"
