"""The settings of a choice as its file tells of them, so that nobody needs the source."""

from pathlib import Path

import pytest

from lcrp.config.help import help_pages
from lcrp.config.paths import config_dir

FILES = sorted(path for path in config_dir().glob("*/*.yaml") if path.parent.name != "dataset_model")


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_choice_has_a_page_with_all_its_settings_and_comments(path: Path) -> None:
    plus = "+" if path.parent.name == "experiment" else ""
    page = help_pages([f"{plus}{path.parent.name}={path.stem}"])
    assert page.startswith(f"{path.parent.name}={path.stem}\n")
    assert "_target_" not in page
    assert "defaults:" not in page.replace("their defaults:", "")
    lines = [line for line in path.read_text().splitlines() if line.startswith(tuple("abcdefghijklmnopqrstuvwxyz"))]
    for line in lines:
        if not line.startswith(("defaults:", "name:")):
            assert f"    {line}\n" in page
    assert max(map(len, page.splitlines())) <= 124


@pytest.mark.parametrize("path", [path for path in FILES if path.parent.name == "stage"], ids=lambda path: path.stem)
def test_every_stage_shows_a_command(path: Path) -> None:
    page = help_pages([f"stage={path.stem}"])
    assert f"lcrp stage={path.stem}" in page.partition("Settings, each")[0].partition("lcrp --cfg")[0]


def test_several_choices_have_a_page_each() -> None:
    page = help_pages(["stage=render", "statistics.top_n=3", "model=unet"])
    assert "stage=render\n" in page
    assert "\n\nmodel=unet\n" in page
    assert "null: samples of the dataset" in page


def test_a_persons_own_stage_has_one_too(tmp_path: Path) -> None:
    (tmp_path / "stage").mkdir()
    (tmp_path / "stage" / "mine.yaml").write_text(
        "# What it does.\ndefaults:\n  - x\n\n_target_: a.b\nname: mine\nlimit: 3  # at most\n"
    )
    page = help_pages(["stage=mine"], [tmp_path])
    assert "  What it does.\n" in page
    assert "    limit: 3  # at most\n" in page


def test_without_a_choice_there_is_none() -> None:
    assert help_pages([]) == help_pages(["stage=nothing"]) == help_pages(["statistics.top_n=3"]) == ""
