"""Concept statistics of many layers, gathered chunk by chunk.

The result depends on the set of targets alone, not on how they were cut into chunks nor on the order.

Axes: T target, B image of a chunk, K class, C concept, N rank, R row of a table.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from lcrp.errors import TargetError
from lcrp.ranking.fixed_point import FixedPointSums, added, class_sums, moments, placed, sums
from lcrp.ranking.top import Ranked, candidates, entry_keys, insert, merge, ranked, top_table
from lcrp.values.attribution import ConceptScores
from lcrp.values.statistics import LayerStatistics
from lcrp.values.target import Target

_GROUP_WIDTH = 16  # entries of a class merged at once: bounds the padding where one class has most targets


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerShape:
    """Size of a layer's output.

    Attributes:
        num_concepts: channels.
        map_size: (height, width) of the feature map.
    """

    num_concepts: int
    map_size: tuple[int, int]


@dataclass(slots=True, kw_only=True)
class _Layer:
    """Tables of one layer. Those per class have the row slot * C + concept."""

    shape: LayerShape
    relevance: Ranked  # [C, N]
    activation: Ranked  # [C, N]
    relevance_by_class: Ranked  # [K * C, N]
    activation_by_class: Ranked  # [K * C, N]
    sums: FixedPointSums  # [K, C]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entries:
    """Entries of one kind of table, the same for every layer.

    Attributes:
        keys: [M] keys, ascending.
        rows: [M] rows of the scores.
        parts: slots [K] and, for each, the numbers of its entries; merged one part after the other.
    """

    keys: torch.Tensor
    rows: torch.Tensor
    parts: list[tuple[torch.Tensor, list[list[int]]]]


class StatisticsAccumulator:
    """Gathers the statistics of a fixed set of layers.

    Args:
        shapes: name and shape of every layer.
        top_n: entries kept per concept.
        top_n_per_class: entries kept per concept and class.
        device: where the tables lie; that of the scores.
    """

    def __init__(
        self, shapes: Mapping[str, LayerShape], *, top_n: int = 40, top_n_per_class: int = 15, device: torch.device
    ) -> None:
        self._top_n, self._top_n_per_class, self._device = top_n, top_n_per_class, device
        self._slots: dict[int, int] = {}
        self._counts: Counter[int] = Counter()
        self._layers = {name: self._empty_layer(shape) for name, shape in shapes.items()}

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
        for name, statistics in layers.items():
            own = statistics.moments
            accumulator._counts = Counter(dict(zip(own.class_ids.tolist(), own.count.tolist(), strict=True)))
            accumulator._slots = {class_id: slot for slot, class_id in enumerate(own.class_ids.tolist())}
            accumulator._layers[name] = _Layer(
                shape=shapes[name],
                relevance=ranked(statistics.relevance, top_n, device),
                activation=ranked(statistics.activation, top_n, device),
                relevance_by_class=_flat(ranked(statistics.relevance_by_class, top_n_per_class, device)),
                activation_by_class=_flat(ranked(statistics.activation_by_class, top_n_per_class, device)),
                sums=sums(own, device),
            )
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
            relevance: of every layer, scores [T, C] in [-1, 1].
            activation: of every layer, scores [B, C].
            images: T numbers, the row of `activation` that each target belongs to.

        Raises:
            TargetError: a score is not a finite number.
        """
        if not targets:
            return
        self._add_classes(target.class_id for target in targets)
        self._counts.update(target.class_id for target in targets)
        by_target = {target: row for row, target in enumerate(targets)}
        by_class = {replace(target, item=-1): row for target, row in zip(targets, images, strict=True)}
        by_sample = {replace(target, class_id=-1): row for target, row in by_class.items()}
        overall, per_class = self._overall(by_target), self._per_class(by_target)
        active, active_per_class = self._overall(by_sample), self._per_class(by_class)
        slots = torch.tensor([self._slots[target.class_id] for target in targets], device=self._device)
        for name, layer in self._layers.items():
            _check_finite(relevance[name].score, by_target, f"relevance of layer '{name}'")
            _check_finite(activation[name].score, by_sample, f"activation of layer '{name}'")
            _add(layer.relevance, overall, relevance[name])
            _add(layer.relevance_by_class, per_class, relevance[name])
            _add(layer.activation, active, activation[name])
            _add(layer.activation_by_class, active_per_class, activation[name])
            layer.sums = added(layer.sums, class_sums(relevance[name].score, slots, len(self._slots)))

    def merge(self, other: "StatisticsAccumulator") -> None:
        """Add what another accumulator of the same layers and sizes found in other targets."""
        self._add_classes(other._slots)
        self._counts.update(other._counts)
        slots = torch.tensor([self._slots[class_id] for class_id in other._slots], dtype=torch.int64)
        slots = slots.to(self._device)
        for name, layer in self._layers.items():
            found = other._layers[name]
            rows = _rows(slots, layer.shape.num_concepts)
            layer.relevance = merge(layer.relevance, found.relevance, self._top_n)
            layer.activation = merge(layer.activation, found.activation, self._top_n)
            for table, new in (
                (layer.relevance_by_class, found.relevance_by_class),
                (layer.activation_by_class, found.activation_by_class),
            ):
                table.write(rows, merge(table[rows], new, self._top_n_per_class))
            layer.sums = added(layer.sums, placed(found.sums, slots, len(self._slots)))

    def results(self) -> Iterator[tuple[str, LayerStatistics]]:
        """Name and statistics of every layer, one at a time; classes ascending."""
        class_ids = sorted(self._slots)
        slots = torch.tensor([self._slots[class_id] for class_id in class_ids], dtype=torch.int64).to(self._device)
        counts = [self._counts[class_id] for class_id in class_ids]
        for name, layer in self._layers.items():
            rows = _rows(slots, layer.shape.num_concepts).view(len(class_ids), layer.shape.num_concepts)
            yield (
                name,
                LayerStatistics(
                    map_size=layer.shape.map_size,
                    relevance=top_table(layer.relevance),
                    relevance_by_class=top_table(layer.relevance_by_class[rows]),
                    activation=top_table(layer.activation),
                    activation_by_class=top_table(layer.activation_by_class[rows]),
                    moments=moments(class_ids, counts, layer.sums, slots),
                ),
            )

    def _empty_layer(self, shape: LayerShape) -> _Layer:
        num_concepts, device = shape.num_concepts, self._device
        return _Layer(
            shape=shape,
            relevance=Ranked.empty(num_concepts, self._top_n, device=device),
            activation=Ranked.empty(num_concepts, self._top_n, device=device),
            relevance_by_class=Ranked.empty(0, self._top_n_per_class, device=device),
            activation_by_class=Ranked.empty(0, self._top_n_per_class, device=device),
            sums=FixedPointSums.zeros(0, num_concepts, device),
        )

    def _add_classes(self, class_ids: Iterable[int]) -> None:
        """Give every class that is new a slot, and its rows in the tables."""
        new = sorted(set(class_ids) - self._slots.keys())
        if not new:
            return
        known = torch.arange(len(self._slots), device=self._device)
        self._slots.update({class_id: len(known) + number for number, class_id in enumerate(new)})
        for layer in self._layers.values():
            num_rows = len(self._slots) * layer.shape.num_concepts
            layer.relevance_by_class = layer.relevance_by_class.extended(num_rows)
            layer.activation_by_class = layer.activation_by_class.extended(num_rows)
            layer.sums = placed(layer.sums, known, len(self._slots))

    def _overall(self, row_of: Mapping[Target, int]) -> _Entries:
        return self._entries(row_of, [([0], [list(range(len(row_of)))])])

    def _per_class(self, row_of: Mapping[Target, int]) -> _Entries:
        groups: dict[int, list[int]] = {}
        for number, target in enumerate(sorted(row_of)):
            groups.setdefault(self._slots[target.class_id], []).append(number)
        parts = []
        for start in range(0, max(map(len, groups.values())), _GROUP_WIDTH):
            part = {slot: group[start : start + _GROUP_WIDTH] for slot, group in groups.items() if len(group) > start}
            parts.append((list(part), list(part.values())))
        return self._entries(row_of, parts)

    def _entries(self, row_of: Mapping[Target, int], parts: list[tuple[list[int], list[list[int]]]]) -> _Entries:
        targets = sorted(row_of)
        return _Entries(
            keys=entry_keys(targets, self._device),
            rows=torch.tensor([row_of[target] for target in targets], device=self._device),
            parts=[(torch.tensor(slots, device=self._device), groups) for slots, groups in parts],
        )


def _add(table: Ranked, entries: _Entries, scores: ConceptScores) -> None:
    score, peak = scores.score[entries.rows], scores.peak[entries.rows]  # [M, C]
    for slots, groups in entries.parts:
        insert(table, _rows(slots, score.shape[1]), candidates(score, peak, entries.keys, groups))


def _rows(slots: torch.Tensor, num_concepts: int) -> torch.Tensor:
    """Rows [K * C] of the concepts of some classes."""
    return (slots[:, None] * num_concepts + torch.arange(num_concepts, device=slots.device)).flatten()


def _flat(table: Ranked) -> Ranked:
    return Ranked(score=table.score.flatten(0, 1), key=table.key.flatten(0, 1), peak=table.peak.flatten(0, 1))


def _check_finite(score: torch.Tensor, row_of: Mapping[Target, int], what: str) -> None:
    is_finite = score.isfinite()
    if bool(is_finite.all()):
        return
    broken = set(torch.nonzero(~is_finite.all(dim=1)).flatten().tolist())
    for target, row in row_of.items():
        if row in broken:
            raise TargetError(
                f"{what} is not a finite number for sample {target.sample}, class {target.class_id}, item "
                f"{target.item} (-1: any). The weights or the input overflow, or the composite does not suit the model."
            )
