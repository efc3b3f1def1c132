"""What the concepts of another statistics file look like, without its network.

What a neuron looked at only its network can tell. Where its heatmaps were kept beside its file they are taken; else a
crop lies around the place of the neuron, which the ranking names.

Axes: H W picture, h w crop.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lcrp.data.dataset import Dataset
from lcrp.data.recalled import Recalled
from lcrp.decisions.references import CACHE_FOLDER
from lcrp.errors import DataError
from lcrp.figures.content import in_proportion
from lcrp.figures.crops import marked_crop, reference_crop, square_window
from lcrp.page.content import Comparison, ReferenceContent
from lcrp.page.pictures import SIDE, strip
from lcrp.runs.run import Run
from lcrp.storage.reference_cache import NeuronKey, ReferenceCache
from lcrp.storage.statistics import StatisticsFile
from lcrp.values.sample import Sample
from lcrp.values.statistics import LayerStatistics

Array = npt.NDArray[Any]

SHOWN = 3  # references of a concept
AROUND = 0.4  # of the picture's shorter side: a crop around a neuron


def with_references(
    found: Comparison, path: Path, dataset: Dataset, concepts: Sequence[int], run: Run, *, is_pictured: bool
) -> Comparison:
    """The comparison with references of the other file's concepts.

    Args:
        found: the comparison.
        path: the other file.
        dataset: the samples that both files rank.
        concepts: of the shown file, whose counterparts are looked up.
        run: shows the progress.
        is_pictured: whether crops are made.
    """
    with StatisticsFile(path) as file:
        layer, config_hash = file.layer(found.layer), file.header.config_hash
    cache = ReferenceCache(
        folder=path.parent / CACHE_FOLDER, config_hash=config_hash, layer=found.layer, mode="relevance"
    )
    source = _Source(layer=layer, dataset=dataset, cache=cache, samples=Recalled(dataset))
    wanted = [int(found.match[concept]) for concept in concepts if found.match[concept] >= 0]
    references: dict[int, tuple[ReferenceContent, ...]] = {}
    strips: dict[int, bytes] = {}
    with run.progress(len(wanted), f"reference samples of {path.name}", "concepts") as progress:
        for concept in progress.counted(wanted):
            if not is_pictured:
                references[concept] = tuple(source.content(concept, rank) for rank in source.ranks(concept))
                continue
            shown = list(source.crops(concept))
            references[concept] = tuple(content for content, _ in shown)
            if shown:
                strips[concept] = strip([crop for _, crop in shown])
    return replace(found, references=references, strips=strips)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """Where references come from."""

    layer: LayerStatistics
    dataset: Dataset
    cache: ReferenceCache
    samples: Recalled

    def ranks(self, concept: int) -> list[int]:
        """The first ranks of a concept, each of another picture if there are enough."""
        table = self.layer.relevance
        ranks = [rank for rank in range(int(table.filled[concept])) if table.score[concept, rank] > 0.0]
        firsts = {int(table.sample[concept, rank]): rank for rank in reversed(ranks)}
        return sorted(ranks, key=lambda rank: firsts[int(table.sample[concept, rank])] != rank)[:SHOWN]

    def content(self, concept: int, rank: int) -> ReferenceContent:
        """What is said of a reference."""
        table = self.layer.relevance
        sample = int(table.sample[concept, rank])
        return ReferenceContent(
            key=self.dataset.key(sample),
            sample=sample,
            class_id=int(table.class_id[concept, rank]),
            item=int(table.item[concept, rank]),
            score=float(table.score[concept, rank]),
        )

    def crops(self, concept: int) -> Iterator[tuple[ReferenceContent, Array]]:
        """References with their crops [h, w, 3]; those whose picture cannot be read are left out."""
        table, known = self.layer.relevance, self.cache.read(concept)
        for rank in self.ranks(concept):
            key = NeuronKey(
                *(int(column[concept, rank]) for column in (table.sample, table.class_id, table.item, table.peak))
            )
            try:
                sample = self.samples[key.sample]
            except DataError:
                continue
            heatmap = known.get(key)
            if heatmap is None or heatmap.shape != tuple(sample.image.shape[1:]):
                yield self.content(concept, rank), around(sample, key.peak, self.layer.map_size)
            else:
                yield self.content(concept, rank), _looked_at(sample, heatmap)


def around(sample: Sample, peak: int, map_size: tuple[int, int]) -> Array:
    """The part of a sample [h, w, 3] around a neuron.

    Args:
        sample: whole.
        peak: place y * w + x of the neuron on a map of `map_size`.
        map_size: (height, width) of the map of an input whose longer side is the sample's.
    """
    top, left, bottom, right = sample.geometry.content()
    stride = max(sample.image.shape[1:]) / max(map_size)
    row, column = divmod(peak, map_size[1])
    picture = in_proportion(_content_of(sample), sample.geometry.pixel_aspect)
    height, width = picture.shape[:2]
    y = int(np.clip(((row + 0.5) * stride - top) / (bottom - top), 0.0, 1.0) * (height - 1))
    x = int(np.clip(((column + 0.5) * stride - left) / (right - left), 0.0, 1.0) * (width - 1))
    side = max(1, round(AROUND * min(height, width)))
    first, start, last, stop = square_window((y, x, y + 1, x + 1), (height, width), min_side=side)
    return picture[first:last, start:stop]


def _looked_at(sample: Sample, heatmap: Array) -> Array:
    top, left, bottom, right = sample.geometry.content()
    aspect = sample.geometry.pixel_aspect
    picture = in_proportion(_content_of(sample), aspect)
    return marked_crop(reference_crop(picture, in_proportion(heatmap[top:bottom, left:right], aspect)), SIDE)


def _content_of(sample: Sample) -> Array:
    """[H, W, 3] without padding."""
    top, left, bottom, right = sample.geometry.content()
    picture: Array = sample.image.permute(1, 2, 0).numpy()[top:bottom, left:right]
    return picture
