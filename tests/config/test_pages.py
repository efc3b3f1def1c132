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
    told = {"model=auto": "model=yolo", "dataset=auto": "dataset=yolo"}  # as the reader's files tell
    overrides = [told.get(word, word) for word in overrides]
    if any(name in word for word in overrides for name in OPEN):
        pytest.skip("stands for the reader's own")
    if "-m" in words:
        overrides = [re.sub(r"=([^,\[\]]*),.*", r"=\1", word) for word in overrides]
    composed(overrides, *folders)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("fasterrcnn_resnet50_fpn", "detectors it is letterboxed into 800 x 800 pixels"),
        ("ssd300_vgg16", "`ssd300_vgg16` stretches to 300 x 300"),
        ("ssdlite320_mobilenet_v3_large", "`ssdlite320_mobilenet_v3_large` to 320 x 320"),
        ("deeplabv3_resnet50", "segmenters the shorter side becomes 520 pixels"),
    ],
)
def test_the_page_of_torchvision_says_how_pictures_are_placed(name: str, words: str) -> None:
    """It called segmenters letterboxed into 800 x 800."""
    page = (PROJECT / "docs" / "how-to" / "torchvision.md").read_text(encoding="utf-8")
    assert words in " ".join(page.split())
    side = int(re.findall(r"\d{3}", words)[-1])
    placed = composed(["model=torchvision", f"model.network.name={name}"]).model.input
    resize = "letterbox" if "letterboxed" in words else "shorter_crop" if "shorter" in words else "stretch"
    assert (placed.height, placed.width, placed.resize) == (side, side, resize)
