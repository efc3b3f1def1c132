"""What the explorer says of an audit, as plain values (no torch)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lcrp.values.geometry import Box

THUMBNAIL = 160  # side of a picture in its strip, in pixels
COLUMNS = (  # of the table 'shown'
    *("class", "key", "sample", "object", "file", "height", "width", "ground", "label", "score", "outcome"),
    *("left", "top", "right", "bottom"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SwappedContent:
    """An object before one ground.

    Attributes:
        ground: kind of it.
        label: what it is, in few words.
        score: how sure the network is of the object.
        outcome: what became of the decision.
        box: of the object, (left, top, right, bottom) in shares of the picture.
    """

    ground: str
    label: str
    score: float
    outcome: str
    box: Box


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedContent:
    """An object before a few grounds.

    Attributes:
        class_name: of the object.
        key: of its picture.
        size: (height, width) of the picture.
        swapped: before each ground, its own picture first.
        strip: pictures side by side (WebP), each within a square of `THUMBNAIL` pixels; None without pictures.
    """

    class_name: str
    key: str
    size: tuple[int, int]
    swapped: tuple[SwappedContent, ...]
    strip: bytes | None = None

    def index(self, image: int | None) -> Mapping[str, Any]:
        """As the page's index holds it; `image` is the number of the strip."""
        return {
            "class": self.class_name,
            "key": self.key,
            "size": list(self.size),
            "image": image,
            "swapped": [
                {
                    "ground": one.ground,
                    "label": one.label,
                    "score": one.score,
                    "outcome": one.outcome,
                    "box": list(one.box),
                }
                for one in self.swapped
            ],
        }


def fitting(objects: Sequence[AuditedContent], room: float) -> tuple[AuditedContent, ...]:
    """As many as fit into so many bytes, from the first on."""
    kept = 0
    for one in objects:
        room -= len(one.strip or b"")
        if room < 0:
            break
        kept += 1
    return tuple(objects[:kept])
