"""README and docs/: commands compose, links lead somewhere, and README stays short."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from lcrp.config.compose import composed

PROJECT = Path(__file__).parents[2]
PAGES = [
    PROJECT / "README.md",
    PROJECT / "CONTRIBUTING.md",
    *sorted((PROJECT / "docs").glob("*.md")),
    *sorted((PROJECT / "docs" / "how-to").glob("*.md")),
]
OPEN = ("FOLDER", "FILE", "NAME", "...", "$(")  # stands for something of the reader's
LAUNCHERS = ("hydra/", "hydra.")  # settings that a launcher brings


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^[ ]*```{language}\n(.*?)^[ ]*```", page.read_text(encoding="utf-8"), re.M | re.S)


def commands(page: Path) -> Iterator[str]:
    for block in blocks(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            if re.match(r" *lcrp .*[a-z]=", line):
                yield line.strip()


COMMANDS = [(page, command) for page in PAGES for command in commands(page)]


def test_readme_is_short() -> None:
    lines = (PROJECT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 130
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    for link in re.findall(r"\]\(([^)#\s]+)", text):
        assert link.startswith("https://") or (page.parent / link).exists(), link


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=lambda one: one.name if isinstance(one, Path) else one)
def test_commands_compose(page: Path, command: str) -> None:  # noqa: ARG001
    """A setting that was renamed stays wrong in no page."""
    _, *words = shlex.split(command, comments=True)
    folders = [PROJECT / words[words.index("--config-dir") + 1]] if "--config-dir" in words else []
    overrides = [word for word in words if "=" in word and not word.startswith(LAUNCHERS)]
    if any(name in word for word in overrides for name in OPEN):
        pytest.skip("stands for the reader's own")
    if "-m" in words:
        overrides = [re.sub(r"=([^,\[\]]*),.*", r"=\1", word) for word in overrides]
    composed(overrides, *folders)
