"""What was read of a set: counts and names, as plain values, to be said once and to be kept beside the numbers."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lcrp.data.labelled.objects import Objects

log = logging.getLogger(__name__)

_LISTED = 5  # examples of each reason
_LONG_NAME = 80  # signs
_LONGEST = 20_000  # characters of all of it
_NAMES = 12  # classes in one line


class LeftOut:
    """Objects that are left out, by reason: how many, and the first of them."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._examples: dict[str, list[str]] = {}

    def add(self, reason: str, example: object) -> None:
        """One more; the reason goes on from 'objects are left out, '."""
        self._counts[reason] = self._counts.get(reason, 0) + 1
        examples = self._examples.setdefault(reason, [])
        if len(examples) < _LISTED:
            examples.append(_legible(str(example)))

    @property
    def count(self) -> int:
        """How many."""
        return sum(self._counts.values())

    def first(self) -> str:
        """The first reason, in words."""
        reason, count = next(iter(self._counts.items()))
        return f"{count} of them, {reason}: {self._examples[reason][0]}"

    def told(self) -> dict[str, tuple[int, tuple[str, ...]]]:
        """Count and examples of every reason."""
        return {reason: (count, tuple(self._examples[reason])) for reason, count in self._counts.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was read of a set.

    Attributes:
        layout: 'COCO', 'YOLO', ...
        source: the file or folder that was read, its bare name.
        class_names: of the data.
        num_pictures: that are read.
        num_objects: of them, without those that are left out; None for masks of classes.
        num_outlined: objects that have an outline, not a box alone.
        num_unlabelled: pictures without any object.
        left_out: count and examples of objects that are left out, by reason.
        no_outline: the same of objects whose outline is, so that their box stands for it.
        num_crowds: groups annotated as one, which are left out.
        odd: what may not be meant as it is read.
        no_picture: labels whose picture is not there, and pictures that are listed and not there.
        twice: what is there twice.
        frame: what coordinates refer to where pictures carry an orientation; empty where none does.
        notes: whatever else a person should know.
        joined: which of its classes the network knows; empty where nothing was joined.
    """

    layout: str
    source: str
    class_names: tuple[str, ...]
    num_pictures: int
    num_objects: int | None
    num_outlined: int = 0
    num_unlabelled: int = 0
    left_out: Mapping[str, tuple[int, tuple[str, ...]]] = field(default_factory=dict)
    no_outline: Mapping[str, tuple[int, tuple[str, ...]]] = field(default_factory=dict)
    num_crowds: int = 0
    odd: tuple[str, ...] = ()
    no_picture: tuple[str, ...] = ()
    twice: tuple[str, ...] = ()
    frame: str = ""
    notes: tuple[str, ...] = ()
    joined: str = ""

    def noting(self, *notes: str) -> "Reading":
        """The same with more to say."""
        return replace(self, notes=(*self.notes, *(one for one in notes if one)))

    def lacking(self, keys: Sequence[str]) -> "Reading":
        """The same where pictures are listed and not there."""
        told = f"{len(keys)} of {self.num_pictures} pictures are not there: {', '.join(map(_legible, keys[:_LISTED]))}"
        return replace(self, no_picture=(*self.no_picture, told))

    def with_join(self, joined: str) -> "Reading":
        """The same, and which classes a network knows."""
        return replace(self, joined=joined)

    def lines(self) -> Iterator[str]:
        """As a person reads it, first what there is."""
        yield f"{self.layout}, {_legible(self.source)}: {self._counts()}"
        yield f"classes: {listed(self.class_names)}"
        if self.joined:
            yield self.joined
        if self.frame:
            yield self.frame
        yield from self.notes
        yield from self.twice
        if self.num_crowds:
            yield f"{self.num_crowds} crowds are left out"

    def warnings(self) -> Iterator[str]:
        """What is wrong with it."""
        for reason, (count, examples) in self.left_out.items():
            yield f"{count} objects are left out, {reason}: {', '.join(examples)}"
        for reason, (count, examples) in self.no_outline.items():
            yield f"{count} outlines are left out, their boxes stand for them, {reason}: {', '.join(examples)}"
        yield from self.odd
        yield from self.no_picture

    def text(self) -> str:
        """All of it, a line each."""
        return "\n".join((*self.lines(), *self.warnings()))[:_LONGEST]

    def _counts(self) -> str:
        parts = [_counted(self.num_pictures, "picture", "pictures")]
        if self.num_objects is not None:
            parts.append(_counted(self.num_objects, "object", "objects"))
            if 0 < self.num_outlined < self.num_objects:
                parts[-1] += f" ({self.num_outlined} with outlines)"
            elif self.num_objects:
                parts[-1] += " with outlines" if self.num_outlined else " (boxes)"
        if self.num_unlabelled:
            parts.append(f"{self.num_unlabelled} pictures without any")
        return ", ".join(parts)


def tell(reading: Reading) -> None:
    """Say what was read; what is wrong with it is a warning."""
    for line in reading.lines():
        log.info("data: %s", line)
    for line in reading.warnings():
        log.warning("data: %s", line)


def _legible(name: str) -> str:
    """A name from a file, without signs that cannot be shown or stored, and cut where it is very long."""
    plain = "".join(sign if sign.isprintable() else "?" for sign in name)
    return plain if len(plain) <= _LONG_NAME else f"{plain[:_LONG_NAME]}..."


def told_twice(keys: Sequence[str], objects: Objects) -> tuple[str, ...]:
    """What is there twice."""
    pictures, things = len(keys) - len(set(keys)), objects.num_twice()
    told = [f"{pictures} pictures are listed twice, and are two samples" if pictures else ""]
    told += [f"{things} objects are there twice: same picture, class and box" if things else ""]
    return tuple(one for one in told if one)


def listed(names: tuple[str, ...]) -> str:
    """'3: boat, car, kite'."""
    rest = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return f"{len(names)}: {', '.join(map(_legible, names[:_NAMES]))}{rest}"


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
