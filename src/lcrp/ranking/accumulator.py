"""Concept statistics of many layers, gathered chunk by chunk.

The result depends on the set of targets alone, not on how they were cut into chunks nor on the order.

Axes: T target, B image of a chunk, K class, C concept, N rank.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

import torch

from lcrp.errors import TargetError
from lcrp.ranking.fixed_point import FixedPointSums, added, check_shares, class_sums, moments, placed, sums
from lcrp.ranking.top import Ranked, candidates, concatenated, entry_keys, insert, ranked, top_table
from lcrp.values import devices
from lcrp.values.attribution import ConceptScores
from lcrp.values.statistics import LayerStatistics
from lcrp.values.target import Target

_GROUP_WIDTH = 16  # entries of a class merged at once: bounds the padding where one class has most targets
_ENTRIES_AT_ONCE = 1 << 22  # entries of tables merged at once: bounds the memory


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerShape:
    """Size of a layer's output.

    Attributes:
        num_concepts: channels.
        map_size: (height, width) of the feature map.
    """

    num_concepts: int
    map_size: tuple[int, int]


class StatisticsAccumulator:
    """Gathers the statistics of a fixed set of layers.

    The concepts of all layers lie side by side in one table of each kind, so that a chunk costs a few large
    operations and not many small ones for every layer.

    Args:
        shapes: name and shape of every layer.
        top_n: entries kept per concept.
        top_n_per_class: entries kept per concept and class.
        device: where the tables lie; that of the scores.
    """

    def __init__(
        self, shapes: Mapping[str, LayerShape], *, top_n: int = 40, top_n_per_class: int = 15, device: torch.device
    ) -> None:
        ends = list(accumulate((shape.num_concepts for shape in shapes.values()), initial=0))
        self._shapes, self._spans = dict(shapes), dict(zip(shapes, pairwise(ends), strict=True))
        self._num_concepts, self._device = ends[-1], device
        self._top_n, self._top_n_per_class = top_n, top_n_per_class
        self._slots: dict[int, int] = {}
        self._counts: Counter[int] = Counter()
        self._relevance = Ranked.empty(self._num_concepts, top_n, device=device)  # [C, N]
        self._activation = self._relevance.copy()  # [C, N]
        self._relevance_by_class = Ranked.empty(0, top_n_per_class, device=device)  # [K * C, N], row slot * C + concept
        self._activation_by_class = self._relevance_by_class.copy()  # [K * C, N]
        self._sums = FixedPointSums.zeros(0, self._num_concepts, device)  # [K, C]

    @property
    def shapes(self) -> Mapping[str, LayerShape]:
        """Name and shape of every layer."""
        return self._shapes

    @classmethod
    def from_statistics(
        cls,
        layers: Mapping[str, LayerStatistics],
        *,
        top_n: int = 40,
        top_n_per_class: int = 15,
        device: torch.device,
    ) -> "StatisticsAccumulator":
        """The accumulator whose `results` are these statistics, ready to go on."""
        shapes = {
            name: LayerShape(num_concepts=layer.relevance.filled.shape[0], map_size=layer.map_size)
            for name, layer in layers.items()
        }
        accumulator = cls(shapes, top_n=top_n, top_n_per_class=top_n_per_class, device=device)
        seen = next(iter(layers.values())).moments
        accumulator._slots = {class_id: slot for slot, class_id in enumerate(seen.class_ids.tolist())}
        accumulator._counts.update(dict(zip(accumulator._slots, seen.count.tolist(), strict=True)))

        def side_by_side(kind: str, size: int, axis: int) -> Ranked:
            return concatenated([ranked(getattr(layer, kind), size, device) for layer in layers.values()], axis)

        accumulator._relevance = side_by_side("relevance", top_n, 0)
        accumulator._activation = side_by_side("activation", top_n, 0)
        accumulator._relevance_by_class = side_by_side("relevance_by_class", top_n_per_class, 1).flattened()
        accumulator._activation_by_class = side_by_side("activation_by_class", top_n_per_class, 1).flattened()
        accumulator._sums = FixedPointSums.concatenated([sums(layer.moments, device) for layer in layers.values()])
        return accumulator

    def update(
        self,
        targets: Sequence[Target],
        relevance: Mapping[str, ConceptScores],
        activation: Mapping[str, ConceptScores],
        images: Sequence[int],
    ) -> None:
        """Add the targets of one chunk.

        Args:
            targets: T targets, all different and never added before.
            relevance: of every layer, scores [T, C] in [-1, 1]; neurons are needed where `least_relevance` is reached.
            activation: of every layer, scores [B, C].
            images: T numbers, the row of `activation` that each target belongs to.

        Raises:
            TargetError: a score is not a finite number.
        """
        if not targets:
            return
        by_target = {target: row for row, target in enumerate(targets)}
        by_class = {replace(target, item=-1): row for target, row in zip(targets, images, strict=True)}
        by_sample = {replace(target, class_id=-1): row for target, row in by_class.items()}
        relevant, active = self._side_by_side(relevance), self._side_by_side(activation)
        self._check(relevant.score, by_target, active.score, by_sample)
        self._add_classes(target.class_id for target in targets)
        self._counts.update(target.class_id for target in targets)
        self._insert(self._relevance, relevant, by_target)
        self._insert(self._activation, active, by_sample)
        self._insert_by_class(self._relevance_by_class, relevant, by_target)
        self._insert_by_class(self._activation_by_class, active, by_class)
        slots = self._tensor([self._slots[target.class_id] for target in targets])
        self._sums = added(self._sums, class_sums(relevant.score, slots, len(self._slots)))

    def least_relevance(self, class_ids: Sequence[int]) -> dict[str, torch.Tensor]:
        """Scores [T, C] per layer that relevance must reach to enter any table, for targets of the given classes."""
        overall = self._relevance.score[:, -1]  # [C]
        by_class = self._relevance_by_class.score[:, -1].view(-1, self._num_concepts)  # [K, C]
        nothing = torch.full_like(overall, -torch.inf)
        rows = [by_class[self._slots[class_id]] if class_id in self._slots else nothing for class_id in class_ids]
        least = torch.minimum(torch.stack(rows), overall)  # [T, C]
        return {name: least[:, start:end] for name, (start, end) in self._spans.items()}

    def merge(self, other: "StatisticsAccumulator") -> None:
        """Add what another accumulator of the same layers and sizes found in other targets."""
        self._add_classes(other._slots)
        self._counts.update(other._counts)
        slots = self._tensor([self._slots[class_id] for class_id in other._slots])
        concepts = self._concepts()
        rows = self._rows(slots, concepts).flatten()
        insert(self._relevance, concepts, other._relevance)
        insert(self._activation, concepts, other._activation)
        insert(self._relevance_by_class, rows, other._relevance_by_class)
        insert(self._activation_by_class, rows, other._activation_by_class)
        self._sums = added(self._sums, placed(other._sums, slots, len(self._slots)))

    def results(self) -> Iterator[tuple[str, LayerStatistics]]:
        """Name and statistics of every layer, one at a time; classes ascending."""
        class_ids = sorted(self._slots)
        slots = self._tensor([self._slots[class_id] for class_id in class_ids])
        counts = [self._counts[class_id] for class_id in class_ids]
        for name, shape in self._shapes.items():
            concepts = self._concepts(name)
            rows = self._rows(slots, concepts)
            layer = LayerStatistics(
                map_size=shape.map_size,
                relevance=top_table(self._relevance[concepts]),
                relevance_by_class=top_table(self._relevance_by_class[rows]),
                activation=top_table(self._activation[concepts]),
                activation_by_class=top_table(self._activation_by_class[rows]),
                moments=moments(class_ids, counts, self._sums[slots, concepts]),
            )
            yield name, layer

    def _add_classes(self, class_ids: Iterable[int]) -> None:
        """Give every class that is new a slot, and its rows in the tables."""
        new = sorted(set(class_ids) - self._slots.keys())
        if not new:
            return
        known = torch.arange(len(self._slots), device=self._device)
        self._slots.update({class_id: len(known) + number for number, class_id in enumerate(new)})
        num_rows = len(self._slots) * self._num_concepts
        self._relevance_by_class = self._relevance_by_class.extended(num_rows)
        self._activation_by_class = self._activation_by_class.extended(num_rows)
        self._sums = placed(self._sums, known, len(self._slots))

    def _insert(self, table: Ranked, scores: ConceptScores, row_of: Mapping[Target, int]) -> None:
        targets = sorted(row_of)
        found = self._selected(scores, targets, row_of)
        entries = candidates(*found, [list(range(len(targets)))])
        insert(table, self._concepts(), entries)

    def _insert_by_class(self, table: Ranked, scores: ConceptScores, row_of: Mapping[Target, int]) -> None:
        targets = sorted(row_of)
        groups: dict[int, list[int]] = {}
        for number, target in enumerate(targets):
            groups.setdefault(self._slots[target.class_id], []).append(number)
        found = self._selected(scores, targets, row_of)
        classes_at_once = max(1, _ENTRIES_AT_ONCE // (self._num_concepts * self._top_n_per_class))
        for part in _parts(groups, classes_at_once):
            rows = self._rows(self._tensor(list(part)), self._concepts()).flatten()
            insert(table, rows, candidates(*found, list(part.values())))

    def _selected(
        self, scores: ConceptScores, targets: Sequence[Target], row_of: Mapping[Target, int]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        rows = self._tensor([row_of[target] for target in targets])
        return scores.score[rows], scores.peak[rows], entry_keys(targets, self._device)

    def _side_by_side(self, scores: Mapping[str, ConceptScores]) -> ConceptScores:
        """Scores of all layers in one table [T, C]."""
        ordered = [scores[name] for name in self._shapes]
        return ConceptScores(
            score=torch.cat([layer.score for layer in ordered], dim=1),
            peak=torch.cat([layer.peak for layer in ordered], dim=1),
        )

    def _concepts(self, layer: str | None = None) -> torch.Tensor:
        """Columns [C] of a layer's concepts, or of all."""
        start, end = (0, self._num_concepts) if layer is None else self._spans[layer]
        return torch.arange(start, end, device=self._device)

    def _rows(self, slots: torch.Tensor, concepts: torch.Tensor) -> torch.Tensor:
        """Rows [K, C] of the tables per class."""
        return slots[:, None] * self._num_concepts + concepts

    def _tensor(self, numbers: Sequence[int]) -> torch.Tensor:
        return devices.sent(torch.tensor(numbers, dtype=torch.int64), self._device)

    def _check(
        self,
        relevance: torch.Tensor,
        by_target: Mapping[Target, int],
        activation: torch.Tensor,
        by_sample: Mapping[Target, int],
    ) -> None:
        """One look at all scores of a chunk."""
        active = activation[self._tensor(list(by_sample.values()))]
        are_finite = [relevance.isfinite(), active.isfinite()]
        *whether, largest = devices.fetched(*(one.all() for one in are_finite), relevance.abs().max())
        for what, is_fine, each, row_of in zip(
            ("relevance", "activation"), whether, are_finite, (by_target, by_sample), strict=True
        ):
            if not is_fine:
                raise self._not_finite(what, each, list(row_of))
        check_shares(largest)

    def _not_finite(self, what: str, is_finite: torch.Tensor, targets: Sequence[Target]) -> TargetError:
        row, column = torch.nonzero(~is_finite)[0].tolist()
        layer = next(name for name, (_, end) in self._spans.items() if column < end)
        target = targets[row]
        return TargetError(
            f"{what} of layer '{layer}' is not a finite number for sample {target.sample}, class {target.class_id}, "
            f"item {target.item} (-1: any). The weights or the input overflow, or the composite does not suit them."
        )


def _parts(groups: Mapping[int, list[int]], classes_at_once: int) -> Iterator[dict[int, list[int]]]:
    """Groups cut into parts of bounded size: few classes, and few entries of each, at a time."""
    for start in range(0, max(map(len, groups.values())), _GROUP_WIDTH):
        longer = [(slot, group[start : start + _GROUP_WIDTH]) for slot, group in groups.items() if len(group) > start]
        for first in range(0, len(longer), classes_at_once):
            yield dict(longer[first : first + classes_at_once])
