"""What stage=missed told of single objects and detections, as the explorer shows it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lcrp.decisions.missed_decisions import explained_miss
from lcrp.decisions.selection import class_id_of
from lcrp.decisions.subject import Subject
from lcrp.errors import DataError
from lcrp.figures.content import as_photographed
from lcrp.figures.missed import (
    concept_title,
    concepts_heading,
    falls,
    headline,
    layer_note,
    outlines,
    proof,
    references_heading,
)
from lcrp.page.content import DecisionContent, PictureContent
from lcrp.page.misses import ABSENT, MissedConcept, MissedContent, OutlineContent
from lcrp.page.pictures import strip
from lcrp.runs.run import Run
from lcrp.stages.explore.decided import Decided, decision_content, in_shares, picture_content
from lcrp.stages.explore.measured import Tables
from lcrp.stages.explore.pictured import cropped
from lcrp.stages.explore.settings import ExploreSettings
from lcrp.stages.missed.explained import lacking_of
from lcrp.stages.missed.tables import SIDES, misses_of
from lcrp.values.explanation import ConceptExplanation, Explanation
from lcrp.values.missed import Lacking

log = logging.getLogger(__name__)

SAME_BOX = 1.0  # pixels of the photograph between the sides of two boxes that are one


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the page shows of single pictures.

    Attributes:
        pictures: in which something was decided or missed.
        decisions: about them, false alarms with their kind.
        misses: explained.
    """

    pictures: tuple[PictureContent, ...]
    decisions: tuple[DecisionContent, ...]
    misses: tuple[DecisionContent, ...] = ()


def with_misses(subject: Subject, settings: ExploreSettings, found: Decided, tables: Tables, run: Run) -> Shown:
    """Decisions beside the misses that stage=missed explained.

    Args:
        subject: the network, and the dataset in which objects were missed.
        settings: which decisions are shown; none: no misses, either.
        found: decisions.
        tables: of stage=missed.
        run: shows the progress.
    """
    pictures, misses = list(found.pictures), []
    lackings = _chosen(subject, settings, tables) if settings.num_decisions else []
    if lackings:
        with run.progress(len(lackings), "explaining what is missed", "objects") as progress:
            for lacking in lackings:
                try:
                    explanation = explained_miss(subject.explainer, subject.dataset, lacking)
                except DataError as error:
                    log.warning("a miss is left out: %s", error)
                else:
                    own = picture_content(explanation, is_shown=settings.pictures)
                    if own not in pictures:
                        pictures.append(own)
                    misses.append(miss_content(explanation, pictures.index(own), is_pictured=settings.pictures))
                progress.advance(1)
    return Shown(pictures=tuple(pictures), decisions=with_alarms(found.decisions, tables), misses=tuple(misses))


def _chosen(subject: Subject, settings: ExploreSettings, tables: Tables) -> list[Lacking]:
    """Explained misses of the classes that are shown."""
    if "lacking" not in tables:
        return []
    names = subject.explainer.class_names
    wanted = class_id_of(settings.selection.class_name, names)
    found = lacking_of(tables, misses_of(tables["misses"], names))
    return [one for one in found if wanted is None or one.miss.class_id == wanted]


def miss_content(explanation: Explanation, picture: int, *, is_pictured: bool) -> DecisionContent:
    """A miss as the page shows it.

    Args:
        explanation: of a missed object.
        picture: number of its picture.
        is_pictured: whether crops are made.
    """
    shown = as_photographed(explanation)
    lacking, placed, name = explanation.missed, shown.missed, explanation.class_name
    assert lacking is not None, "an explained miss"
    assert placed is not None
    size = shown.picture.shape[:2]
    boxes = [placed.box, *([] if placed.miss.neighbour is None else [placed.miss.neighbour.box])]
    missed = MissedContent(
        number=lacking.miss.number,
        mechanism=lacking.miss.mechanism.value,
        headline=headline(explanation, lacking),
        notes=(proof(lacking, name), *falls(lacking, name), layer_note(lacking)),
        heading=concepts_heading(explanation.concepts, name),
        references_heading=references_heading(name),
        concepts=tuple(_concept(one, name, is_pictured=is_pictured) for one in explanation.concepts),
        outlines=tuple(
            OutlineContent(text=text, box=in_shares(box, size))
            for (text, _), box in zip(outlines(lacking), boxes, strict=True)
        ),
        absent=tuple(tuple(getattr(one, column) for column in ABSENT) for one in lacking.concepts),
    )
    content = decision_content(explanation, picture)
    return replace(content, box=in_shares(placed.miss.box, size), shares=None, missed=missed)


def _concept(one: ConceptExplanation, class_name: str, *, is_pictured: bool) -> MissedConcept:
    crops = [cropped(reference) for reference in one.references]
    return MissedConcept(
        concept=one.concept,
        text=concept_title(one, class_name)[1],
        references=tuple(content for _, content in crops),
        strip=strip([crop for crop, _ in crops]) if crops and is_pictured else None,
    )


def with_alarms(decisions: Sequence[DecisionContent], tables: Tables) -> tuple[DecisionContent, ...]:
    """Decisions; those that stage=missed calls a false alarm, in the same box of the same picture, with its kind."""
    if "false_alarms" not in tables:
        return tuple(decisions)
    table = tables["false_alarms"]
    by_picture: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for values in table.rows():
        row = dict(zip(table.columns, values, strict=True))
        by_picture.setdefault((row["key"], row["class"]), []).append(row)
    return tuple(replace(one, alarm=_alarm(one, by_picture)) for one in decisions)


def _alarm(one: DecisionContent, by_picture: dict[tuple[str, str], list[dict[str, Any]]]) -> dict[str, Any] | None:
    box = one.facts["box"]
    for row in by_picture.get((one.facts["key"], one.facts["class"]), ()) if box is not None else ():
        if np.abs(np.subtract(box, [row[side] for side in SIDES])).max() <= SAME_BOX:
            return {"kind": row["kind"], "class": row["object_class"], "iou": row["iou"]}
    return None
