"""Concept statistics: what one pass over a dataset found for every concept (no torch).

Axes: K class, C concept, N rank.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lcrp.values.chosen_layer import ChosenLayer
from lcrp.values.ledger import Ledger
from lcrp.values.target import ExplainedTarget, SkippedSample, SkippedTarget, Target

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.integer]
Span = tuple[int, int]  # of samples: the first, and the one behind the last

MAX_ITEM = 65534  # that top tables hold
FIXED_POINT_BITS = 32  # sums of relevance are stored in units of 2^-32


@dataclass(frozen=True, slots=True, kw_only=True)
class TopTable:
    """The best-ranked samples of every concept, best first.

    Rows are ordered by score down, then sample, class and item up. Entries from `filled` on are padding
    (score 0, all indices -1).

    Attributes:
        score: [..., C, N] float32, relevance or activation divided by the layer's sum of absolute values.
        sample: [..., C, N] int64, index in the dataset.
        class_id: [..., C, N] int32, class of the explained target; -1 where it does not matter.
        item: [..., C, N] int32, item of the explained target; -1 where it does not matter.
        peak: [..., C, N] int32, flat index (y * width + x) of the concept's strongest neuron.
        filled: [..., C] int32, number of valid entries.
    """

    score: FloatArray
    sample: IntArray
    class_id: IntArray
    item: IntArray
    peak: IntArray
    filled: IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """Entries of one table as plain columns, in any order; every concept has equally many.

    Attributes:
        sample: [N, C] index in the dataset.
        score: [N, C] float32, finite.
        peak: [N, C] flat index of the concept's strongest neuron.
        class_id: [N, C] class of the explained target, -1 where it is unknown; None if no class is told.
        item: [N, C] item of the explained target; None if no item is told.
    """

    sample: IntArray
    score: FloatArray
    peak: IntArray
    class_id: IntArray | None = None
    item: IntArray | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Exact sums of every concept's normalised relevance, per class, as fixed point numbers.

    Attributes:
        class_ids: [K] int32, classes that were seen, ascending.
        count: [K] int64, targets explained; 0 where they were not counted (imported statistics).
        total: [K, C] int64, sum in units of 2^-32.
        square_high: [K, C] int64, sum of squares, limb in units of 2^-32.
        square_low: [K, C] int64, sum of squares, limb in units of 2^-64.
    """

    class_ids: IntArray
    count: IntArray
    total: IntArray
    square_high: IntArray
    square_low: IntArray

    def mean(self) -> npt.NDArray[np.float64]:
        """[K, C] mean of the normalised relevance over the targets of every class; NaN where none was counted."""
        return np.ldexp(self.total.astype(np.float64), -FIXED_POINT_BITS) / self._divisor()

    def variance(self) -> npt.NDArray[np.float64]:
        """[K, C] variance (divided by the count) of the normalised relevance; NaN where no target was counted."""
        high = np.ldexp(self.square_high.astype(np.float64), -FIXED_POINT_BITS)
        low = np.ldexp(self.square_low.astype(np.float64), -2 * FIXED_POINT_BITS)
        variance = (high + low) / self._divisor() - self.mean() ** 2
        return np.maximum(variance, 0.0)

    def _divisor(self) -> npt.NDArray[np.float64]:
        return np.where(self.count > 0, self.count, np.nan)[:, None]  # [K, 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerStatistics:
    """Statistics of one layer's concepts.

    Attributes:
        map_size: (height, width) of the layer's feature map.
        relevance: best samples by relevance, [C, N].
        relevance_by_class: the same per class, [K, C, N]; row k belongs to `moments.class_ids[k]`.
        activation: best samples by activation, [C, N].
        activation_by_class: the same per class, [K, C, N].
        moments: counts and sums per class.
    """

    map_size: tuple[int, int]
    relevance: TopTable
    relevance_by_class: TopTable
    activation: TopTable
    activation_by_class: TopTable
    moments: Moments


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticsHeader:
    """What a statistics file says of itself.

    Attributes:
        config: what determines the numbers, as plain nested values (stored as YAML).
        config_hash: hash of `config`.
        class_names: names of the model's classes.
        dataset_fingerprint: hash of the dataset's samples and their order.
        num_samples: samples of the pass, whose statistics these are or will be.
        coverage: spans of samples that were seen, ascending and apart.
        threads: CPU threads of a pass that is not at its end; None in a file that is.
        chosen: the layer that 'auto' stands for; None where a layer was named.
        reading: what was read of the dataset, in words; empty where there was nothing to say.
    """

    config: Mapping[str, object]
    config_hash: str
    class_names: tuple[str, ...]
    dataset_fingerprint: str
    num_samples: int
    coverage: tuple[Span, ...]
    threads: int | None = None
    chosen: ChosenLayer | None = None
    reading: str = ""

    @property
    def complete(self) -> bool:
        """Whether all samples were seen."""
        return not self.missing

    @property
    def missing(self) -> tuple[Span, ...]:
        """Spans of samples that were not seen."""
        starts = (0, *(end for _, end in self.coverage))
        ends = (*(start for start, _ in self.coverage), self.num_samples)
        return tuple(span for span in zip(starts, ends, strict=True) if span[0] < span[1])


def joined(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Spans in order, those that touch or overlap made one, empty ones left out."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        elif start < end:
            found.append((start, end))
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetLog:
    """Every target that was explained or skipped, and every sample that could not be read.

    Attributes:
        explained: what was explained.
        skipped_targets: what was not there.
        skipped_samples: what could not be read.
        ledgers: what became of the relevance of some of the targets.
    """

    explained: tuple[ExplainedTarget, ...]
    skipped_targets: tuple[SkippedTarget, ...]
    skipped_samples: tuple[SkippedSample, ...]
    ledgers: tuple[tuple[Target, Ledger], ...] = ()
