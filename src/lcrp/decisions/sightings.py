"""What is seen in pictures, and how much of every concept's relevance lies there.

Axes: B picture, C concept, F thing, H W picture, h w feature map.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch

from lcrp.attribution.concepts import relevance_scores
from lcrp.attribution.engine import Attributor
from lcrp.attribution.task import Prediction, Task
from lcrp.data.dataset import Dataset
from lcrp.decisions.beside import annotated
from lcrp.decisions.concept_choice import MAX_CONCEPTS, ConceptChoice, top_concepts
from lcrp.decisions.concept_maps import concept_maps
from lcrp.decisions.counting import StartCounting
from lcrp.decisions.many import annotated_names
from lcrp.decisions.selection import Selection, chosen_targets
from lcrp.decisions.subject import Subject
from lcrp.decisions.things import Mask, things_seen
from lcrp.decisions.together import few_samples
from lcrp.errors import DataError, TargetError
from lcrp.evidence.localisation import areas
from lcrp.evidence.localisation import shares as shares_inside
from lcrp.evidence.naming import Sighting
from lcrp.runs.processes import in_order, processes_for
from lcrp.values.prediction import at_least_float32
from lcrp.values.sample import Sample
from lcrp.values.target import ExplainedTarget

log = logging.getLogger(__name__)

PER_PICTURE = 2  # decisions: more pictures say more than more decisions of one picture

Heatmap = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """A picture, and all that is annotated in it."""

    sample: Sample
    things: Mapping[str, Mask]


def sightings(
    subject: Subject,
    layer: str,
    start_counting: StartCounting,
    *,
    num_decisions: int,
    batch_size: int,
    num_samples: int | None = None,
    samples: Sequence[int] | None = None,
) -> Iterator[Sighting]:
    """Decisions of the dataset's pictures, and what is seen in them; none where nothing is annotated.

    Args:
        subject: the network and the dataset.
        layer: whose concepts.
        start_counting: opens a count of the decisions, as `Run.progress` does.
        num_decisions: at most.
        batch_size: pictures that go through the network together, at most.
        num_samples: of the dataset, the first so many; None for all.
        samples: indices of pictures; None spreads over the dataset.
    """
    dataset, data_names = subject.dataset, annotated_names(subject.dataset)
    num_left = num_decisions
    order = _spread(min(len(dataset), num_samples or len(dataset)), num_decisions) if samples is None else samples
    with (
        subject.explainer.attributor([layer]) as attributor,
        start_counting(num_decisions, "names of concepts", "decisions") as progress,
    ):
        pictures, is_more = _annotated(dataset, order, data_names), True
        processes = processes_for(attributor.device, num_decisions // PER_PICTURE)

        def looked_at(part: Sequence[_Seen]) -> list[Sighting]:
            return _sightings(attributor, part, layer, data_names)

        while num_left and is_more:
            is_more = False
            needed = islice(pictures, -(-num_left // PER_PICTURE))  # however many decisions they have
            parts = few_samples(needed, lambda one: one.sample, batch_size, attributor)
            for _, found in in_order(looked_at, parts, processes, attributor.told):
                is_more, found = True, found[:num_left]
                num_left -= len(found)
                progress.advance(len(found))
                yield from found


def _annotated(dataset: Dataset, order: Iterable[int], data_names: Sequence[str]) -> Iterator[_Seen]:
    """Pictures in which something is annotated, until one says that none is."""
    for index in order:
        try:
            sample = dataset[index]
        except DataError as error:
            log.debug("%s", error)
            continue
        if sample.annotation is None:
            return
        if things := things_seen(sample, data_names):
            yield _Seen(sample=sample, things=things)


def _sightings(attributor: Attributor, part: Sequence[_Seen], layer: str, data_names: Sequence[str]) -> list[Sighting]:
    """The decisions of some pictures, in their order."""
    trace = attributor.forward(torch.stack([one.sample.image for one in part]))
    predictions = attributor.task.predictions(trace.output)
    queues = _queues(attributor.task, predictions, part)
    found: list[list[Sighting]] = [[] for _ in part]
    for number in range(max(map(len, queues))):
        rows = [row for row, queue in enumerate(queues) if number < len(queue)]
        chosen = [queue[number] if number < len(queue) else None for queue in queues]
        relevance = trace.relevance(layer, chosen)  # [B, C, h, w]
        shares = relevance_scores(relevance).score.cpu()  # [B, C]
        shown = {row: _shown(shares[row], layer) for row in rows}
        maps: dict[int, dict[int, Heatmap]] = {row: {} for row in rows}
        for row, place, heatmap in concept_maps(trace, layer, relevance, shown):
            maps[row][shown[row][place]] = at_least_float32(heatmap).cpu().numpy()
        for row in rows:
            one = chosen[row]
            assert one is not None
            found[row].append(
                sighting(
                    part[row].sample,
                    part[row].things,
                    shares=shares[row].float().numpy().astype(np.float32),
                    maps=maps[row],
                    own=_own(attributor.task, predictions[row], part[row].sample, one, data_names),
                )
            )
    return [one for of_picture in found for one in of_picture]


def _queues(task: Task, predictions: Sequence[Prediction], part: Sequence[_Seen]) -> list[list[ExplainedTarget]]:
    """The decisions of every picture that are looked at."""
    selection = Selection(image=None, samples=None, class_name=None, max_targets=PER_PICTURE)
    queues: list[list[ExplainedTarget]] = []
    for one, prediction in zip(part, predictions, strict=True):
        try:
            chosen = chosen_targets(task, prediction, one.sample, selection, None)
        except TargetError as error:
            log.debug("%s", error)
            chosen = []
        queues.append(list(chosen))
    return queues


def _shown(shares: torch.Tensor, layer: str) -> list[int]:
    """The concepts that count most for a decision, from their shares [C]."""
    choice = ConceptChoice(mode="relevance", layer=layer, n_concepts=MAX_CONCEPTS, n_references=0)
    return top_concepts(shares, choice, layer)


def _own(
    task: Task, prediction: Prediction, sample: Sample, explained: ExplainedTarget, data_names: Sequence[str]
) -> str:
    """The class of the annotated object that a decision is about; '' if there is none."""
    height, width = sample.image.shape[-2:]
    mask = np.asarray(task.object_mask(prediction, explained, (height, width)).cpu().numpy())
    known = annotated(task, sample, explained, mask, data_names)
    return known.class_name if known is not None and known.verdict == "hit" else ""


def _spread(total: int, count: int) -> Iterator[int]:
    """All of so many indices; the first ones are spread over them."""
    step = max(1, total // count)
    yield from (index for start in range(step) for index in range(start, total, step))


def sighting(
    sample: Sample,
    things: Mapping[str, Mask],
    *,
    shares: npt.NDArray[np.float32],
    maps: Mapping[int, Heatmap],
    own: str,
) -> Sighting:
    """What of the concepts' relevance for one decision lies in every thing.

    Args:
        sample: its picture.
        things: [H, W] masks by name.
        shares: [C] of the decision's relevance.
        maps: [H, W] conditional heatmaps of some concepts.
        own: class of the annotated object that the decision is about; '' if there is none.
    """
    top, left, bottom, right = sample.geometry.content()
    masks = np.stack([mask[top:bottom, left:right] for mask in things.values()])  # [F, H, W]
    beyond = np.zeros((len(masks), len(shares)))
    chance = areas(masks)
    for concept, heatmap in maps.items():
        inside = shares_inside(heatmap[top:bottom, left:right], masks)
        beyond[:, concept] = np.nan_to_num(inside - chance)  # NaN where nothing is positive
    return Sighting(sample=sample.index, own=own, shares=shares, beyond=dict(zip(things, beyond, strict=True)))
