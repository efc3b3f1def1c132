"""Heatmaps of single neurons on samples of a dataset: computed in batches, and kept beside the statistics.

Axes: B batch, C concept, H W picture, h w feature map.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Literal

import torch

from lcrp.attribution.concepts import only_neuron
from lcrp.attribution.engine import Attributor
from lcrp.attribution.task import Task
from lcrp.attribution.trace import Trace
from lcrp.data.dataset import Dataset
from lcrp.data.recalled import Recalled
from lcrp.decisions.counting import GrowingCount
from lcrp.decisions.together import LastPass, by_picture, few_samples, images_at_once
from lcrp.errors import DataError
from lcrp.runs.processes import in_order, processes_for
from lcrp.storage.reference_cache import NeuronKey, ReferenceCache
from lcrp.values.compact_map import CompactMap
from lcrp.values.sample import Sample
from lcrp.values.target import ExplainedTarget

Mode = Literal["relevance", "activation"]
FEW_ROUNDS = 6  # of a picture: for more, rules prepare the whole of it, and not what each round reaches
BATCHES_READ = 4  # pictures that are read before the first heatmap is computed
ROUNDS_AT_ONCE = 32  # after a forward pass, before another process may go on with the same picture

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedNeuron:
    """One neuron of a concept on one sample, and the score that ranked it."""

    concept: int
    neuron: NeuronKey
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    """One sample and target per row, and the neurons of each."""

    samples: list[Sample]
    queues: list[list[RankedNeuron]]

    @property
    def indices(self) -> list[int]:
        """Of the samples."""
        return [sample.index for sample in self.samples]

    @property
    def num_neurons(self) -> int:
        """Of all rows."""
        return sum(map(len, self.queues))

    @property
    def num_rounds(self) -> int:
        """In each one neuron of every row."""
        return max(map(len, self.queues))


class NeuronMaps:
    """Heatmaps of a layer's neurons, each conditional on the target under which it was ranked.

    In activation mode the neuron's activation takes the place of its relevance.
    """

    def __init__(
        self,
        attributor: Attributor,
        dataset: Dataset | Recalled,
        *,
        layer: str,
        mode: Mode,
        batch_size: int,
        map_width: int | None = None,
        cached: ReferenceCache | None = None,
        count: GrowingCount | None = None,
    ) -> None:
        """Take what is needed.

        Args:
            attributor: within its context and recording the layer; its last trace ends here.
            dataset: the samples that were ranked.
            layer: name of the layer.
            mode: what restarts at the neurons.
            batch_size: samples per forward pass, at most.
            map_width: of the map on which the neurons' peaks count; None: of every sample's own.
            cached: heatmaps that earlier runs computed; None keeps none.
            count: of the heatmaps that are to be computed; None tells nobody.
        """
        self._attributor = attributor
        self._layer = layer
        self._mode = mode
        self._batch_size = batch_size
        self._map_width = map_width
        self._cached = cached
        self._count = count or GrowingCount(None, "", "")
        self._known: dict[int, dict[NeuronKey, CompactMap]] = {}
        self._tried: set[tuple[int, NeuronKey]] = set()  # what was not found is not asked for again
        self._num_rounds = Counter[int]()  # by picture
        self._last = LastPass(attributor)
        self._samples = dataset if isinstance(dataset, Recalled) else Recalled(dataset)

    def sample(self, ranked: RankedNeuron) -> Sample | None:
        """The neuron's sample; None if its picture cannot be read."""
        try:
            return self._samples[ranked.neuron.sample]
        except DataError as error:
            log.debug("%s", error)
            return None

    def heatmaps(self, ranked: Sequence[RankedNeuron]) -> list[CompactMap | None]:
        """Heatmap [H, W] of every neuron; None where its target is not found, or its picture cannot be read.

        Concepts share samples: each target is explained once, and has one further backward round per neuron. Where
        samples pass the network one by one, the targets of one share its forward pass; else targets with many neurons
        go together, so that few rounds run for a part of a batch only.
        """
        for concept in {one.concept for one in ranked} - self._known.keys():
            known = self._cached.read(concept) if self._cached else {}
            self._known[concept] = {neuron: CompactMap.of(heatmap) for neuron, heatmap in known.items()}
        wanted = {(one.concept, one.neuron): one for one in ranked if one.neuron not in self._known[one.concept]}
        missing = [one for key, one in wanted.items() if key not in self._tried]
        self._tried |= wanted.keys()
        if missing:  # the numbers are computed alike, however many of them were known
            processes = processes_for(self._attributor.device, len({one.neuron.sample for one in ranked}))
            self._compute(missing, processes)
        return [self._known[one.concept].get(one.neuron) for one in ranked]

    def _compute(self, missing: Sequence[RankedNeuron], processes: int) -> None:
        by_target: dict[tuple[int, int, int], list[RankedNeuron]] = {}
        for one in missing:
            by_target.setdefault(one.neuron[:3], []).append(one)
        self._num_rounds = Counter(one.neuron.sample for one in missing)
        self._count.extend(len(missing))
        for queue in by_target.values():
            queue.sort(key=lambda one: one.neuron.peak)  # rounds of a batch reach alike parts of their maps
        queues = by_picture(by_target.values(), lambda queue: queue[0].neuron.sample, len)
        computed: dict[int, dict[NeuronKey, CompactMap]] = {}
        self._last = LastPass(self._attributor)
        try:
            for batches, found in in_order(self._of_batches, self._passes(queues), processes, self._attributor.told):
                for one, heatmap in found:
                    computed.setdefault(one.concept, {})[one.neuron] = heatmap
                self._count.advance(sum(batch.num_neurons for batch in batches))  # with those not found any more
        finally:  # also what an interrupted run has computed
            self._remember(computed)

    def _passes(self, queues: Sequence[list[RankedNeuron]]) -> Iterator[list[_Batch]]:
        """Batches that share a forward pass, as long as they have few rounds: one queue a target is given."""
        few: list[_Batch] = []
        for batch in self._batches(queues):
            is_another = few and few[0].indices != batch.indices
            if is_another or sum(one.num_rounds for one in few) >= ROUNDS_AT_ONCE:
                yield few
                few = []
            few.append(batch)
        if few:
            yield few

    def _batches(self, queues: Sequence[list[RankedNeuron]]) -> Iterator[_Batch]:
        """Targets that go through the network together; where several do, those with most neurons first."""
        at_once = BATCHES_READ * self._batch_size
        for start in range(0, len(queues), at_once):
            some = list(queues[start : start + at_once])
            first = next((sample for queue in some if (sample := self.sample(queue[0])) is not None), None)
            if first is not None and self._at_once(first) > 1:
                some.sort(key=lambda queue: -len(queue))
            for part in few_samples(self._readable(some), itemgetter(0), self._batch_size, self._attributor):
                samples, queues_of_batch = zip(*part, strict=True)
                yield _Batch(samples=list(samples), queues=list(queues_of_batch))

    def _readable(self, queues: Sequence[list[RankedNeuron]]) -> Iterator[tuple[Sample, list[RankedNeuron]]]:
        """Queues with their samples; those of others are counted."""
        for queue in queues:
            sample = self.sample(queue[0])
            if sample is None:
                self._count.advance(len(queue))
            else:
                yield sample, queue

    def _at_once(self, sample: Sample) -> int:
        """How many samples of this size go through the network together."""
        shape, attributor = (self._batch_size, *sample.image.shape), self._attributor
        return images_at_once(shape, attributor.device, takes_one=attributor.takes_one)

    def _remember(self, computed: Mapping[int, Mapping[NeuronKey, CompactMap]]) -> None:
        for concept, heatmaps in computed.items():
            self._known[concept].update(heatmaps)
            if self._cached is not None:
                self._cached.write(concept, {neuron: heatmap.whole() for neuron, heatmap in heatmaps.items()})

    def _of_batches(self, batches: Sequence[_Batch]) -> list[tuple[RankedNeuron, CompactMap]]:
        return [found for batch in batches for found in self._of_batch(batch)]

    def _of_batch(self, batch: _Batch) -> Iterator[tuple[RankedNeuron, CompactMap]]:
        """Heatmaps of all neurons of a batch: one neuron of every row per round."""
        trace = self._forward(batch)
        restart, found = self._restart(trace, batch)  # [B, C, h, w]
        for number in range(batch.num_rounds):
            rows = [row for row, queue in enumerate(batch.queues) if number < len(queue) and found[row]]
            if not rows:
                continue
            seed = torch.zeros_like(restart)
            ranked = [batch.queues[row][number] for row in rows]
            concepts = torch.tensor([one.concept for one in ranked], device=restart.device)
            peaks = torch.tensor(
                [self._own_peak(one.neuron.peak, restart.shape[-1]) for one in ranked], device=restart.device
            )
            seed[rows] = only_neuron(restart[rows], concepts, peaks)
            maps = trace.conditional(self._layer, seed)[rows].float().cpu().numpy()
            yield from zip(ranked, map(CompactMap.of, maps), strict=True)

    def _forward(self, batch: _Batch) -> Trace:
        """The pass of a batch."""
        first, *others = batch.samples
        num_rounds = batch.num_rounds if others else self._num_rounds[first.index]
        return self._last.of(batch.samples, is_for_few=num_rounds <= FEW_ROUNDS)

    def _own_peak(self, peak: int, width: int) -> int:
        """A neuron's place y * w + x on a map of its sample's own width."""
        row, column = divmod(peak, self._map_width or width)
        return row * width + column

    def _restart(self, trace: Trace, batch: _Batch) -> tuple[torch.Tensor, list[bool]]:
        """What restarts at the layer, [B, C, h, w], and which rows have their target."""
        if self._mode == "activation":
            return trace.activation[self._layer], [True] * len(batch.samples)
        explained = _targets(self._attributor.task, trace, batch)
        found = [one is not None for one in explained]
        if not any(found):
            return torch.zeros_like(trace.activation[self._layer]), found
        return trace.relevance(self._layer, explained), found


def _targets(task: Task, trace: Trace, batch: _Batch) -> list[ExplainedTarget | None]:
    """The target of every row, None where it is not found any more."""
    neurons = [queue[0].neuron for queue in batch.queues]
    rows = zip(batch.samples, neurons, task.predictions(trace.output), strict=True)
    return [task.found(prediction, sample, neuron.class_id, neuron.item) for sample, neuron, prediction in rows]
