"""Reference samples of concepts: what a concept's strongest neuron looked at elsewhere in the dataset.

Axes: C concept, N reference, H W picture.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from lcrp.attribution.concepts import only_neuron, relevance_scores
from lcrp.attribution.engine import Attributor
from lcrp.attribution.trace import Trace
from lcrp.data.dataset import Dataset
from lcrp.data.recalled import Recalled
from lcrp.decisions.concept_choice import ConceptChoice
from lcrp.decisions.counting import GrowingCount, StartCounting
from lcrp.decisions.neuron_maps import Mode, NeuronMaps, RankedNeuron
from lcrp.decisions.reference_choice import ReferenceChoice
from lcrp.storage.reference_cache import NeuronKey, ReferenceCache
from lcrp.storage.statistics import StatisticsFile
from lcrp.values.explanation import NOTHING_LOST, Lost, Reference
from lcrp.values.geometry import Box
from lcrp.values.sample import Sample
from lcrp.values.statistics import TopTable

CACHE_FOLDER = "references"  # beside the statistics

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
        map_width: of the map on which peaks count; None: of every sample's own.
        cache: heatmaps that earlier runs computed; None keeps none.
        distinct_pictures: no picture twice, where enough others exist.
        boxes: of decisions, (left, top, right, bottom) in input pixels, by sample, class and item.
    """

    dataset: Dataset | Recalled
    table: TopTable
    layer: str
    mode: Mode
    num_references: int
    batch_size: int
    map_width: int | None = None
    cache: ReferenceCache | None = None
    distinct_pictures: bool = True
    boxes: Mapping[tuple[int, int, int], Box] = field(default_factory=dict)


def reference_source(
    path: Path,
    dataset: Dataset,
    class_names: Sequence[str],
    choice: ConceptChoice,
    *,
    batch_size: int,
    distinct_pictures: bool = True,
) -> ReferenceSource:
    """The ranking of a layer's concepts, from a file with their statistics.

    Args:
        path: the file; heatmaps of references are kept beside it.
        dataset: whose samples were ranked.
        class_names: of the network.
        choice: layer and mode, and how many references are shown.
        batch_size: samples per forward pass, at most.
        distinct_pictures: no picture twice, where enough others exist.

    Raises:
        StoreError: the file is missing or damaged, or does not rank the layer.
    """
    assert choice.layer is not None
    with StatisticsFile(path, class_names=class_names) as file:
        ranking, config_hash = file.layer(choice.layer), file.header.config_hash
    folder = path.parent / CACHE_FOLDER
    return ReferenceSource(
        dataset=Recalled(dataset),
        table=ranking.activation if choice.mode == "activation" else ranking.relevance,
        layer=choice.layer,
        mode=choice.mode,
        num_references=choice.n_references,
        batch_size=batch_size,
        map_width=ranking.map_size[1],
        cache=ReferenceCache(folder=folder, config_hash=config_hash, layer=choice.layer, mode=choice.mode),
        distinct_pictures=distinct_pictures,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """What stands for a concept.

    Attributes:
        shown: the references, best first.
        lost: ranked samples that could not be shown.
    """

    shown: tuple[Reference, ...] = ()
    lost: Lost = NOTHING_LOST


def reference_samples(
    attributor: Attributor,
    source: ReferenceSource,
    concepts: Sequence[int],
    explained: Sample | None = None,
    start_counting: StartCounting | None = None,
) -> dict[int, References]:
    """Reference samples of every concept, best first.

    The heatmap of a reference is conditional on the target under which it was ranked, through a single neuron of the
    concept: its spatial peak. In activation mode the neuron's activation takes the place of its relevance.

    Samples in which the concept's score is not positive are no references. Each object is shown once: of two references
    of one picture whose heatmaps overlap by half (sum_i min(a_i, b_i) / sum_i max(a_i, b_i) >= 0.5 for absolute values
    of sum 1), or have no positive relevance, the better one stays. With `source.distinct_pictures` each picture is
    shown once, too, unless the ranking holds too few pictures. The explained picture comes last, and only where the
    ranking holds too few others. References whose target is no longer found, or whose picture cannot be
    read, are left out and counted in the log; the next ones of the ranking take their place.

    Args:
        attributor: within its context and recording the layer; its last trace ends here.
        source: where references come from.
        concepts: channels of the layer.
        explained: the picture for which references are shown.
        start_counting: opens a count of the heatmaps that are to be computed; it grows where others take the place of
            those that are left out.
    """
    (found,) = references_by_ranking(attributor, [(source, concepts)], explained, start_counting)
    return dict(found)


def references_by_ranking(
    attributor: Attributor,
    rankings: Sequence[tuple[ReferenceSource, Sequence[int]]],
    explained: Sample | None = None,
    start_counting: StartCounting | None = None,
) -> list[Iterator[tuple[int, References]]]:
    """Reference samples by several rankings of one layer, as `reference_samples` of each; pictures pass once for all.

    References are made whole one concept after the other, as they are taken: their heatmaps need not lie in memory side
    by side.

    Args:
        attributor: within its context and recording the layer; its last trace ends here.
        rankings: sources that differ in table and number of references alone, and the concepts of each; at least one.
        explained: the picture for which references are shown.
        start_counting: as of `reference_samples`.
    """
    source = rankings[0][0]
    chosen = [
        {
            concept: ReferenceChoice(_in_order(own, concept), own.num_references, own.boxes, explained)
            for concept in concepts
        }
        for own, concepts in rankings
    ]
    choices = [choice for own in chosen for choice in own.values()]
    with GrowingCount(start_counting, "references", "heatmaps") as count:
        maps = NeuronMaps(
            attributor,
            source.dataset,
            layer=source.layer,
            mode=source.mode,
            batch_size=source.batch_size,
            map_width=source.map_width,
            cached=source.cache,
            count=count,
        )
        while wanted := [(choice, ranked) for choice in choices for ranked in choice.wanted()]:
            heatmaps = maps.heatmaps([ranked for _, ranked in wanted])
            for (choice, ranked), heatmap in zip(wanted, heatmaps, strict=True):
                choice.offer(ranked, maps.sample(ranked), heatmap)
    tried = {key: lost for choice in choices for key, lost in choice.tried.items()}  # what two rankings name, once
    lost = sum(tried.values(), NOTHING_LOST)
    if lost != NOTHING_LOST:
        log.warning("of %d reference samples some are left out: %s", len(tried), lost)
    names = attributor.task.class_names if source.mode == "relevance" else None
    return [_made_whole(own, names) for own in chosen]


def _made_whole(
    chosen: Mapping[int, ReferenceChoice], class_names: Sequence[str] | None
) -> Iterator[tuple[int, References]]:
    for concept, choice in chosen.items():
        yield concept, References(shown=choice.references(class_names), lost=choice.lost)


def seen_through(trace: Trace, layer: str, sample: Sample, relevance: torch.Tensor, concept: int) -> Reference:
    """What a concept's strongest neuron looks at in a decision that nothing ranked; its class is to be told.

    Args:
        trace: of the picture alone.
        layer: name of the layer.
        sample: the picture.
        relevance: [1, C, h, w] of the decision at the layer.
        concept: channel of the layer.
    """
    scores = relevance_scores(relevance)
    restart = only_neuron(relevance, torch.tensor([concept], device=relevance.device), scores.peak[:, concept])
    heatmap = trace.conditional(layer, restart)[0].float().cpu().numpy()
    top, left, bottom, right = sample.geometry.content()
    return Reference(
        key=sample.key,
        sample=sample.index,
        class_name="",
        score=float(scores.score[0, concept]),
        picture=sample.image.permute(1, 2, 0).numpy()[top:bottom, left:right],
        heatmap=heatmap[top:bottom, left:right],
        pixel_aspect=sample.geometry.pixel_aspect,
    )


def _in_order(source: ReferenceSource, concept: int) -> list[RankedNeuron]:
    """Ranked neurons of a concept, best first; of every picture the best one first, if pictures are to be distinct.

    None of those in which it speaks against the decision, or says nothing: a small dataset ranks these, too.
    """
    table = source.table
    columns = (table.sample, table.class_id, table.item, table.peak)
    ranked = [
        RankedNeuron(
            concept=concept,
            neuron=NeuronKey(*(int(column[concept, rank]) for column in columns)),
            score=float(table.score[concept, rank]),
        )
        for rank in range(int(table.filled[concept]))
        if table.score[concept, rank] > 0.0
    ]
    if not source.distinct_pictures:
        return ranked
    firsts = {one.neuron.sample: one for one in reversed(ranked)}
    return sorted(ranked, key=lambda one: firsts[one.neuron.sample] is not one)
