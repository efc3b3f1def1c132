"""The wheel holds all that lcrp needs to run without its checkout."""

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
