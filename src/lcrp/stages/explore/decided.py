"""The decisions that the explorer shows, explained."""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lcrp.decisions.concept_choice import ConceptChoice
from lcrp.decisions.many import ManyDecisions, explained_pictures
from lcrp.decisions.subject import Subject
from lcrp.figures.content import as_photographed
from lcrp.page.content import DecisionContent, PictureContent
from lcrp.page.maps import coarse_mask, gridded
from lcrp.page.pictures import photograph
from lcrp.runs.run import Run
from lcrp.stages.explore.settings import ExploreSettings
from lcrp.storage.explanation_json import explanation_json
from lcrp.values.explanation import Explanation
from lcrp.values.geometry import Box

log = logging.getLogger(__name__)

_TILE = re.compile(r"\[\d+,\d+\]$")  # its row and column, at the end of its name


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
    wanted = ManyDecisions(
        selection=settings.selection,
        choice=ConceptChoice(mode="relevance", layer=layer, n_concepts=settings.n_concepts, n_references=0),
        num_decisions=settings.num_decisions,
        num_samples=num_samples,
    )
    contents: list[PictureContent] = []
    decisions: list[DecisionContent] = []
    num_tried = 0
    for found in explained_pictures(subject, wanted, run.progress):
        num_tried += 1
        if found:
            decisions += [decision_content(one, len(contents)) for one in found]
            contents.append(picture_content(found[0], is_shown=settings.pictures))
    return Decided(pictures=tuple(contents), decisions=tuple(decisions), num_tried=num_tried)


def picture_content(explanation: Explanation, *, is_shown: bool) -> PictureContent:
    """The picture of an explanation."""
    shown = as_photographed(explanation)
    height, width = shown.picture.shape[:2]
    image = photograph(shown.picture) if is_shown else None
    whole = _TILE.sub("", explanation.source) if explanation.geometry.tile is not None else ""
    return PictureContent(name=explanation.source, image=image, size=(height, width), photograph=whole)


def decision_content(explanation: Explanation, picture: int) -> DecisionContent:
    """An explanation as the page shows it; `picture` is the number of its picture."""
    shown = as_photographed(explanation)
    height, width = shown.picture.shape[:2]
    return DecisionContent(
        picture=picture,
        facts=explanation_json(explanation),
        box=None if shown.explained.box is None else in_shares(shown.explained.box, (height, width)),
        mask=None if shown.explained.area is None else coarse_mask(shown.mask),
        maps=np.stack([gridded(one) for one in (shown.heatmap, *(concept.heatmap for concept in shown.concepts))]),
        shares=explanation.all_shares,
    )


def in_shares(box: Box, size: Sequence[int]) -> Box:
    """A box in pixels of what is shown, (height, width), in shares of it."""
    (height, width), (left, top, right, bottom) = size, box
    left, right = (min(1.0, max(0.0, edge / width)) for edge in (left, right))
    top, bottom = (min(1.0, max(0.0, edge / height)) for edge in (top, bottom))
    return left, top, right, bottom
