"""How large a statistics file will be, long before it is written. The layout is in `schema`.

Tables have an entry per concept and rank. In the file an entry takes what gzip leaves of it: about 3 bytes of its score
(a float32), 1 of its peak, and of its sample as many bits as their number needs. In a checkpoint, which is not
compressed, it takes all of its columns. HDF5 itself takes some 3 kB for every array. Files of UNet, YOLOv6 and YOLOv5-m
were within 20 % of this; where few classes have most targets it is too large, by a factor of two at most.
"""

import math
from dataclasses import dataclass

_ARRAYS_PER_LAYER = 26
_BYTES_PER_ARRAY = 2_800
_SCORE_AND_PEAK = 4.2  # bytes of an entry in the file, without its sample; class and item are nearly nothing
_MOMENTS, _RAW_MOMENTS = 12.0, 24.0  # bytes per class and concept
_RAW_RELEVANCE, _RAW_ACTIVATION = 20.0, 12.0  # bytes of an entry in a checkpoint
_TARGET = 23.0  # bytes of a row of the log
_RECORD = 2.0  # bytes per target and concept, where all are recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """What the statistics will be of.

    Attributes:
        num_layers: that are recorded.
        num_concepts: of all layers together.
        num_classes: of the model.
        num_samples: of the pass.
        num_targets: that it will explain, about.
        top_n: entries per concept.
        top_n_per_class: entries per concept and class.
        record: whether the relevance of every target is kept too.
    """

    num_layers: int
    num_concepts: int
    num_classes: int
    num_samples: int
    num_targets: int
    top_n: int
    top_n_per_class: int
    record: bool

    @property
    def file_bytes(self) -> float:
        """Of the file, compressed."""
        sample = math.log2(max(2, self.num_samples)) / 8
        entries = sum(self._entries_overall()) + 2 * self._entries_by_class
        return self._rest(_MOMENTS) + self.num_concepts * entries * (_SCORE_AND_PEAK + sample)

    @property
    def checkpoint_bytes(self) -> float:
        """Of a checkpoint at the end of the pass, not compressed."""
        relevance, activation = (entries + self._entries_by_class for entries in self._entries_overall())
        tables = relevance * _RAW_RELEVANCE + activation * _RAW_ACTIVATION
        return self._rest(_RAW_MOMENTS) + self.num_concepts * tables

    @property
    def table_bytes(self) -> float:
        """Of the tables in memory, which are as large for a class with few targets as for one with many."""
        rows = self.top_n + self.top_n_per_class * min(self.num_classes, self.num_targets)
        return 2 * 16 * self.num_concepts * rows

    @property
    def log_bytes(self) -> float:
        """Of targets and records in memory, until the file is written."""
        return self.num_targets * 500 + 2 * self._record_bytes

    def _entries_overall(self) -> tuple[int, int]:
        """Entries per concept by relevance, and by activation."""
        return min(self.top_n, self.num_targets), min(self.top_n, self.num_samples)

    @property
    def _entries_by_class(self) -> int:
        """Entries per concept in one of the two tables of all classes."""
        return min(self.num_classes * self.top_n_per_class, self.num_targets)

    @property
    def _record_bytes(self) -> float:
        return _RECORD * self.num_targets * self.num_concepts if self.record else 0.0

    def _rest(self, moments: float) -> float:
        """All but the tables."""
        arrays = self.num_layers * _ARRAYS_PER_LAYER * _BYTES_PER_ARRAY
        sums = min(self.num_classes, self.num_targets) * self.num_concepts * moments
        return arrays + sums + self.num_targets * _TARGET + self._record_bytes
