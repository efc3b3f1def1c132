"""What concepts look like: their reference samples over all classes and of single classes, as the page holds them.

Axes: K class, C concept, N rank, h w crop.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lcrp.attribution.engine import Attributor
from lcrp.decisions.counting import StartCounting
from lcrp.decisions.references import ReferenceSource, references_by_ranking
from lcrp.errors import DataError
from lcrp.figures.content import in_proportion
from lcrp.figures.crops import marked_crop, reference_crop
from lcrp.page.content import ReferenceContent, Target
from lcrp.page.pictures import SIDE, Bytes, in_bytes, strip
from lcrp.ranking.entries import class_row
from lcrp.runs.progress import Progress
from lcrp.values.compact_map import CompactMap
from lcrp.values.explanation import Reference
from lcrp.values.geometry import Box
from lcrp.values.statistics import LayerStatistics, TopTable

Array = npt.NDArray[Any]

BYTES_AT_ONCE = 1 << 30  # of pictures and heatmaps of reference samples that are looked up together
MARGIN = 1.5  # heatmaps of a part may be so much larger than those of the part before


@dataclass(slots=True, kw_only=True)
class Pictured:
    """References of a layer's concepts, and crops of them; attributes as those of `LayerContent`."""

    references: dict[int, tuple[ReferenceContent, ...]] = field(default_factory=dict)
    strips: dict[int, bytes] = field(default_factory=dict)
    of_class: dict[tuple[int, int], tuple[ReferenceContent, ...]] = field(default_factory=dict)
    further_strips: dict[int, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Concepts whose references are shown.

    Attributes:
        of_class: by row of the layer's classes, the concepts that count most for the class.
        num_references: of every concept.
        num_of_class: of every concept and class.
    """

    of_class: Mapping[int, Sequence[int]]
    num_references: int
    num_of_class: int

    @property
    def concepts(self) -> list[int]:
        """All of them, ascending."""
        return sorted({concept for of_class in self.of_class.values() for concept in of_class})

    def tables(
        self, found: LayerStatistics, concepts: Sequence[int]
    ) -> Iterator[tuple[int | None, TopTable, int, list[int]]]:
        """Row of a class (None for all classes), its ranking [C, N], how many references, and of which concepts."""
        yield None, found.relevance, self.num_references, list(concepts)
        for row, of_class in self.of_class.items() if self.num_of_class else ():
            own = [concept for concept in concepts if concept in of_class]
            table = class_row(found.relevance_by_class, row)
            class_id = np.full_like(table.class_id, found.moments.class_ids[row])
            yield row, replace(table, class_id=class_id), self.num_of_class, own

    def count(self, found: LayerStatistics, concepts: Sequence[int]) -> int:
        """References to be looked at, if every first one is shown."""
        return sum(
            int(np.minimum((table.score[own] > 0.0).sum(axis=-1), most).sum())
            for _, table, most, own in self.tables(found, concepts)
        )

    def samples(self, found: LayerStatistics, concepts: Sequence[int]) -> set[int]:
        """Samples of these references."""
        named: set[int] = set()
        for _, table, most, own in self.tables(found, concepts):
            named.update(table.sample[own, :most][table.score[own, :most] > 0.0].tolist())
        return named


@dataclass(slots=True, kw_only=True)
class _Extent:
    """How much of a picture heatmaps cover, as the part before had it: a map lies in memory where it is not zero."""

    share: float = 1.0

    def learn(self, shares: Sequence[float]) -> None:
        """Heatmaps of a part cover so much."""
        if shares:
            self.share = min(1.0, MARGIN * float(np.mean(shares)))


def ranked(found: LayerStatistics, wanted: Wanted, key_of: Callable[[int], str]) -> Pictured:
    """References without pictures, as they were ranked."""
    pictured = Pictured()
    for row, table, most, concepts in wanted.tables(found, wanted.concepts):
        for concept in concepts:
            _shelve(pictured, found, concept, row, _of_table(table, concept, most, key_of))
    return pictured


def pictured(
    attributor: Attributor, source: ReferenceSource, found: LayerStatistics, wanted: Wanted, progress: Progress
) -> Pictured:
    """References with crops of what the concepts' strongest neurons looked at.

    Args:
        attributor: within its context and recording the layer.
        source: where references come from; its ranking and number are those of `wanted` and `found`.
        found: rankings of the layer.
        wanted: concepts.
        progress: counts `wanted.count` references.
    """
    result, extent = Pictured(), _Extent()
    for some in _parts(source, found, wanted, extent):
        covered: list[float] = []
        crops: dict[int, dict[Target, Bytes]] = {concept: {} for concept in some}
        tables = list(wanted.tables(found, some))
        rankings = [(replace(source, table=table, num_references=most), own) for _, table, most, own in tables]
        with _part(progress, wanted.count(found, some)) as part:
            for (row, *_), by_concept in zip(
                tables, references_by_ranking(attributor, rankings, start_counting=part), strict=True
            ):
                for concept, references in by_concept:
                    contents = []
                    for one in references.shown:
                        covered.append(CompactMap.of(one.heatmap).window.size / one.heatmap.size)
                        crop, content = cropped(one)
                        contents.append(content)
                        crops[concept].setdefault(content.target, in_bytes(crop))
                    _shelve(result, found, concept, row, tuple(contents))
        extent.learn(covered)
        for concept in some:
            shown = [one.target for one in result.references[concept]]
            if shown:
                result.strips[concept] = strip([crops[concept][target] for target in shown])
            further = [crop for target, crop in crops[concept].items() if target not in set(shown)]
            if further:
                result.further_strips[concept] = strip(further)
    return result


def _parts(source: ReferenceSource, found: LayerStatistics, wanted: Wanted, extent: _Extent) -> Iterator[list[int]]:
    """The concepts in parts whose pictures and heatmaps lie in memory together: the larger, the fewer pass again."""
    pixels = _picture_size(source)
    part: list[int] = []
    pictures, num_maps = set[int](), 0
    for concept in wanted.concepts:
        own, count = wanted.samples(found, [concept]), wanted.count(found, [concept])
        size = 3 * len(pictures | own) + extent.share * (num_maps + count)  # in maps of a picture's size
        if part and 4 * pixels * size > BYTES_AT_ONCE:
            yield part
            part, pictures, num_maps = [], set(), 0
        part.append(concept)
        pictures, num_maps = pictures | own, num_maps + count
    if part:
        yield part


def _picture_size(source: ReferenceSource) -> int:
    """Pixels of a ranked sample, as large as most."""
    for index in np.unique(source.table.sample[source.table.sample >= 0]).tolist():
        with suppress(DataError):
            return source.dataset[index].image[0].numel()
    return 1


class _Part:
    """Counts a part of a longer work, whose size was told before."""

    def __init__(self, progress: Progress, planned: int) -> None:
        self._progress, self.left = progress, planned

    def advance(self, count: int = 1) -> None:
        if count > self.left:
            self._progress.extend(count - self.left)
        self.left = max(0, self.left - count)
        if count:
            self._progress.advance(count)

    def extend(self, count: int) -> None:
        """What is to be computed was planned."""


@contextmanager
def _part(progress: Progress, planned: int) -> Iterator[StartCounting]:
    """Counts heatmaps as they are computed; in the end, those that were known as well."""
    part = _Part(progress, planned)
    yield lambda *_: nullcontext(part)
    progress.advance(part.left)


def _shelve(
    result: Pictured, found: LayerStatistics, concept: int, row: int | None, shown: tuple[ReferenceContent, ...]
) -> None:
    if row is None:
        result.references[concept] = shown
    elif shown:
        result.of_class[concept, int(found.moments.class_ids[row])] = shown


def cropped(reference: Reference) -> tuple[Array, ReferenceContent]:
    """The crop of a reference [h, w, 3], and what is said of it."""
    picture = in_proportion(reference.picture, reference.pixel_aspect)
    crop = reference_crop(picture, in_proportion(reference.heatmap, reference.pixel_aspect))
    content = ReferenceContent(
        key=reference.key,
        sample=reference.sample,
        class_id=reference.class_id,
        item=reference.item,
        score=reference.score,
        box=None if reference.box is None else in_crop(reference.box, crop.window, picture.shape[:2]),
    )
    return marked_crop(crop, SIDE), content


def in_crop(box: Box, window: tuple[int, int, int, int], size: tuple[int, ...]) -> Box:
    """A box in shares of a picture (height, width), in shares of the square in the middle of which a crop lies."""
    top, left, bottom, right = window
    side = max(bottom - top, right - left)
    x, y = left - (side - (right - left)) / 2, top - (side - (bottom - top)) / 2
    return (
        (box[0] * size[1] - x) / side,
        (box[1] * size[0] - y) / side,
        (box[2] * size[1] - x) / side,
        (box[3] * size[0] - y) / side,
    )


def _of_table(table: TopTable, concept: int, count: int, key_of: Callable[[int], str]) -> tuple[ReferenceContent, ...]:
    ranks = range(min(count, int(table.filled[concept])))
    return tuple(
        ReferenceContent(
            key=key_of(int(table.sample[concept, rank])),
            sample=int(table.sample[concept, rank]),
            class_id=int(table.class_id[concept, rank]),
            item=int(table.item[concept, rank]),
            score=float(table.score[concept, rank]),
        )
        for rank in ranks
        if table.score[concept, rank] > 0.0
    )
