"""What ``lcrp stage=render --help`` prints: the settings of a choice, as its YAML file tells of them."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from lcrp.config.intent import GROUPS
from lcrp.config.paths import config_dir

_HIDDEN = re.compile(r"\s*(_target_|name):|# @package")
_WHOLE = ("experiment",)  # groups whose files set all groups


def help_pages(overrides: Sequence[str], folders: Sequence[Path] = ()) -> str:
    """Settings of the groups that a command chooses from, ready to be printed; empty where it chooses none.

    Args:
        overrides: of the command.
        folders: of a person's own configuration.
    """
    pages = []
    for override in overrides:
        group, _, choice = override.lstrip("+").partition("=")
        path = _file(group, choice, folders) if group in (*GROUPS, *_WHOLE) else None
        if path is not None:
            pages.append("\n".join(_page(group, choice, path.read_text(encoding="utf-8").splitlines())))
    return "\n\n".join(pages)


def _file(group: str, choice: str, folders: Sequence[Path]) -> Path | None:
    paths = (folder / group / f"{choice}.yaml" for folder in (config_dir(), *folders))
    return next((path for path in paths if path.is_file()), None)


def _page(group: str, choice: str, lines: Sequence[str]) -> Iterator[str]:
    """What it is for and how it is called, then its settings with what they mean."""
    num_heading = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    yield f"{group}={choice}"
    yield ""
    yield from (f"  {line.lstrip('# ')}" for line in lines[:num_heading] if not line.startswith("# @"))
    settings = list(_settings(lines[num_heading:]))
    where = "It sets" if group in _WHOLE else f"Settings, each written {group}.KEY=VALUE, with their defaults"
    yield ""
    yield f"  {where}:" if settings else "  It has no settings of its own."
    yield ""
    yield from (f"    {line}" for line in settings)
    yield ""
    yield f"  {f'lcrp --cfg job {group}={choice}':<40}  all settings, with the values of these choices"
    yield f"  {'lcrp --help':<40}  all choices, and what they share"


def _settings(lines: Sequence[str]) -> Iterator[str]:
    """The lines of a file that a person can set: all but its head, what Hydra reads and its names."""
    is_defaults = False
    for line in lines:
        if line.startswith("defaults:"):
            is_defaults = True
        elif is_defaults and line.startswith((" ", "-")):
            continue
        elif line.strip() and not _HIDDEN.match(line):
            is_defaults = False
            yield line
