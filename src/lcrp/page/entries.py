"""Decisions and misses as the page holds them: how large each is, how many fit, and what the index says of them.

Axes: N concept shown, h w grid.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lcrp.page.arrays import Blocks
from lcrp.page.content import DecisionContent
from lcrp.page.maps import quantised

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A decision, or a miss, with its arrays.

    Attributes:
        content: what it is.
        maps: [1 + N, h, w] quantised.
        limits: of the maps.
        mask: [h, w]; None where a box says it.
        size: bytes of it, but for the photograph.
    """

    content: DecisionContent
    maps: Array
    limits: tuple[float, ...]
    mask: Array | None
    size: int

    @classmethod
    def of(cls, content: DecisionContent) -> "Entry":
        """An entry of what is shown."""
        found = [quantised(one) for one in content.maps]
        maps = np.stack([cells for cells, _ in found])
        mask = content.mask
        trial = Blocks()
        trial.add({"maps": maps} | ({} if mask is None else {"mask": mask}))
        size = len(trial.packed[0]) + sum(len(one) for one in _strips(content) if one is not None)
        return cls(content=content, maps=maps, limits=tuple(limit for _, limit in found), mask=mask, size=size)

    def index(self, name: str, blocks: Blocks, images: list[bytes]) -> dict[str, Any]:
        """What the index says of it; its arrays go to a block of their own, and its crops to the images.

        Args:
            name: of its arrays, such as 'd3'.
            blocks: of the page.
            images: of the page.
        """
        arrays = {f"{name}.maps": self.maps}
        blocks.add(arrays if self.mask is None else {**arrays, f"{name}.mask": self.mask})
        content = self.content
        numbers = [None if strip is None else added(images, strip) for strip in _strips(content)]
        return {
            "id": content.id,
            "picture": content.picture,
            "box": None if content.box is None else list(content.box),
            "limits": list(self.limits),
            "arrays": name,
            "facts": dict(content.facts),
            "alarm": content.alarm,
            "missed": None if content.missed is None else content.missed.index(numbers),
        }


def num_fitting(entries: Sequence[Entry], photographs: Sequence[bytes | None], room: float) -> int:
    """How many fit, from the first on."""
    seen: set[int] = set()
    for number, one in enumerate(entries):
        image = photographs[one.content.picture]
        room -= one.size + (0 if one.content.picture in seen or image is None else len(image))
        seen.add(one.content.picture)
        if room < 0:
            return number
    return len(entries)


def size_of(entries: Sequence[Entry], photographs: Sequence[bytes | None]) -> int:
    """Bytes of entries and their photographs."""
    shown = {one.content.picture for one in entries}
    return sum(one.size for one in entries) + sum(len(photographs[number] or b"") for number in shown)


def added(images: list[bytes], image: bytes) -> int:
    """The number of an image that is added."""
    images.append(image)
    return len(images) - 1


def _strips(content: DecisionContent) -> list[bytes | None]:
    return [] if content.missed is None else [one.strip for one in content.missed.concepts]
