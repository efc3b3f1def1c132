"""A user's own pictures: a file, a folder or a glob pattern, without annotations."""

import glob
import os
import re
from pathlib import Path

from lcrp.data.dataset import Keyed, fingerprint_of
from lcrp.data.pictures import picture_size, read_picture
from lcrp.data.transforms import InputTransform
from lcrp.errors import DataError, nearest
from lcrp.values.names import PICTURES
from lcrp.values.paths import shown
from lcrp.values.sample import Sample

_CHOICES = "give a picture, a folder of pictures or a glob pattern"
UNNAMED = "pictures"  # also in fingerprints, whatever folder they lie in


class FolderDataset(Keyed):
    """Pictures by path, in natural order ('2.png' before '10.png'), turned as their EXIF orientation says."""

    def __init__(self, path: str | Path, transform: InputTransform, class_names: tuple[str, ...]) -> None:
        """Find the pictures.

        Args:
            path: a picture, a folder (not its sub-folders), or a glob pattern such as 'photos/**/*.jpg'.
            transform: how a picture becomes the model's input.
            class_names: of the model, for labels in figures.

        Raises:
            DataError: if there is no picture.
        """
        self.class_names = class_names
        self.transform = transform
        paths = _pictures(Path(path).expanduser())
        base = paths[0].parent if len(paths) == 1 else Path(os.path.commonpath([found.parent for found in paths]))
        folder = base.resolve()
        self.name = UNNAMED if folder == Path.home() else folder.name or UNNAMED  # the home's name is a person's
        self._paths = {found.relative_to(base).as_posix(): found for found in paths}
        self.keys = tuple(sorted(self._paths, key=natural_order))

    def __getitem__(self, index: int) -> Sample:
        """Sample `index`; DataError if its picture cannot be read."""
        key = self.key(index)
        image, _, geometry = self.transform(read_picture(self._paths[key], oriented=True), None)
        return Sample(index=index, key=key, image=image, annotation=None, geometry=geometry)

    def picture_size(self, index: int) -> tuple[int, int]:
        """(height, width) of a picture; DataError if it cannot be read."""
        return picture_size(self._paths[self.key(index)])

    def fingerprint(self) -> str:
        """Hash of keys, file sizes and transform."""
        files = ((key, self._paths[key].stat().st_size) for key in self.keys)
        return fingerprint_of(UNNAMED, files, {"transform": self.transform.description()})


def natural_order(key: str) -> list[tuple[bool, int, str]]:
    """Sort key under which numbers inside a name count as numbers; ties break by the name itself."""
    parts = re.split(r"([0-9]+)", key)
    return [(not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts if part]


def _pictures(given: Path) -> list[Path]:
    """Absolute paths of the pictures that a path or pattern means."""
    if given.is_file():
        return [given.absolute()]
    if given.is_dir():
        hits, where = [child.path for child in os.scandir(given)], f"folder {given}"
    else:
        hits, where = glob.glob(str(given), recursive=True), f"'{given}'"  # noqa: PTH207 - pathlib's: no absolute ones
        if not hits and not glob.has_magic(str(given)):
            raise no_picture(given)
    base = Path.cwd()
    found = [hit for hit in hits if os.path.isfile(hit)]  # noqa: PTH113 - texts: there may be a hundred thousand
    pictures = [base / hit for hit in found if _is_picture(Path(hit))]
    if not pictures:
        below = next((one for one in given.glob("**/*") if _is_picture(one)), None) if given.is_dir() else None
        if below is not None:
            pattern = f"{shown(given)}/**/*{below.suffix}"
            raise DataError(
                f"{where} holds no pictures itself, and its sub-folders do ({shown(below, given)}): give the pattern "
                f"'{pattern}', in quotes; pictures with labels are read by dataset=auto"
            )
        raise DataError(f"{where} holds no pictures among its {len(found)} files; known are {', '.join(PICTURES)}")
    return pictures


def no_picture(given: Path) -> DataError:
    """That a path leads nowhere, and what is near."""
    return DataError(f"'{given}' is not there; {_CHOICES}{beside(given)}")


def beside(given: Path) -> str:
    """What lies where a path leads nowhere: pictures, folders and files of its ending, the most similar first."""
    folder = next(one for one in (*given.parents, Path()) if one.is_dir())
    try:
        there = sorted(folder.iterdir())
        seen = [one for one in there if not one.name.startswith(".")]
        names = [one.name for one in seen if _is_picture(one) or one.is_dir() or one.suffix == given.suffix]
    except OSError:  # not for us to look into
        return ""
    wanted = given.relative_to(folder).parts[0]
    return f". Nearest in '{shown(folder.absolute())}': {nearest(wanted, names, limit=3)}" if names else ""


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURES and not path.name.startswith(".")
