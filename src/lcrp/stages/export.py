"""stage=export: what lcrp found, as other tools read it.

Concept statistics as zennit-crp's folders, or explained decisions as a project of ViRelAy or a dataset of FiftyOne.

Axes: M decision, H W picture, S side of a crop.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from lcrp.decisions.concept_choice import ConceptChoice
from lcrp.decisions.explained import layer_of
from lcrp.decisions.many import ManyDecisions, explained_pictures
from lcrp.decisions.selection import Selection, class_id_of
from lcrp.decisions.subject import StatisticsSettings, Subject
from lcrp.errors import TargetError, at_least, one_of, refuse
from lcrp.figures.content import as_photographed
from lcrp.runs.run import Run
from lcrp.stages.exchange import CrpExport, export_statistics
from lcrp.stages.settled import settled
from lcrp.storage.crp_folder import Convention
from lcrp.storage.fiftyone import DecisionDocument, PictureDocument, write_fiftyone
from lcrp.storage.new_folder import new_folder
from lcrp.storage.virelay import DecisionRow, Origin, write_virelay
from lcrp.values.explanation import Explanation
from lcrp.values.geometry import Box, Mask

Array = npt.NDArray[Any]
Format = Literal["zennit-crp", "virelay", "fiftyone"]

SIDE = 128  # of a crop, in pixels
MARGIN = 1.3  # a crop's side by that of the box
LISTED = 3  # classes that are told of

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSettings:
    """What is exported, and where to.

    Attributes:
        folder: is made; must not be there yet.
        format: 'zennit-crp': concept statistics; 'virelay', 'fiftyone': explained decisions.
        convention: how a folder of zennit-crp names layers and classes.
        statistics: file with the concept statistics, for zennit-crp; None finds the one that fits.
        selection: of the decisions that are explained.
        layer: whose concepts are told; None takes the model's own choice.
        num_decisions: explained at most.
        n_concepts: of every decision, named in FiftyOne.
    """

    folder: Path
    format: Format = "zennit-crp"
    convention: Convention = field(default_factory=Convention)
    statistics: Path | None = None
    selection: Selection
    layer: str | None = None
    num_decisions: int = 200
    n_concepts: int = 5

    def __post_init__(self) -> None:
        refuse(self._problems())

    def _problems(self) -> Iterator[str]:
        yield from one_of("format", self.format, get_args(Format))
        yield from at_least("num_decisions", self.num_decisions, 1)
        yield from at_least("n_concepts", self.n_concepts, 1)


def export(subject: Subject, statistics: StatisticsSettings, settings: ExportSettings, run: Run) -> Path:
    """Write a folder that another tool reads.

    Args:
        subject: model, dataset and composite.
        statistics: how the concept statistics were made.
        settings: what is exported, and where to.
        run: shows the progress, and has the folder of what runs share.

    Returns:
        The folder.

    Raises:
        StoreError: there are no statistics that fit, or the folder is there already.
        TargetError: nothing is decided in these pictures.
        LayerError: there is no such layer.
    """
    if settings.format == "zennit-crp":
        crp = CrpExport(folder=settings.folder, convention=settings.convention, statistics=settings.statistics)
        return export_statistics(subject, statistics, crp, run)
    class_id_of(settings.selection.class_name, subject.explainer.class_names)  # refused before anything is explained
    with new_folder(settings.folder) as folder:
        subject = settled(subject, statistics, run, [settings.layer])
        layer = layer_of(subject.explainer, settings.layer)
        wanted = ManyDecisions(
            selection=settings.selection,
            choice=ConceptChoice(mode="relevance", layer=layer, n_concepts=1, n_references=0),
            num_decisions=settings.num_decisions,
            num_samples=statistics.num_samples,
        )
        by_picture = filter(None, explained_pictures(subject, wanted, run.progress))
        if settings.format == "virelay":
            count = _as_virelay(folder, by_picture, subject, layer)
        else:
            names = subject.explainer.names_of(layer)
            documents = (_document(found, settings.n_concepts, names) for found in by_picture)
            count = write_fiftyone(folder, documents, subject.explainer.class_names)
        if not count:
            raise TargetError(
                f"{subject.explainer.name} decided nothing in these pictures",
                mend="Set stage.confidence lower, or stage.image to other pictures.",
            )
    log.info("exported %d decisions to %s", count, settings.folder)
    return settings.folder


def _as_virelay(folder: Path, by_picture: Iterable[Sequence[Explanation]], subject: Subject, layer: str) -> int:
    """Write a project; gives the number of its decisions."""
    rows = [_row(one) for found in by_picture for one in found]
    if not rows:
        return 0
    origin = Origin(
        model=subject.explainer.name,
        dataset=subject.dataset.name,
        method=subject.explainer.composite.title,
        layer=layer,
        class_names=subject.explainer.class_names,
    )
    few = write_virelay(folder, rows, origin)
    if few:
        listed = ", ".join(few[:LISTED]) + (f" and {len(few) - LISTED} more" if len(few) > LISTED else "")
        log.info("too few decisions to group them: %s; stage.num_decisions asks for more", listed)
    return len(rows)


def _known(values: Array | None) -> Array:
    """Of decisions that were explained just now, nothing is unknown."""
    assert values is not None
    return values


def _row(one: Explanation) -> DecisionRow:
    crop, heatmap = _cropped(as_photographed(one))
    left, top, right, bottom = (round(edge, 1) for edge in _picture_box(one))
    about = {
        "picture": one.source,
        "class": one.class_name,
        "confidence": round(one.explained.confidence, 4),
        "left": left,
        "top": top,
        "right": right,
        "bottom": bottom,
        "outside": round(one.outside, 4),
        "verdict": "" if one.annotated is None else one.annotated.verdict,
    }
    return DecisionRow(
        crop=crop,
        heatmap=heatmap,
        confidences=_known(one.class_confidences),
        class_id=one.explained.target.class_id,
        concepts=_known(one.all_shares),
        about=about,
    )


def _document(found: Sequence[Explanation], n_concepts: int, names: Mapping[int, str]) -> PictureDocument:
    shown = [as_photographed(one) for one in found]
    decisions = tuple(
        DecisionDocument(
            class_name=one.class_name,
            confidence=one.explained.confidence,
            box=_box(one),
            mask=None if one.explained.area is None else one.mask,
            heatmap=one.heatmap,
            outside=one.outside,
            concepts=_leading(_known(one.all_shares), n_concepts, names),
            verdict=None if one.annotated is None else one.annotated.verdict,
        )
        for one in shown
    )
    return PictureDocument(name=found[0].source, picture=_bytes(shown[0].picture), decisions=decisions)


def _leading(shares: Array, count: int, names: Mapping[int, str]) -> tuple[tuple[str, float], ...]:
    """What the concepts that carried a decision most are called, and their shares."""
    order = [concept for concept in np.argsort(-shares, kind="stable")[:count].tolist() if shares[concept] > 0]
    return tuple(
        (f"{names[concept]} (c{concept})" if concept in names else f"c{concept}", float(shares[concept]))
        for concept in order
    )


def _picture_box(one: Explanation) -> Box:
    """(left, top, right, bottom) in pixels of the photograph: the box, or that around the mask."""
    return one.picture_box or _around(one.picture_mask)


def _box(shown: Explanation) -> Box:
    """The same in pixels of the picture that is shown."""
    return shown.explained.box or _around(shown.mask)


def _around(mask: Mask) -> Box:
    """The box around a mask [H, W]; that of the whole picture if there is nothing in it."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        height, width = mask.shape
        return 0.0, 0.0, float(width), float(height)
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def _cropped(shown: Explanation) -> tuple[Array, Array]:
    """[S, S, 3] picture around a decision, and [S, S] its relevance, whose sum is that of the crop."""
    left, top, right, bottom = _box(shown)
    height, width = shown.heatmap.shape
    side = max(2, round(MARGIN * max(right - left, bottom - top)))
    first = [round((low + high - side) / 2) for low, high in ((top, bottom), (left, right))]
    before = [max(0, -start) for start in first]
    after = [max(0, start + side - end) for start, end in zip(first, (height, width), strict=True)]
    rows, columns = (
        slice(max(0, start), min(end, start + side)) for start, end in zip(first, (height, width), strict=True)
    )
    padding = tuple(zip(before, after, strict=True))
    picture = np.pad(shown.picture[rows, columns], (*padding, (0, 0)), constant_values=0.5)
    heatmap = np.pad(shown.heatmap[rows, columns], padding)
    resized = _resized(np.concatenate([picture, heatmap[..., None]], axis=-1))
    return _bytes(resized[..., :3]), resized[..., 3] * (side / SIDE) ** 2


def _resized(values: Array) -> Array:
    """[s, s, C] at the side of a crop."""
    maps = torch.from_numpy(np.ascontiguousarray(np.moveaxis(values, -1, 0), dtype=np.float32))[None]
    mode = "area" if len(values) >= SIDE else "bilinear"
    return np.moveaxis(nn.functional.interpolate(maps, size=(SIDE, SIDE), mode=mode)[0].numpy(), 0, -1)


def _bytes(picture: Array) -> Array:
    """A picture in [0, 1] as uint8."""
    return np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8)
