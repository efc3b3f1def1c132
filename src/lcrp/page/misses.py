"""What the explorer says of an object that was missed, as plain values (no torch)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lcrp.values.geometry import Box

if TYPE_CHECKING:
    from lcrp.page.content import ReferenceContent

ABSENT = ("concept", "found", "here", "gain")


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlineContent:
    """A box beside that of the object.

    Attributes:
        text: what it is.
        box: (left, top, right, bottom) in shares of what is shown of the picture.
    """

    text: str
    box: Box


@dataclass(frozen=True, slots=True, kw_only=True)
class MissedConcept:
    """A concept that is weak in a missed object, or speaks there.

    Attributes:
        concept: channel of the layer.
        text: what it does here, and where objects of the class are found.
        references: found objects in which it counts.
        strip: a crop of each (WebP); None without pictures.
    """

    concept: int
    text: str
    references: "tuple[ReferenceContent, ...]" = ()
    strip: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MissedContent:
    """Why an object was missed, and what would have carried it.

    Attributes:
        number: of the object in the picture's annotation.
        mechanism: why it was missed, in a word.
        headline: in a sentence.
        notes: further sentences: what giving back activation does first.
        heading: of the concepts.
        references_heading: of their references.
        concepts: in the order of the decision's facts.
        outlines: its best box, and the one that was preferred to it, if there is one.
        absent: of every absent concept its channel, what it adds where objects are found and here, and what giving it
            back would add.
    """

    number: int
    mechanism: str
    headline: str
    notes: tuple[str, ...]
    heading: str
    references_heading: str
    concepts: tuple[MissedConcept, ...]
    outlines: tuple[OutlineContent, ...]
    absent: tuple[tuple[int, float, float, float], ...] = ()

    def index(self, images: Sequence[int | None]) -> Mapping[str, Any]:
        """As the page's index holds it; `images` are the numbers of the strips."""
        return {
            **{name: getattr(self, name) for name in ("mechanism", "headline", "heading", "references_heading")},
            "notes": list(self.notes),
            "outlines": [{"text": one.text, "box": list(one.box)} for one in self.outlines],
            "concepts": [
                {
                    "concept": one.concept,
                    "text": one.text,
                    "image": image,
                    "references": [[ref.sample, ref.class_id, ref.score] for ref in one.references],
                }
                for one, image in zip(self.concepts, images, strict=True)
            ],
            "absent": [dict(zip(ABSENT, row, strict=True)) for row in self.absent],
        }
