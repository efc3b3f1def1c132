"""One chunk of a dataset pass: its targets explained and ranked."""

import time
from collections.abc import Callable, Sequence

import torch

from lcrp.attribution.engine import Attributor
from lcrp.decisions.rounds import Activations, Chunk, ChunkScores, Queue, chunk_of, explained_chunk
from lcrp.ranking.accumulator import StatisticsAccumulator
from lcrp.runs.processes import in_order
from subjects import targets

NEW, IN_THE_MIDST = 8, 20  # pictures: those for which copies take their memory, and those that are measured

Queues = Callable[[Chunk, int], list[Queue]]  # targets of every image of a chunk, and the number of its first sample


def gather(attributor: Attributor, chunk: Chunk, queues: Sequence[Queue], accumulator: StatisticsAccumulator) -> None:
    """Explain the targets of every image of a chunk, and rank them."""
    if any(queues):
        scores = explained_chunk(attributor, chunk, queues, accumulator.least_relevance)
        found = [one.target for one in scores.explained]
        accumulator.update(found, scores.relevance, chunk.activations.scores, scores.images)


def seconds_side_by_side(attributor: Attributor, images: torch.Tensor, num_targets: int) -> float:
    """Seconds that a picture takes in the midst of a pass that works on pictures side by side.

    Args:
        attributor: within its context.
        images: [B, 3, H, W], of which each goes through the network alone.
        num_targets: of every picture.
    """
    accumulator: StatisticsAccumulator | None = None

    def work(number: int) -> tuple[Activations, ChunkScores]:
        chunk = chunk_of(attributor, images[number % len(images)][None])
        scores = explained_chunk(attributor, chunk, fixed_queues(num_targets)(chunk, number), None)
        return chunk.activations, scores

    began = 0.0
    for number, (activations, scores) in in_order(work, range(NEW + IN_THE_MIDST), torch.get_num_threads()):
        if number == NEW:
            began = time.perf_counter()
        if accumulator is None:
            accumulator = StatisticsAccumulator(activations.shapes, device=images.device)
        found = [one.target for one in scores.explained]
        accumulator.update(found, scores.relevance, activations.scores, scores.images)
    return (time.perf_counter() - began) / (IN_THE_MIDST - 1)


def fixed_queues(num_targets: int) -> Queues:
    """So many targets at fixed places for every image."""

    def queues(chunk: Chunk, first: int) -> list[Queue]:
        return [targets(chunk.trace.output, first + row, num_targets) for row in range(len(chunk.images))]

    return queues
