"""The decisions of many pictures, explained: what the stages show that give an overview."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from lcrp.data.dataset import Dataset
from lcrp.data.folder import FolderDataset
from lcrp.data.tiles import TiledDataset, tiled
from lcrp.decisions.concept_choice import ConceptChoice
from lcrp.decisions.counting import StartCounting
from lcrp.decisions.explained import explained
from lcrp.decisions.selection import Selection, sample_indices
from lcrp.decisions.subject import Subject
from lcrp.errors import DataError, TargetError, refuse
from lcrp.values.explanation import Explanation

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ManyDecisions:
    """Which decisions are explained, and how many.

    Attributes:
        selection: whose pictures, and which of their decisions.
        choice: which concepts of which layer.
        num_decisions: at most.
        num_samples: of the dataset, the first so many; None for all.
    """

    selection: Selection
    choice: ConceptChoice
    num_decisions: int
    num_samples: int | None = None


def explained_pictures(
    subject: Subject, wanted: ManyDecisions, start_counting: StartCounting
) -> Iterator[list[Explanation]]:
    """Decisions of one picture after the other, spread over the dataset; none of a picture in which nothing is decided.

    Args:
        subject: the network, and the dataset whose pictures are shown, if none of a person's own are.
        wanted: which, and how many.
        start_counting: opens a count of the decisions, as `Run.progress` does.

    Raises:
        DataError: pictures that were asked for are not there.
    """
    selection, num_left = wanted.selection, wanted.num_decisions
    pictures = pictures_of(subject, selection)
    order = list(_order(pictures, wanted))
    names = None if selection.image is not None else annotated_names(pictures)
    if isinstance(pictures, TiledDataset):
        log.info("every tile is a picture here: an object that two of them show is there twice")
    with start_counting(wanted.num_decisions, "decisions", "decisions") as progress:
        for place, index in enumerate(order):
            if not num_left:
                return
            fair = -(-num_left // (len(order) - place))  # so that all pictures have their share
            own = replace(selection, max_targets=min(selection.max_targets, fair))
            try:
                found = explained(subject.explainer, pictures[index], own, wanted.choice, data_names=names)
            except (TargetError, DataError) as error:
                log.log(logging.DEBUG if selection.samples is None else logging.WARNING, "%s", error)
                found = []
            found = found[:num_left]
            num_left -= len(found)
            progress.advance(len(found))
            yield found
    if num_left:
        log.info(
            "%d decisions instead of %d: there are no more, or each picture has given its share",
            wanted.num_decisions - num_left,
            wanted.num_decisions,
        )


def annotated_names(dataset: Dataset) -> Sequence[str]:
    """Classes that are annotated, empty for those of the network that are not."""
    names: Sequence[str] = getattr(dataset, "annotated_names", dataset.class_names)
    return names


def pictures_of(subject: Subject, selection: Selection) -> Dataset:
    """The pictures to explain: a person's own, or the dataset.

    Raises:
        ConfigError: a rectangle is asked for of the dataset's.
    """
    if selection.image is None:
        refuse(["rectangle=true is for pictures of your own; name them by stage.image"] if selection.rectangle else [])
        return subject.dataset
    image, names = selection.image, subject.explainer.class_names
    return tiled(lambda placing: FolderDataset(image, placing, names), selection.placing(subject.explainer.transform))


def _order(pictures: Dataset, wanted: ManyDecisions) -> Iterator[int]:
    """Samples in the order in which they are looked at: spread over all of them first."""
    if wanted.selection.samples is not None:
        yield from sample_indices(pictures, wanted.selection.samples)
        return
    total = len(pictures)
    if wanted.selection.image is None and wanted.num_samples is not None:
        total = min(total, wanted.num_samples)
    step = max(1, total // wanted.num_decisions)
    yield from (index for start in range(step) for index in range(start, total, step))
