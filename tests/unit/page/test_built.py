"""The program of the page as it lies in the package."""

import gzip
import shutil
import subprocess
from pathlib import Path

import pytest

from lcrp.page.html import PROGRAM, STYLE, built

PROJECT = Path(__file__).parents[3]
MOST_BYTES = 30_000


def test_it_is_small() -> None:
    assert len(gzip.compress(built(PROGRAM).encode())) <= MOST_BYTES


def test_it_is_what_its_modules_say(tmp_path: Path) -> None:
    """A module that was changed without `make explorer` changes no page."""
    if shutil.which("node") is None or not (PROJECT / "explorer" / "node_modules").is_dir():
        pytest.skip("needs Node.js and esbuild: make explorer")
    subprocess.run(["node", "build.mjs", tmp_path], cwd=PROJECT / "explorer", check=True, timeout=60)
    for name in (PROGRAM, STYLE):
        assert (tmp_path / name).read_text(encoding="utf-8") == built(name), (
            "run make explorer, and commit what it builds"
        )


def test_modules_are_short_and_write_no_markup() -> None:
    """Texts from data that become markup would run in the page of whoever opens it."""
    modules = sorted((PROJECT / "src/lcrp/page/program").glob("*.js"))
    assert len(modules) > 10
    for module in modules:
        text = module.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 300, module.name
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
            assert word not in text, f"{module.name} uses {word}"
