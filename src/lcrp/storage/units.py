"""Results of long work, kept unit by unit, so that the same command goes on where it was stopped.

Every unit is one small file of arrays, which is there in full or not at all. Their folder is named after a hash of all
that determines the results, so results of other settings, or of another version of the code, are never taken for them.
"""

import logging
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lcrp.storage.atomic import replacing
from lcrp.storage.location import content_hash

log = logging.getLogger(__name__)

Arrays = Mapping[str, npt.NDArray[Any]]

_HASH_DIGITS = 16


class Units:
    """The units of one piece of work.

    Args:
        root: folder of what runs share.
        name: of the work, for people.
        identity: all that determines the results, as plain nested values.
        version: of the code that makes them: raised when it writes other arrays, or other numbers.
    """

    def __init__(self, root: Path, name: str, identity: Mapping[str, object], *, version: int) -> None:
        safe = re.sub(r"[^\w.-]", "_", name)
        known = content_hash({"identity": identity, "version": version})
        self.folder = root / "evidence" / f"{safe}_{known[:_HASH_DIGITS]}"
        self.is_told = False  # that there are kept ones

    def read(self, unit: str) -> dict[str, npt.NDArray[Any]] | None:
        """The results of a unit; None if they are not there, or damaged."""
        path = self._path(unit)
        if not path.is_file():
            return None
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                return {name: stored[name] for name in stored.files}
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
            log.warning("'%s' is damaged and made again: %s", path, str(error).splitlines()[0] if str(error) else error)
            return None

    def write(self, unit: str, arrays: Arrays) -> None:
        """Keep the results of a unit.

        Raises:
            StoreError: nothing can be written there.
        """
        with replacing(self._path(unit)) as part, part.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]

    def _path(self, unit: str) -> Path:
        return self.folder / f"{unit}.npz"
