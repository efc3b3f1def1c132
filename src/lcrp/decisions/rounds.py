"""Backward rounds: how the targets of images share forward passes, and how they score concepts.

Axes: B image, T target, C concept, h w feature map.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch

from lcrp.attribution.concepts import activation_scores, relevance_scores
from lcrp.attribution.engine import Attributor
from lcrp.attribution.trace import Trace
from lcrp.data.transforms import InputTransform
from lcrp.ranking.accumulator import LayerShape
from lcrp.values import devices
from lcrp.values.attribution import ConceptScores
from lcrp.values.ledger import Ledger
from lcrp.values.target import ExplainedTarget, Target

FORWARD_COST = 1.5  # of a forward pass and what its rounds share, in rounds; measured on all five networks

Queue = Sequence[ExplainedTarget]
LookedAt = int | Literal["all"] | None
Shapes = Mapping[str, LayerShape]
LeastScores = Callable[[Sequence[int]], Mapping[str, torch.Tensor]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """A forward pass and the backward rounds over it.

    Attributes:
        images: rows of the chunk that take part, ascending.
        rounds: number of the target, within its image, that each round explains.
    """

    images: tuple[int, ...]
    rounds: range


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkScores:
    """Relevance of all targets of a chunk.

    Attributes:
        explained: T targets, in the order of the rounds.
        images: T rows of the chunk that the targets belong to.
        relevance: of every layer, scores [T, C].
        ledgers: what became of the relevance of those targets that were looked at.
    """

    explained: list[ExplainedTarget]
    images: list[int]
    relevance: dict[str, ConceptScores]
    ledgers: list[tuple[Target, Ledger]]


class Activations:
    """Reads a forward pass: scores of all layers, and their shapes.

    Attributes:
        scores: of every layer, [B, C]; peaks count on the maps of `shapes`.
        shapes: of every layer.
    """

    def __init__(self, shapes: Shapes | None = None) -> None:
        """Nothing is read yet; `shapes` are those of the largest input, where inputs have sizes of their own."""
        self.scores: dict[str, ConceptScores] = {}
        self.shapes: dict[str, LayerShape] = dict(shapes or {})

    def read(self, name: str, maps: torch.Tensor) -> None:
        """Score the output [B, C, h, w] of a layer."""
        own = LayerShape(num_concepts=maps.shape[1], map_size=(maps.shape[2], maps.shape[3]))
        self.scores[name] = counted_on(activation_scores(maps), maps, self.shapes.setdefault(name, own))


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Images after their forward pass.

    Attributes:
        images: [B, 3, H, W].
        trace: of all of them, its maps read as they arose.
        activations: what was read.
    """

    images: torch.Tensor
    trace: Trace
    activations: Activations


def counted_on(scores: ConceptScores, maps: torch.Tensor, shape: LayerShape) -> ConceptScores:
    """Scores whose peaks count on a map of another width: y * w + x with the width of `shape`.

    Args:
        scores: of the maps; a peak of -1 stays.
        maps: [T, C, h, w].
        shape: of the largest input's maps.
    """
    own, width = maps.shape[-1], shape.map_size[1]
    if own == width:
        return scores
    moved = scores.peak.div(own, rounding_mode="floor") * width + scores.peak.remainder(own)
    return replace(scores, peak=moved.where(scores.peak >= 0, scores.peak))


def chunk_of(attributor: Attributor, images: torch.Tensor, shapes: Shapes | None = None) -> Chunk:
    """One forward pass of images [B, 3, H, W]; `shapes` as of `Activations`."""
    activations = Activations(shapes)
    return Chunk(images=images, trace=attributor.forward(images, activations.read), activations=activations)


def planned_passes(counts: Sequence[int]) -> list[Pass]:
    """The cheapest way to explain `counts` targets per image, one target of an image per round.

    The first pass holds the whole chunk, since its targets are found there. A later one is for the images that have
    targets left where that is cheaper than rounds in which the other images idle.

    Args:
        counts: of targets for every image of the chunk, of which there is at least one.
    """
    num_rounds = max(counts)
    active = [tuple(row for row, count in enumerate(counts) if count > number) for number in range(num_rounds)]
    cost, ends = [0.0] * (num_rounds + 1), [num_rounds] * (num_rounds + 1)
    for start in reversed(range(num_rounds)):  # cost of the rounds from `start` on, where a pass begins
        num_images = len(active[start]) if start else len(counts)
        prices = {
            end: num_images * (FORWARD_COST + end - start) + cost[end] for end in range(start + 1, num_rounds + 1)
        }
        ends[start] = min(prices, key=lambda end: (prices[end], -end))
        cost[start] = prices[ends[start]]
    passes, start = [], 0
    while start < num_rounds:
        images = active[start] if start else tuple(range(len(counts)))
        passes.append(Pass(images=images, rounds=range(start, ends[start])))
        start = ends[start]
    return passes


def shapes_of_largest(attributor: Attributor, transform: InputTransform) -> Shapes | None:
    """Shapes of the layers for the largest input; None where inputs are of one size, which tell it themselves.

    Args:
        attributor: within its context.
        transform: makes the inputs.
    """
    if transform.is_of_one_size:
        return None
    largest = torch.zeros(1, 3, transform.height, transform.width, device=attributor.device)
    return chunk_of(attributor, largest).activations.shapes


def explained_chunk(
    attributor: Attributor,
    chunk: Chunk,
    queues: Sequence[Queue],
    least: LeastScores | None,
    *,
    looked_at: LookedAt = None,
) -> ChunkScores:
    """Relevance scores of all targets of a chunk, of which there is at least one.

    Args:
        attributor: within its context.
        chunk: the images.
        queues: the targets of every image.
        least: scores [T, C] per layer that relevance must reach to be ranked, for targets of the given classes;
            None ranks all.
        looked_at: the round whose ledgers are kept, counted on from 0 after the last one; or all, or None for none.
    """
    found = ChunkScores(explained=[], images=[], relevance={}, ledgers=[])
    num_rounds = max(map(len, queues))
    kept = {looked_at % num_rounds} if isinstance(looked_at, int) else set(range(num_rounds) if looked_at else ())
    rounds: list[dict[str, ConceptScores]] = []
    trace = chunk.trace
    for planned in planned_passes([len(queue) for queue in queues]):
        if planned.rounds.start > 0:
            trace = attributor.forward(chunk.images[_places(planned.images, chunk.images.device)], read=_leave)
        accounted: list[Sequence[ExplainedTarget | None]] = []
        for number in planned.rounds:
            chosen = [queues[row][number] if number < len(queues[row]) else None for row in planned.images]
            rounds.append(_round(trace, chosen, chunk.activations, least, is_accounted=number in kept))
            accounted.append(chosen if number in kept else ())
            found.explained.extend(one for one in chosen if one is not None)
            found.images.extend(row for row, one in zip(planned.images, chosen, strict=True) if one is not None)
        for looked, ledgers in zip(accounted, trace.ledgers(), strict=True):
            pairs = zip(looked, ledgers, strict=True) if looked and ledgers else ()
            found.ledgers.extend((one.target, ledger) for one, ledger in pairs if one is not None)
    for name in chunk.activations.shapes:
        parts = [one[name] for one in rounds]
        found.relevance[name] = ConceptScores(
            score=torch.cat([part.score for part in parts]), peak=torch.cat([part.peak for part in parts])
        )
    return found


def _round(
    trace: Trace,
    chosen: Sequence[ExplainedTarget | None],
    active: Activations,
    least: LeastScores | None,
    *,
    is_accounted: bool,
) -> dict[str, ConceptScores]:
    """Scores [T, C] of the targets of one round, zero for layers that do not lead to them."""
    rows = [row for row, one in enumerate(chosen) if one is not None]
    bounds = least([one.target.class_id for one in chosen if one is not None]) if least else {}
    scores: dict[str, ConceptScores] = {}

    places = None if len(rows) == len(chosen) else _places(rows, trace.device)

    def read(name: str, maps: torch.Tensor) -> torch.Tensor:
        found = relevance_scores(maps if places is None else maps[places], bounds.get(name))
        scores[name] = counted_on(found, maps, active.shapes[name])
        return found.score

    trace.read_relevance(chosen, read, is_accounted=is_accounted)
    for name, layer in active.scores.items():
        if name not in scores:
            nothing = layer.score.new_zeros(len(rows), layer.score.shape[1])
            scores[name] = ConceptScores(score=nothing, peak=nothing.long())
    return scores


def _places(rows: Sequence[int], device: torch.device) -> torch.Tensor:
    """Numbers of rows, on a device."""
    return devices.sent(torch.tensor(rows), device)


def _leave(name: str, maps: torch.Tensor) -> None:
    """Activations are read in the chunk's first pass."""
