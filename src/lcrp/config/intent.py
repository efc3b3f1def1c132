"""What a person meant who wrote words instead of settings, or misspelt a choice: ``lcrp render photo.jpg``."""

import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from lcrp.config.commands import quoted
from lcrp.config.paths import config_dir
from lcrp.values.names import PICTURES

GROUPS = ("stage", "model", "dataset", "composite")
WEIGHTS = (".pt", ".pth", ".ckpt", ".safetensors")
_SIMILAR = 0.7  # of a misspelt word to the choice that is meant


def meant(arguments: Sequence[str], folders: Sequence[Path] = ()) -> list[str]:
    """Settings for the words among a command's arguments; what is a setting already, or is not understood, stays.

    Args:
        arguments: of the command, without its flags.
        folders: of a person's own configuration.
    """
    found = [setting for argument in arguments for setting in _settings(argument, folders)]
    shows_picture = any(setting.startswith("stage.image=") for setting in found)
    chosen = {setting.partition("=")[0] for setting in found}
    has_file = "model.checkpoint" in chosen and "model.checkpoint=random" not in found
    if has_file and found != list(arguments) and "model" not in chosen:
        found = ["model=auto", *found]
    return ["stage=render", *found] if shows_picture and "stage" not in chosen else found


def _settings(argument: str, folders: Sequence[Path]) -> Iterator[str]:
    group, is_setting, choice = argument.partition("=")
    suffix = Path(argument).suffix.lower()
    if is_setting or argument.startswith("~"):
        is_one = group in GROUPS and "," not in choice
        yield f"{group}={_nearest(choice, options(group, folders)) or choice}" if is_one else argument
    elif suffix in WEIGHTS or (Path(argument) / "config.json").is_file():
        yield f"model.checkpoint={quoted(argument)}"
    elif suffix in PICTURES or Path(argument).is_dir():
        yield f"stage.image={quoted(argument)}"
    else:
        choices = {choice: group for group in reversed(GROUPS) for choice in options(group, folders)}
        choice = _nearest(argument, list(choices))
        yield f"{choices[choice]}={choice}" if choice else argument


def own_folders(config_dir: str | None, overrides: Sequence[str]) -> list[Path]:
    """Folders of a person's own configuration, as a command names them by --config-dir and hydra.searchpath."""
    searched = [one for one in overrides if one.startswith("hydra.searchpath=")]
    paths = [path for one in searched for path in re.findall(r"file://([^,'\"\]]+)", one)]
    return [Path(path) for path in ([config_dir] if config_dir else []) + paths]


def options(group: str, folders: Sequence[Path] = ()) -> list[str]:
    """Choices of a group, lcrp's and a person's own."""
    return sorted({path.stem for folder in (config_dir(), *folders) for path in (folder / group).glob("*.yaml")})


def _nearest(word: str, choices: Sequence[str]) -> str:
    """The choice that is meant by a word; empty if none is like it, or two are as much."""
    similar = {choice: difflib.SequenceMatcher(None, word, choice).ratio() for choice in choices}
    first, second = sorted([0.0, 0.0, *similar.values()], reverse=True)[:2]
    return max(similar, key=similar.__getitem__) if first >= _SIMILAR and first > second else ""
