"""The decisions that the explorer shows, explained."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lcrp.data.dataset import Dataset
from lcrp.data.folder import FolderDataset
from lcrp.data.tiles import tiled
from lcrp.decisions.concept_choice import ConceptChoice
from lcrp.decisions.explained import explained
from lcrp.decisions.selection import sample_indices
from lcrp.decisions.subject import Subject
from lcrp.errors import DataError, TargetError
from lcrp.figures.content import as_photographed
from lcrp.page.content import DecisionContent, PictureContent
from lcrp.page.maps import coarse_mask, gridded
from lcrp.page.pictures import photograph
from lcrp.runs.run import Run
from lcrp.stages.explore.settings import ExploreSettings
from lcrp.storage.explanation_json import explanation_json
from lcrp.values.explanation import Explanation

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """Pictures, and the decisions about them.

    Attributes:
        pictures: in which something was decided.
        decisions: about them, in their order.
        num_tried: pictures that were looked at.
    """

    pictures: tuple[PictureContent, ...] = ()
    decisions: tuple[DecisionContent, ...] = ()
    num_tried: int = 0

    def shares(self) -> npt.NDArray[np.float32] | None:
        """[D, C] share of every concept in every decision; None without decisions."""
        known = [one.shares for one in self.decisions if one.shares is not None]
        return np.stack(known) if known else None


def decided(subject: Subject, settings: ExploreSettings, layer: str, num_samples: int | None, run: Run) -> Decided:
    """Decisions of pictures, as many as asked for.

    Args:
        subject: the network, and the dataset whose pictures are shown, if none of a person's own are.
        settings: which, and how many.
        layer: whose concepts are shown.
        num_samples: of the dataset, the first so many; None for all.
        run: shows the progress.

    Raises:
        DataError: pictures that were asked for are not there.
    """
    if not settings.num_decisions:
        return Decided()
    pictures = _pictures(subject, settings)
    choice = ConceptChoice(mode="relevance", layer=layer, n_concepts=settings.n_concepts, n_references=0)
    names = None if settings.selection.image is not None else annotated_names(pictures)
    contents: list[PictureContent] = []
    decisions: list[DecisionContent] = []
    num_tried = 0
    with run.progress(settings.num_decisions, "decisions", "decisions") as progress:
        for index in _order(pictures, settings, num_samples):
            if len(decisions) >= settings.num_decisions:
                break
            num_tried += 1
            try:
                found = explained(subject.explainer, pictures[index], settings.selection, choice, data_names=names)
            except (TargetError, DataError) as error:
                level = logging.DEBUG if settings.selection.samples is None else logging.WARNING
                log.log(level, "%s", error)
                continue
            found = found[: settings.num_decisions - len(decisions)]
            decisions += [_decision(one, len(contents)) for one in found]
            contents.append(_picture(found[0], is_shown=settings.pictures))
            progress.advance(len(found))
    if len(decisions) < settings.num_decisions:
        log.info("%d decisions instead of %d: these pictures hold no more", len(decisions), settings.num_decisions)
    return Decided(pictures=tuple(contents), decisions=tuple(decisions), num_tried=num_tried)


def annotated_names(dataset: Dataset) -> tuple[str, ...]:
    """Classes that are annotated, empty for those of the network that are not."""
    names: tuple[str, ...] = getattr(dataset, "annotated_names", dataset.class_names)
    return names


def _pictures(subject: Subject, settings: ExploreSettings) -> Dataset:
    """A person's own pictures, or the dataset."""
    image = settings.selection.image
    if image is None:
        return subject.dataset
    names = subject.explainer.class_names
    transform = settings.selection.placing(subject.explainer.transform)
    return tiled(lambda placing: FolderDataset(image, placing, names), transform)


def _order(pictures: Dataset, settings: ExploreSettings, num_samples: int | None) -> Iterator[int]:
    """Samples in the order in which they are looked at: spread over all of them first."""
    if settings.selection.samples is not None:
        yield from sample_indices(pictures, settings.selection.samples)
        return
    total = len(pictures)
    if settings.selection.image is None and num_samples is not None:
        total = min(total, num_samples)
    step = max(1, total // settings.num_decisions)
    yield from (index for start in range(step) for index in range(start, total, step))


def _picture(explanation: Explanation, *, is_shown: bool) -> PictureContent:
    shown = as_photographed(explanation)
    height, width = shown.picture.shape[:2]
    image = photograph(shown.picture) if is_shown else None
    return PictureContent(name=explanation.source, image=image, size=(height, width))


def _decision(explanation: Explanation, picture: int) -> DecisionContent:
    shown = as_photographed(explanation)
    height, width = shown.picture.shape[:2]
    return DecisionContent(
        picture=picture,
        facts=explanation_json(explanation),
        box=_in_shares(shown.explained.box, (height, width)),
        mask=None if shown.explained.area is None else coarse_mask(shown.mask),
        maps=np.stack([gridded(one) for one in (shown.heatmap, *(concept.heatmap for concept in shown.concepts))]),
        shares=explanation.all_shares,
    )


def _in_shares(box: Sequence[float] | None, size: tuple[int, int]) -> tuple[float, float, float, float] | None:
    if box is None:
        return None
    (height, width), (left, top, right, bottom) = size, box
    left, right = (min(1.0, max(0.0, edge / width)) for edge in (left, right))
    top, bottom = (min(1.0, max(0.0, edge / height)) for edge in (top, bottom))
    return left, top, right, bottom
