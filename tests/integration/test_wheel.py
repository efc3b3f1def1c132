"""The wheel holds all that lcrp needs to run without its checkout."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import hatchling.build
import pytest

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with what is in the wheel."""
    folder = tmp_path_factory.mktemp("dist")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(PROJECT)
        wheel = hatchling.build.build_wheel(str(folder))
    with zipfile.ZipFile(folder / wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.fixture(scope="module")
def names(installed: Path) -> set[str]:
    return {path.relative_to(installed).as_posix() for path in installed.rglob("*") if path.is_file()}


def test_every_module_is_in_the_wheel(names: set[str]) -> None:
    source = PROJECT / "src"
    assert {path.relative_to(source).as_posix() for path in source.rglob("*.py")} <= names


def test_every_setting_is_in_the_wheel(names: set[str]) -> None:
    """hatchling obeys .gitignore: an unanchored line there drops folders of the same name."""
    wanted = {f"lcrp/{path.relative_to(PROJECT).as_posix()}" for path in (PROJECT / "conf").rglob("*.yaml")}
    assert "lcrp/conf/config.yaml" in wanted
    assert wanted <= names


def test_settings_keep_their_comments(installed: Path) -> None:
    """They are what a user of the wheel reads a setting's meaning in."""
    for path in (PROJECT / "conf").rglob("*.yaml"):
        assert (installed / "lcrp" / path.relative_to(PROJECT)).read_bytes() == path.read_bytes()


def test_embedded_weights_are_in_the_wheel(names: set[str]) -> None:
    folder = PROJECT / "src" / "lcrp" / "models" / "weights"
    assert {f"lcrp/models/weights/{path.name}" for path in folder.glob("*.pt")} <= names


def test_nothing_else_is_in_the_wheel(names: set[str]) -> None:
    assert {name.split("/")[0].split("-")[0] for name in names} == {"lcrp"}
    assert any(name.endswith("entry_points.txt") for name in names)


def test_a_type_checker_finds_the_types_in_the_wheel(names: set[str]) -> None:
    assert "lcrp/py.typed" in names


@pytest.mark.slow
def test_readme_draws_a_figure_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (PROJECT / "README.md").read_text(encoding="utf-8"), re.S)
    program = f"import lcrp; assert lcrp.__file__.startswith({str(installed)!r})\n{example}"
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("boat 0.55: 2 % of the relevance lies outside; concepts 21, 17, 27")
    assert (tmp_path / "decision_0.png").read_bytes().startswith(b"\x89PNG")
