"""What a pass over a dataset has found so far: gathered chunk by chunk, stored, and taken up again.

Axes: T target, C concept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from lcrp.attribution.engine import Attributor
from lcrp.decisions.rounds import Chunk, ChunkScores, LookedAt, Queue, Shapes, explained_chunk
from lcrp.decisions.subject import StatisticsSettings
from lcrp.ranking.accumulator import StatisticsAccumulator
from lcrp.storage.statistics import StatisticsFile, write_statistics
from lcrp.values.attribution import ConceptScores
from lcrp.values.ledger import Ledger
from lcrp.values.statistics import StatisticsHeader, TargetLog
from lcrp.values.target import ExplainedTarget, SkippedSample, SkippedTarget, Target

LOOKED_AT = 16  # samples that are looked at, and then one of so many


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """What was found in a chunk.

    Attributes:
        shapes: of every layer.
        activation: of every layer, scores [B, C].
        scores: relevance of all targets; None where there is none.
    """

    shapes: Shapes
    activation: Mapping[str, ConceptScores]
    scores: ChunkScores | None


class Findings:
    """What a pass has found so far.

    Attributes:
        accumulator: the concepts' statistics; None as long as nothing was explained.
    """

    def __init__(self, statistics: StatisticsSettings) -> None:
        self.accumulator: StatisticsAccumulator | None = None
        self._statistics = statistics
        self._explained: list[ExplainedTarget] = []
        self._skipped_targets: list[SkippedTarget] = []
        self._skipped_samples: list[SkippedSample] = []
        self._ledgers: list[tuple[Target, Ledger]] = []
        self._records: dict[str, list[npt.NDArray[np.float16]]] = {}

    @classmethod
    def stored(cls, file: StatisticsFile, statistics: StatisticsSettings, device: torch.device) -> "Findings":
        """What a file holds, ready to go on.

        Raises:
            StoreError: the file is damaged.
        """
        found, log = cls(statistics), file.targets()
        found._explained += log.explained
        found._ledgers += log.ledgers
        found.skip(log.skipped_targets, log.skipped_samples)
        found._records = {name: [file.record(name)] for name in file.layer_names if name in file.recorded}
        if file.layer_names:
            found.accumulator = StatisticsAccumulator.from_statistics(
                {name: file.layer(name) for name in file.layer_names},
                top_n=statistics.top_n,
                top_n_per_class=statistics.top_n_per_class,
                device=device,
            )
        return found

    @property
    def num_targets(self) -> int:
        """Targets that were explained."""
        return len(self._explained)

    def skip(self, targets: Sequence[SkippedTarget], samples: Sequence[SkippedSample]) -> None:
        """Note targets that are not there and samples that cannot be read."""
        self._skipped_targets += targets
        self._skipped_samples += samples

    def explained(
        self, attributor: Attributor, chunk: Chunk, queues: Sequence[Queue], samples: Sequence[int]
    ) -> Explained:
        """Explain the targets of every image of a chunk, and look at what becomes of the relevance of some.

        Args:
            attributor: within its context.
            chunk: the images.
            queues: the targets of every image.
            samples: which are in the chunk; whether they are looked at depends on nothing else.
        """
        scores = None
        if any(queues):
            least = None if self.accumulator is None else self.accumulator.least_relevance
            scores = explained_chunk(attributor, chunk, queues, least, looked_at=_looked_at(samples))
        return Explained(shapes=chunk.activations.shapes, activation=chunk.activations.scores, scores=scores)

    def add(self, found: Explained) -> None:
        """Take up what was found in a chunk."""
        scores = found.scores
        if scores is None:
            return
        if self.accumulator is None:
            self.accumulator = StatisticsAccumulator(
                found.shapes,
                top_n=self._statistics.top_n,
                top_n_per_class=self._statistics.top_n_per_class,
                device=next(iter(found.activation.values())).score.device,
            )
        targets = [one.target for one in scores.explained]
        self.accumulator.update(targets, scores.relevance, found.activation, scores.images)
        self._explained += scores.explained
        self._ledgers += scores.ledgers
        if self._statistics.record:
            for name, layer in scores.relevance.items():
                self._records.setdefault(name, []).append(layer.score.to(torch.float16).cpu().numpy())

    def log(self) -> TargetLog:
        """Everything that was explained or skipped."""
        return TargetLog(
            explained=tuple(self._explained),
            skipped_targets=tuple(self._skipped_targets),
            skipped_samples=tuple(self._skipped_samples),
            ledgers=tuple(self._ledgers),
        )

    def write(self, path: Path, header: StatisticsHeader, *, compress: bool = True) -> None:
        """Write a statistics file, one without layers if nothing was explained.

        Raises:
            StoreError: nothing can be written there.
        """
        layers = () if self.accumulator is None else self.accumulator.results()
        records = {name: np.concatenate(parts) for name, parts in self._records.items()}
        write_statistics(path, header, self.log(), layers, records=records, compress=compress)


def _looked_at(samples: Sequence[int]) -> LookedAt:
    """Rounds in which relevance is accounted for.

    Accounts of every round would take a tenth of the time. What is looked at depends on the samples alone: not on
    where a pass was stopped, nor on its shards.
    """
    if any(sample < LOOKED_AT for sample in samples):
        return "all"
    chosen = [sample // LOOKED_AT for sample in samples if sample % LOOKED_AT == 0]
    return chosen[0] if chosen else None
