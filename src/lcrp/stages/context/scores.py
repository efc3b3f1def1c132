"""Context scores (Dreyer et al. 2023, section 4.3): how much of a concept's relevance lies outside the object.

Axes: B image, T target, N term, C concept, H W picture, h w feature map.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from lcrp.attribution.engine import Attributor
from lcrp.attribution.task import Prediction, Task
from lcrp.attribution.trace import Trace
from lcrp.data.dataset import Dataset
from lcrp.decisions.concept_maps import concept_maps
from lcrp.decisions.regions import outside_shares
from lcrp.decisions.together import LastPass, by_picture, few_samples, images_at_once
from lcrp.errors import DataError
from lcrp.evidence.context import Terms
from lcrp.stages.context.pairs import LayerPairs
from lcrp.values.explanation import Lost
from lcrp.values.region import Region
from lcrp.values.sample import Sample
from lcrp.values.target import ExplainedTarget, Target

log = logging.getLogger(__name__)

Array = npt.NDArray[Any]

TARGETS_AT_ONCE = 8  # of one unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A decision that is looked at.

    Attributes:
        sample: its picture.
        explained: what the model says.
        region: the object.
    """

    sample: Sample
    explained: ExplainedTarget
    region: Region


@dataclass(frozen=True, slots=True, kw_only=True)
class ConceptMap:
    """Where one concept of one decision sits.

    Attributes:
        layer: number of the layer.
        pair: number of the pair.
        found: the decision.
        heatmap: [H, W] conditional heatmap.
        outside: share of its positive relevance outside the object; NaN if there is none.
    """

    layer: int
    pair: int
    found: Found
    heatmap: torch.Tensor
    outside: float


class ContextScores:
    """Looks at the reference samples of all pairs, a few targets at a time.

    Every target is explained once, and has one further backward round per concept that it is a reference of. Where
    pictures pass the network one by one, the targets of one share its forward pass; else targets with many concepts go
    together, so that few rounds run for a part of a batch only.

    Args:
        attributor: within its context and recording the layers.
        dataset: the samples that were ranked.
        layers: pairs of every layer.
    """

    def __init__(self, attributor: Attributor, dataset: Dataset, layers: Sequence[LayerPairs]) -> None:
        self._attributor, self._dataset, self._layers = attributor, dataset, layers
        queues, size = _queues(layers).items(), (3, dataset.transform.height, dataset.transform.width)
        self._queues = sorted(queues, key=lambda entry: (-_num_rounds(entry), entry[0]))
        cpu = torch.device("cpu")  # units are kept, so that their order is the same wherever the network lies
        if images_at_once((TARGETS_AT_ONCE, *size), cpu, takes_one=attributor.takes_one) == 1:
            self._queues = by_picture(self._queues, lambda entry: entry[0].sample, _num_rounds)

    @property
    def units(self) -> list[str]:
        """Names of the units."""
        return [f"{start:06d}" for start in range(0, len(self._queues), TARGETS_AT_ONCE)]

    @property
    def num_targets(self) -> int:
        """Targets that are reference samples of some pair."""
        return len(self._queues)

    def lost(self, parts: Sequence[Mapping[str, Array]]) -> Lost:
        """Targets that are missing in the results of all units."""
        names = ("sample", "class_id", "item")
        found = {row for part in parts for row in zip(*(part[name].tolist() for name in names), strict=True)}
        missing = [one for one, _ in self._queues if (one.sample, one.class_id, one.item) not in found]
        num_unreadable = sum(read(self._dataset, one.sample) is None for one in missing)
        return Lost(unreadable=num_unreadable, not_found=len(missing) - num_unreadable)

    def unit(self, name: str) -> dict[str, Array]:
        """What a few targets tell.

        Returns:
            Columns of detections [T], as `detection_columns`; and of terms [N]: `layer` and `pair` (numbers), `image`
            and `value`.
        """
        queues = dict(self._queues[int(name) : int(name) + TARGETS_AT_ONCE])
        wholes: list[tuple[Found, float]] = []
        terms: list[tuple[int, int, int, float]] = []
        for whole, maps in self._explained(queues):
            wholes += whole
            terms += [(one.layer, one.pair, one.found.sample.index, one.outside) for one in maps]
        layer, pair, image, value = zip(*terms, strict=True) if terms else ((), (), (), ())
        return detection_columns(wholes) | {
            "layer": np.array(layer, dtype=np.int64),
            "pair": np.array(pair, dtype=np.int64),
            "image": np.array(image, dtype=np.int64),
            "value": np.array(value, dtype=np.float64),
        }

    def maps(self, wanted: Mapping[Target, Sequence[Sequence[int]]]) -> list[ConceptMap]:
        """Conditional heatmaps of some pairs on some targets.

        Args:
            wanted: per target, for every layer, the pairs.
        """
        return [one for _, maps in self._explained(wanted) for one in maps]

    def _explained(
        self, queues: Mapping[Target, Sequence[Sequence[int]]]
    ) -> Iterator[tuple[list[tuple[Found, float]], list[ConceptMap]]]:
        """Decisions with their shares outside, and the maps of their concepts, batch by batch."""
        readable = [(sample, target) for target in queues if (sample := read(self._dataset, target.sample)) is not None]
        last = LastPass(self._attributor)
        for batch in few_samples(readable, itemgetter(0), len(readable), self._attributor):
            trace = last.of([sample for sample, _ in batch])
            predictions = self._attributor.task.predictions(trace.output)
            found = [
                found_target(self._attributor.task, prediction, sample, target)
                for (sample, target), prediction in zip(batch, predictions, strict=True)
            ]
            if any(found):
                yield self._of_batch(trace, found, [queues[target] for _, target in batch])

    def _of_batch(
        self, trace: Trace, found: Sequence[Found | None], queues: Sequence[Sequence[Sequence[int]]]
    ) -> tuple[list[tuple[Found, float]], list[ConceptMap]]:
        attribution = trace.explain([None if one is None else one.explained for one in found])
        there = [row for row, one in enumerate(found) if one is not None]
        known = [one for one in found if one is not None]
        wholes = outside_shares(attribution.heatmap[there], [one.region for one in known]).tolist()
        maps: list[ConceptMap] = []
        for layer, pairs in enumerate(self._layers):
            own = {row: queues[row][layer] for row in there}
            concepts = {row: pairs.concept[members].tolist() for row, members in own.items()}
            relevance = attribution.relevance[pairs.layer]  # [B, C, h, w]
            for row, place, heatmap in concept_maps(trace, pairs.layer, relevance, concepts):
                one = found[row]
                assert one is not None
                (outside,) = outside_shares(heatmap[None], [one.region]).tolist()
                pair = own[row][place]
                maps.append(ConceptMap(layer=layer, pair=pair, found=one, heatmap=heatmap, outside=outside))
        return list(zip(known, wholes, strict=True)), maps


def context_terms(parts: Sequence[Mapping[str, Array]], layer: int) -> Terms:
    """The terms of one layer's context scores, of all units; concepts without positive relevance say nothing."""
    columns = {name: np.concatenate([part[name] for part in parts]) for name in ("layer", "pair", "image", "value")}
    chosen = (columns["layer"] == layer) & ~np.isnan(columns["value"])
    value = columns["value"][chosen]
    return Terms(pair=columns["pair"][chosen], image=columns["image"][chosen], value=value, weight=np.ones_like(value))


def detection_columns(wholes: Sequence[tuple[Found, float]]) -> dict[str, Array]:
    """What is kept of decisions: target, confidence, and the shares outside of their relevance and of the area, [T]."""
    targets = [one.explained.target for one, _ in wholes]
    return {
        "sample": np.array([target.sample for target in targets], dtype=np.int64),
        "class_id": np.array([target.class_id for target in targets], dtype=np.int64),
        "item": np.array([target.item for target in targets], dtype=np.int64),
        "confidence": np.array([one.explained.confidence for one, _ in wholes], dtype=np.float64),
        "outside": np.array([share for _, share in wholes], dtype=np.float64),
        "outside_area": np.array([one.region.outside_area for one, _ in wholes], dtype=np.float64),
    }


def found_target(task: Task, prediction: Prediction, sample: Sample, target: Target) -> Found | None:
    """A decision and its object, or None if it is not predicted any more.

    The object of a detection is its annotated mask, if it has one: what scores call its context is what is replaced.
    Dreyer et al. take its box for the scores.
    """
    explained = task.found(prediction, sample, target.class_id, target.item)
    if explained is None:
        return None
    return Found(sample=sample, explained=explained, region=task.region(prediction, explained, sample, is_exact=True))


def read(dataset: Dataset, index: int) -> Sample | None:
    """A sample, or None if it cannot be read."""
    try:
        return dataset[index]
    except DataError as error:
        log.debug("%s", error)
        return None


def _num_rounds(entry: tuple[Target, Sequence[Sequence[int]]]) -> int:
    """Pairs that a target is a reference of."""
    return sum(map(len, entry[1]))


def _queues(layers: Sequence[LayerPairs]) -> dict[Target, list[list[int]]]:
    """Per target, for every layer, the pairs that it is a reference of."""
    queues: dict[Target, list[list[int]]] = {}
    for number, pairs in enumerate(layers):
        for pair, references in enumerate(pairs.references):
            for target in references:
                queues.setdefault(target, [[] for _ in layers])[number].append(pair)
    return queues
