"""What the figures and the page of stage=audit show of single objects: each before a few of its grounds."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lcrp.figures.content import in_proportion
from lcrp.stages.audit.differences import Decisions
from lcrp.stages.audit.grounds import Ground
from lcrp.stages.audit.reading import OUTCOMES, Rows
from lcrp.stages.audit.tables import TOGETHER
from lcrp.values.audit import GroundView, Kind
from lcrp.values.evidence import Table
from lcrp.values.geometry import Geometry
from lcrp.values.sample import Sample

Make = Callable[[int], tuple[Sample, list[Ground]] | None]

MOST_CLASSES = 8
SHOWN = (  # of each kind
    (Kind.OWN, 1),
    (Kind.PLACEBO, 1),
    (Kind.COMPANY, 1),
    (Kind.USUAL, 2),
    (Kind.UNUSUAL, 4),
    (Kind.SYNTHETIC, 2),
)
LABELS = {Kind.USUAL: "with its class", Kind.UNUSUAL: "without its class"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownObject:
    """An object before a few of its grounds.

    Attributes:
        class_name: of the object.
        place: of the object among all of the dataset.
        views: in the order of `SHOWN`; None where it has no such ground.
    """

    class_name: str
    place: int
    views: tuple[GroundView | None, ...]


def shown_objects(
    found: Decisions, rows: Rows, verdicts: Table, make: Make, names: Sequence[str]
) -> tuple[ShownObject, ...]:
    """Of the classes that lose most the object that loses as much as half of them.

    Args:
        found: decisions.
        rows: of them.
        verdicts: of their classes.
        make: an object before its grounds, by its place.
        names: of the network's classes.
    """
    return tuple(
        ShownObject(class_name=names[class_id], place=place, views=views)
        for class_id, place in _typical(found, verdicts)
        if (views := _views(place, rows, make, names))
    )


def _typical(found: Decisions, verdicts: Table) -> Iterator[tuple[int, int]]:
    """Classes, the largest differences first, each with the place of an object of median difference.

    Of classes that are judged together there are as many as there is room for, those with most decisions.
    """
    known = ~np.isnan(found.difference)
    values, told = np.asarray(verdicts.columns["difference"]), np.asarray(verdicts.columns["class_id"])
    order = told[np.argsort(-np.nan_to_num(values, nan=-np.inf), kind="stable")].tolist()
    small, counts = np.unique(found.class_id[known & ~np.isin(found.class_id, told)], return_counts=True)
    together = small[np.argsort(-counts, kind="stable")].tolist() if TOGETHER in order else []
    room = max(MOST_CLASSES - (len(order) - 1), 1)
    classes = [own for one in order for own in (together[:room] if one == TOGETHER else [one])]
    for class_id in classes[:MOST_CLASSES]:
        own = np.flatnonzero((found.class_id == class_id) & known)
        if len(own):
            yield class_id, int(found.place[own[np.argsort(found.difference[own], kind="stable")[len(own) // 2]]])


def _views(place: int, rows: Rows, make: Make, names: Sequence[str]) -> tuple[GroundView | None, ...]:
    made = make(place)
    if made is None:
        return ()
    sample, grounds = made
    said = np.flatnonzero(rows.place == place).tolist()
    if len(said) != len(grounds):  # a picture could be read then, and cannot now
        return ()
    pairs = list(zip(grounds, said, strict=True))
    views: list[GroundView | None] = []
    for kind, most in SHOWN:
        own = [pair for pair in pairs if pair[0].kind is kind]
        if kind is Kind.COMPANY:  # what it misses most
            own.sort(key=lambda pair: float(rows.score[pair[1]]))
        views += [ground_view(sample, *pair, rows, names) for pair in own[:most]] + [None] * (most - len(own))
    return tuple(views)


def ground_view(
    sample: Sample,
    ground: Ground,
    row: int,
    rows: Rows,
    names: Sequence[str],
    heatmap: npt.NDArray[np.floating] | None = None,
) -> GroundView:
    """An object before one ground.

    Args:
        sample: its own picture.
        ground: what is shown.
        row: of it among the rows.
        rows: of decisions.
        names: of the network's classes.
        heatmap: [H, W] on it.
    """
    label = f"without {names[ground.source]}" if ground.kind is Kind.COMPANY else LABELS.get(ground.kind, ground.kind)
    image = ground.image.clamp(0, 1).permute(1, 2, 0).numpy()
    outline = in_content(ground.cutout.mask.numpy().astype(np.float64), sample.geometry) > 0
    return GroundView(
        kind=ground.kind,
        label=str(label),
        picture=in_content(image, sample.geometry),
        outline=outline,
        score=float(rows.score[row]),
        outcome=OUTCOMES[int(rows.outcome[row])],
        heatmap=None if heatmap is None else in_content(heatmap, sample.geometry),
    )


def in_content(values: npt.NDArray[np.floating], geometry: Geometry) -> npt.NDArray[np.floating]:
    """The visible part of [H, W, ...], in the proportions of the photograph."""
    top, left, bottom, right = geometry.content()
    return in_proportion(values[top:bottom, left:right], geometry.pixel_aspect)
