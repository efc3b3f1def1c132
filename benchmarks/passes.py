"""One chunk of a dataset pass: its targets explained and ranked."""

from collections.abc import Callable, Sequence

from lcrp.attribution.engine import Attributor
from lcrp.decisions.rounds import Chunk, Queue, explained_chunk
from lcrp.ranking.accumulator import StatisticsAccumulator
from subjects import targets

Queues = Callable[[Chunk, int], list[Queue]]  # targets of every image of a chunk, and the number of its first sample


def gather(attributor: Attributor, chunk: Chunk, queues: Sequence[Queue], accumulator: StatisticsAccumulator) -> None:
    """Explain the targets of every image of a chunk, and rank them."""
    if any(queues):
        scores = explained_chunk(attributor, chunk, queues, accumulator.least_relevance)
        found = [one.target for one in scores.explained]
        accumulator.update(found, scores.relevance, chunk.activations.scores, scores.images)


def fixed_queues(num_targets: int) -> Queues:
    """So many targets at fixed places for every image."""

    def queues(chunk: Chunk, first: int) -> list[Queue]:
        return [targets(chunk.trace.output, first + row, num_targets) for row in range(len(chunk.images))]

    return queues
