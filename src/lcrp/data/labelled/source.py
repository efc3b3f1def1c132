"""A labelled set in arrays, whatever layout it had."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lcrp.data.labelled.objects import Objects
from lcrp.data.labelled.reading import Reading

Frame = str  # 'shown', 'stored' or 'fitting'


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Pictures and their annotated objects.

    Attributes:
        keys: of the pictures, in order.
        folder: in which they lie, by their key unless `paths` says otherwise.
        paths: of pictures that lie elsewhere, by number.
        class_names: of the data; index = label.
        objects: of all pictures.
        reading: what was read.
        content: hash of what determines labels and boxes.
        frame: what coordinates refer to: pixels as 'stored', as 'shown' (turned as EXIF says), or whatever is
            'fitting'.
        is_clipped: whether boxes end where the picture does.
        origin: for messages of pictures that do not fit, where to get them.
    """

    keys: Sequence[str]
    folder: Path
    class_names: tuple[str, ...]
    objects: Objects
    reading: Reading
    content: str
    paths: dict[int, Path] = field(default_factory=dict)
    frame: Frame = "fitting"
    is_clipped: bool = True
    origin: str = ""

    def path(self, number: int) -> Path:
        """Where a picture lies."""
        return self.paths.get(number) or self.folder / self.keys[number]

    def files(self) -> Iterator[str | Path]:
        """Where all pictures lie, for a glance at each."""
        folder = os.path.join(self.folder, "")  # noqa: PTH118 - paths of a hundred thousand take seconds
        return (self.paths.get(number) or f"{folder}{key}" for number, key in enumerate(self.keys))
