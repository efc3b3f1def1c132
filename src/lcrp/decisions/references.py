"""Reference samples of concepts: what a concept's strongest neuron looked at elsewhere in the dataset.

Axes: B batch, C concept, N reference, H W picture, h w feature map.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from lcrp.attribution.concepts import only_neuron
from lcrp.attribution.engine import Attributor, Trace
from lcrp.attribution.task import Task
from lcrp.data.dataset import Dataset
from lcrp.decisions.rounds import images_at_once
from lcrp.errors import DataError, TargetError
from lcrp.storage.reference_cache import NeuronKey, ReferenceCache
from lcrp.values.explanation import Reference
from lcrp.values.sample import Sample
from lcrp.values.statistics import TopTable
from lcrp.values.target import ExplainedTarget

Mode = Literal["relevance", "activation"]
Heatmap = npt.NDArray[np.floating]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceSource:
    """Where references come from.

    Attributes:
        dataset: the samples that were ranked.
        table: the layer's ranking over all targets, [C, N].
        layer: name of the layer.
        mode: what ranked them, and what restarts at the neuron.
        num_references: at most so many per concept.
        batch_size: samples per forward pass, at most.
        cache: heatmaps that earlier runs computed; None keeps none.
    """

    dataset: Dataset
    table: TopTable
    layer: str
    mode: Mode
    num_references: int
    batch_size: int
    cache: ReferenceCache | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One neuron of a concept on one sample, and the score that ranked it."""

    concept: int
    neuron: NeuronKey
    score: float


_Heatmaps = dict[tuple[int, NeuronKey], Heatmap]
_Read = Callable[[int], Sample]


def reference_samples(
    attributor: Attributor, source: ReferenceSource, concepts: Sequence[int]
) -> dict[int, tuple[Reference, ...]]:
    """Reference samples of every concept, best first.

    The heatmap of a reference is conditional on the target under which it was ranked, through a single neuron of the
    concept: its spatial peak. In activation mode the neuron's activation takes the place of its relevance. References
    whose target is no longer found, or whose picture cannot be read, are left out and counted in the log.

    Args:
        attributor: within its context and recording the layer; its last trace ends here.
        source: where references come from.
        concepts: channels of the layer.
    """
    read: _Read = cache(lambda index: source.dataset[index])
    jobs = [job for concept in dict.fromkeys(concepts) for job in _jobs(source, concept)]
    heatmaps: _Heatmaps = {}
    for concept in dict.fromkeys(concepts):
        known = source.cache.read(concept) if source.cache else {}
        heatmaps.update({(concept, neuron): heatmap for neuron, heatmap in known.items()})
    missing = [job for job in jobs if (job.concept, job.neuron) not in heatmaps]
    computed = _computed(attributor, source, missing, read)
    _remember(source, computed)
    heatmaps.update(computed)
    found: dict[int, list[Reference]] = {concept: [] for concept in concepts}
    for job in jobs:
        heatmap, sample = heatmaps.get((job.concept, job.neuron)), _readable(read, job)
        if heatmap is not None and sample is not None:
            name = attributor.task.class_names[job.neuron.class_id] if source.mode == "relevance" else ""
            found[job.concept].append(_reference(job, sample, heatmap, name))
    lost = len(jobs) - sum(map(len, found.values()))
    if lost:
        log.warning(
            "%d of %d reference samples are left out: their target or picture is not found any more", lost, len(jobs)
        )
    return {concept: tuple(references) for concept, references in found.items()}


def _jobs(source: ReferenceSource, concept: int) -> list[_Job]:
    table = source.table
    count = min(source.num_references, int(table.filled[concept]))
    columns = (table.sample, table.class_id, table.item, table.peak)
    return [
        _Job(
            concept=concept,
            neuron=NeuronKey(*(int(column[concept, rank]) for column in columns)),
            score=float(table.score[concept, rank]),
        )
        for rank in range(count)
    ]


def _computed(attributor: Attributor, source: ReferenceSource, jobs: Sequence[_Job], read: _Read) -> _Heatmaps:
    """Heatmaps of jobs, batched across concepts; those without a target are missing.

    Concepts share samples: each target is explained once, and has one further backward round per neuron. Targets with
    many neurons go together, so that few rounds run for a part of a batch only.
    """
    by_target: dict[tuple[int, int, int], list[_Job]] = {}
    for job in jobs:
        by_target.setdefault(job.neuron[:3], []).append(job)
    queues = [
        (sample, queue)
        for queue in sorted(by_target.values(), key=len, reverse=True)
        if (sample := _readable(read, queue[0])) is not None
    ]
    heatmaps: _Heatmaps = {}
    device = next(attributor.network.parameters()).device
    size = images_at_once((source.batch_size, *queues[0][0].image.shape), device) if queues else 1
    for start in range(0, len(queues), size):
        heatmaps.update(_of_batch(attributor, source, queues[start : start + size]))
    return heatmaps


def _readable(read: _Read, job: _Job) -> Sample | None:
    try:
        return read(job.neuron.sample)
    except DataError as error:
        log.debug("%s", error)
        return None


def _of_batch(
    attributor: Attributor, source: ReferenceSource, batch: Sequence[tuple[Sample, Sequence[_Job]]]
) -> _Heatmaps:
    """Heatmaps of all neurons of a batch: one sample and target per row, one neuron of each per round."""
    trace = attributor.forward(torch.stack([sample.image for sample, _ in batch]), is_for_few=True)
    restart, found = _restart(attributor.task, trace, source, batch)  # [B, C, h, w]
    heatmaps: _Heatmaps = {}
    for number in range(max(len(queue) for _, queue in batch)):
        rows = [row for row, (_, queue) in enumerate(batch) if number < len(queue) and found[row]]
        if not rows:
            continue
        seed = torch.zeros_like(restart)
        jobs = [batch[row][1][number] for row in rows]
        concepts = torch.tensor([job.concept for job in jobs], device=restart.device)
        peaks = torch.tensor([job.neuron.peak for job in jobs], device=restart.device)
        seed[rows] = only_neuron(restart[rows], concepts, peaks)
        maps = trace.conditional(source.layer, seed)[rows].float().cpu().numpy()
        heatmaps.update({(job.concept, job.neuron): one for job, one in zip(jobs, maps, strict=True)})
    return heatmaps


def _restart(
    task: Task, trace: Trace, source: ReferenceSource, batch: Sequence[tuple[Sample, Sequence[_Job]]]
) -> tuple[torch.Tensor, list[bool]]:
    """What restarts at the layer, [B, C, h, w], and which rows have their target."""
    if source.mode == "activation":
        return trace.activation[source.layer], [True] * len(batch)
    explained: list[ExplainedTarget | None] = []
    for (sample, queue), prediction in zip(batch, task.predictions(trace.output), strict=True):
        neuron = queue[0].neuron
        try:
            explained.append(task.find(prediction, sample.index, sample.key, neuron.class_id, neuron.item))
        except TargetError as error:
            log.debug("%s", error)
            explained.append(None)
    found = [one is not None for one in explained]
    if not any(found):
        return torch.zeros_like(trace.activation[source.layer]), found
    return trace.relevance(source.layer, explained), found


def _remember(source: ReferenceSource, computed: Mapping[tuple[int, NeuronKey], Heatmap]) -> None:
    if source.cache is None:
        return
    by_concept: dict[int, dict[NeuronKey, Heatmap]] = {}
    for (concept, neuron), heatmap in computed.items():
        by_concept.setdefault(concept, {})[neuron] = heatmap
    for concept, heatmaps in by_concept.items():
        source.cache.write(concept, heatmaps)


def _reference(job: _Job, sample: Sample, heatmap: Heatmap, class_name: str) -> Reference:
    top, left, bottom, right = sample.geometry.content()
    return Reference(
        key=sample.key,
        sample=sample.index,
        class_name=class_name,
        score=job.score,
        picture=sample.image.permute(1, 2, 0).numpy()[top:bottom, left:right],
        heatmap=heatmap[top:bottom, left:right],
    )
