"""A person's own network and pictures: ``lcrp stage=render model=auto model.checkpoint=best.pt stage.image=photo.jpg``.

No dataset is named there, and the default one, the embedded pictures, has nothing to do with either: its size and
layers do not count, and what concepts usually look like is found in the pictures' own folder.
"""

import contextlib
import glob
from collections.abc import Iterator, Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import QuotedString
from hydra.errors import HydraException

from lcrp.config.commands import key, quoted

_NOT_OWN = ("embedded:", "random", "None")  # checkpoints for the embedded pictures, and nothing
_CHOOSES_DATA = {"dataset", "experiment", "dataset_model", "hydra.searchpath"}


def of_own_pictures(overrides: Sequence[str]) -> list[str]:
    """A command's settings; where they name a checkpoint and pictures of a person's own and no dataset, with one.

    Args:
        overrides: as they were written.

    Raises:
        DataError: the picture is not there; the message says what is near.
    """
    given = list(overrides)
    names = {key(one).split("/")[0] for one in given}
    if names & _CHOOSES_DATA or any(name.startswith("dataset.") for name in names):
        return given
    checkpoints, pictures = list(_values(given, "model.checkpoint")), list(_values(given, "stage.image"))
    if not checkpoints or not pictures or any(one.startswith(_NOT_OWN) for one in [*checkpoints, *pictures]):
        return given
    missing = [one for one in map(Path, pictures) if not glob.has_magic(str(one)) and not one.expanduser().exists()]
    if missing and len(pictures) > 1:
        return given  # the other jobs of a sweep go on
    if missing:
        from lcrp.data.folder import no_picture  # takes seconds: torch

        raise no_picture(missing[0])
    folders = {_folder(one) for one in pictures}
    if len(folders) > 1:
        return [*given, "dataset=folder", "dataset.path=${stage.image}"]
    return [*given, "dataset=folder", f"dataset.path={quoted(folders.pop())}"]


def _values(overrides: Sequence[str], name: str) -> Iterator[str]:
    """What a setting is given, several values in a sweep."""
    for given in overrides:
        if key(given) == name:
            with contextlib.suppress(HydraException):  # which Hydra itself will tell
                value = OverridesParser.create().parse_override(given)
                several = value.sweep_iterator() if value.is_choice_sweep() else [value.value()]
                yield from (one.text if isinstance(one, QuotedString) else str(one) for one in several)


def _folder(pictures: str) -> str:
    """Where the pictures lie that a path or pattern means: a folder, or the pattern itself."""
    path = Path(pictures).expanduser()
    return path.parent.as_posix() if path.is_file() else pictures
