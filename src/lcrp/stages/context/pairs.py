"""Which concepts of which classes are looked at, and on which reference samples.

Axes: K class, C concept, N rank, P pair of a class and a concept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lcrp.attribution.task import Task
from lcrp.errors import StoreError
from lcrp.storage.location import is_imported
from lcrp.storage.statistics import StatisticsFile
from lcrp.values.statistics import LayerStatistics
from lcrp.values.target import ExplainedTarget, Target

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerPairs:
    """The concepts of a layer that speak for each class.

    Attributes:
        layer: name of the layer.
        num_concepts: of the layer.
        class_id: [P] class of every pair, ascending.
        concept: [P] the class's concepts, the most relevant first.
        relevance: [P] mean share of the concept in the relevance of the class's targets, positive.
        references: of every pair, the targets of its class where the concept is most relevant, best first.
    """

    layer: str
    num_concepts: int
    class_id: Array
    concept: Array
    relevance: Array
    references: tuple[tuple[Target, ...], ...]

    def of_class(self, class_id: int) -> Array:
        """Numbers of a class's pairs."""
        return np.flatnonzero(self.class_id == class_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedConcepts:
    """What concept statistics say.

    Attributes:
        layers: in order.
        targets: class to the decisions that were explained for the statistics, in order.
        config_hash: of the statistics.
    """

    layers: tuple[LayerPairs, ...]
    targets: Mapping[int, Sequence[ExplainedTarget]]
    config_hash: str


def ranked(path: Path, layers: Sequence[str], task: Task, counts: tuple[int, int]) -> RankedConcepts:
    """The concepts that speak for each class, and their reference samples.

    The background of a segmenter is left out: it has no context.

    Args:
        path: concept statistics.
        layers: names.
        task: of the model.
        counts: concepts per class, and reference samples per concept, at most.

    Raises:
        StoreError: the statistics are not fit to be read, lack a layer, or are imported and hold no means.
    """
    with StatisticsFile(path, class_names=task.class_names) as file:
        if is_imported(file.header):
            raise StoreError(
                f"'{path}' is imported and holds no mean relevance: make statistics with the same settings, and they "
                "are taken instead",
                mend="Run stage=glocal.",
            )
        pairs = tuple(_pairs(name, file.layer(name), task, counts) for name in layers)
        targets: dict[int, list[ExplainedTarget]] = {}
        for one in file.targets().explained:
            if not task.is_background(one.target.class_id):
                targets.setdefault(one.target.class_id, []).append(one)
        return RankedConcepts(layers=pairs, targets=targets, config_hash=file.header.config_hash)


def _pairs(name: str, statistics: LayerStatistics, task: Task, counts: tuple[int, int]) -> LayerPairs:
    """The concepts of a layer whose mean relevance for a class is positive, the most relevant ones."""
    num_concepts, num_references = counts
    found: list[tuple[int, int, float]] = []
    references = []
    table, mean = statistics.relevance_by_class, statistics.moments.mean()  # [K, C, N], [K, C]
    for row, class_id in enumerate(statistics.moments.class_ids.tolist()):
        if task.is_background(class_id):
            continue
        order = np.argsort(-mean[row], kind="stable")[:num_concepts]
        for concept in order[mean[row][order] > 0].tolist():
            found.append((class_id, concept, float(mean[row, concept])))
            ranks = range(min(num_references, int(table.filled[row, concept])))
            places = [(int(table.sample[row, concept, rank]), int(table.item[row, concept, rank])) for rank in ranks]
            references.append(tuple(Target(sample=sample, class_id=class_id, item=item) for sample, item in places))
    class_ids, concepts, relevance = zip(*found, strict=True) if found else ((), (), ())
    return LayerPairs(
        layer=name,
        num_concepts=mean.shape[1],
        class_id=np.array(class_ids, dtype=np.int64),
        concept=np.array(concepts, dtype=np.int64),
        relevance=np.array(relevance, dtype=np.float64),
        references=tuple(references),
    )
