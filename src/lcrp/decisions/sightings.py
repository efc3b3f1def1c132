"""What is seen in pictures, and how much of every concept's relevance lies there.

Axes: C concept, F thing, H W picture.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch

from lcrp.attribution.pixels import centred_pixels
from lcrp.attribution.segmentation import BACKGROUND
from lcrp.data.scenes import CONTEXT_NAMES
from lcrp.decisions.concept_choice import MAX_CONCEPTS, ConceptChoice
from lcrp.decisions.counting import StartCounting
from lcrp.decisions.decision import explained_decisions
from lcrp.decisions.many import annotated_names
from lcrp.decisions.selection import Selection
from lcrp.decisions.subject import Subject
from lcrp.errors import DataError, TargetError
from lcrp.evidence.localisation import areas, shares
from lcrp.evidence.naming import Sighting
from lcrp.values.explanation import Explanation
from lcrp.values.sample import VOID, Annotation, Sample

log = logging.getLogger(__name__)

SURROUNDINGS = "surroundings"  # all that is no annotated object, where the data do not name contexts
PER_PICTURE = 2  # decisions: more pictures say more than more decisions of one picture

Mask = npt.NDArray[np.bool_]


def sightings(
    subject: Subject,
    layer: str,
    start_counting: StartCounting,
    *,
    num_decisions: int,
    num_samples: int | None = None,
    samples: Sequence[int] | None = None,
) -> Iterator[Sighting]:
    """Decisions of the dataset's pictures, and what is seen in them; none where nothing is annotated.

    Args:
        subject: the network and the dataset.
        layer: whose concepts.
        start_counting: opens a count of the decisions, as `Run.progress` does.
        num_decisions: at most.
        num_samples: of the dataset, the first so many; None for all.
        samples: indices of pictures; None spreads over the dataset.
    """
    dataset, data_names = subject.dataset, annotated_names(subject.dataset)
    selection = Selection(image=None, samples=None, class_name=None, max_targets=PER_PICTURE)
    choice = ConceptChoice(mode="relevance", layer=layer, n_concepts=MAX_CONCEPTS, n_references=0)
    num_left = num_decisions
    order = _spread(min(len(dataset), num_samples or len(dataset)), num_decisions) if samples is None else samples
    with (
        subject.explainer.attributor([layer]) as attributor,
        start_counting(num_decisions, "names of concepts", "decisions") as progress,
    ):
        for index in order:
            if not num_left:
                return
            try:
                sample = dataset[index]
                if sample.annotation is None:
                    return
                things = things_seen(sample, data_names)
                found = explained_decisions(attributor, sample, selection, choice, data_names) if things else []
            except (TargetError, DataError) as error:
                log.debug("%s", error)
                continue
            found = found[:num_left]
            num_left -= len(found)
            progress.advance(len(found))
            yield from (sighting(one, sample, things) for one in found)


def _spread(total: int, count: int) -> Iterator[int]:
    """All of so many indices; the first ones are spread over them."""
    step = max(1, total // count)
    yield from (index for start in range(step) for index in range(start, total, step))


def sighting(explanation: Explanation, sample: Sample, things: Mapping[str, Mask]) -> Sighting:
    """What of the concepts' relevance for one decision lies in every thing.

    Args:
        explanation: of the decision, with conditional heatmaps of some concepts.
        sample: its picture.
        things: [H, W] masks by name.
    """
    assert explanation.all_shares is not None
    top, left, bottom, right = sample.geometry.content()
    masks = np.stack([mask[top:bottom, left:right] for mask in things.values()])  # [F, H, W]
    beyond = np.zeros((len(masks), len(explanation.all_shares)))
    chance = areas(masks)
    for one in explanation.concepts:
        inside = shares(one.heatmap[top:bottom, left:right], masks)
        beyond[:, one.concept] = np.nan_to_num(inside - chance)  # NaN where nothing is positive
    known = explanation.annotated
    return Sighting(
        sample=sample.index,
        own=known.class_name if known is not None and known.verdict == "hit" else "",
        shares=explanation.all_shares,
        beyond=dict(zip(things, beyond, strict=True)),
    )


def things_seen(sample: Sample, class_names: Sequence[str]) -> dict[str, Mask]:
    """Everything in a picture that is annotated: classes, parts, contexts; masks [H, W] by name.

    Args:
        sample: the picture.
        class_names: of the annotation; index = label.

    Returns:
        Of a class its pixels, or its filled boxes; where contexts are not named, what surrounds all objects. Nothing
        where no object is annotated.
    """
    annotation = sample.annotation
    if annotation is None:
        return {}
    found = {name: mask for name, mask in _classes(annotation, class_names, sample.image) if mask.any()}
    if not found:
        return {}
    found |= {name: mask.numpy() for name, mask in annotation.parts.items() if mask.any()}
    covered = np.logical_or.reduce(list(found.values()))
    if annotation.context is None:
        contexts = {SURROUNDINGS: ~covered}
    else:
        context = annotation.context.numpy()
        contexts = {name: (context == number) & ~covered for number, name in enumerate(CONTEXT_NAMES)}
    return found | {name: mask for name, mask in contexts.items() if mask.any()}


def _classes(annotation: Annotation, class_names: Sequence[str], image: torch.Tensor) -> Iterator[tuple[str, Mask]]:
    if annotation.class_mask is not None and not len(annotation.boxes):
        labels = annotation.class_mask.numpy()
        for label in np.unique(labels[labels != VOID]).tolist():
            if class_names[label] != BACKGROUND:
                yield class_names[label], labels == label
        return
    for label in sorted(set(annotation.labels.tolist())):
        rows = annotation.labels == label
        if annotation.masks is not None:
            yield class_names[label], annotation.masks[rows].any(dim=0).numpy()
        else:
            filled = [centred_pixels(tuple(box), image[0]) for box in annotation.boxes[rows].tolist()]
            yield class_names[label], torch.stack(filled).any(dim=0).cpu().numpy()
