"""What the figures of stage=audit show."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from lcrp.evidence.reliance import LEAST
from lcrp.figures.audit import draw_grounds, draw_verdicts
from lcrp.stages.audit.differences import Decisions
from lcrp.stages.audit.grounds import Ground
from lcrp.stages.audit.reading import OUTCOMES, Rows
from lcrp.values.audit import GroundView, Kind
from lcrp.values.evidence import Table
from lcrp.values.sample import Sample

Make = Callable[[int], tuple[Sample, list[Ground]] | None]

MOST_CLASSES = 8
SHOWN = ((Kind.OWN, 1), (Kind.PLACEBO, 1), (Kind.USUAL, 2), (Kind.UNUSUAL, 4), (Kind.SYNTHETIC, 3))  # of each kind


def write_figures(folder: Path, found: Decisions, rows: Rows, verdicts: Table, make: Make, title: str) -> list[Path]:
    """Draw verdicts, and of the classes that lose most the object that loses as much as half of them.

    Args:
        folder: where the figures go.
        found: decisions.
        rows: of them.
        verdicts: of their classes.
        make: an object before its grounds, by its place.
        title: network and dataset in words.
    """
    figures = [folder / "audit_classes.png"]
    draw_verdicts(figures[0], verdicts, least=LEAST, title=title)
    shown = {
        str(verdicts.columns["class"][place]): views
        for place, views in ((place, _views(typical, rows, make)) for place, typical in _typical(found, verdicts))
        if views
    }
    if shown:
        figures.append(folder / "audit_grounds.png")
        draw_grounds(figures[-1], shown, title)
    return figures


def _typical(found: Decisions, verdicts: Table) -> Iterator[tuple[int, int]]:
    """Rows of verdicts, the largest differences first, each with the place of an object of median difference."""
    values = np.asarray(verdicts.columns["difference"])
    order = np.argsort(-np.nan_to_num(values, nan=-np.inf), kind="stable")
    for row in order[:MOST_CLASSES].tolist():
        class_id = int(np.asarray(verdicts.columns["class_id"])[row])
        own = np.flatnonzero((found.class_id == class_id) & ~np.isnan(found.difference))
        if len(own):
            yield row, int(found.place[own[np.argsort(found.difference[own], kind="stable")[len(own) // 2]]])


def _views(place: int, rows: Rows, make: Make) -> list[GroundView]:
    made = make(place)
    if made is None:
        return []
    sample, grounds = made
    top, left, bottom, right = sample.geometry.content()
    said = np.flatnonzero(rows.place == place).tolist()
    pairs = list(zip(grounds, said, strict=True))
    chosen = [pair for kind, most in SHOWN for pair in [one for one in pairs if one[0].kind is kind][:most]]
    return [
        GroundView(
            kind=ground.kind,
            picture=ground.image.clamp(0, 1).permute(1, 2, 0).numpy()[top:bottom, left:right],
            outline=ground.cutout.mask.numpy()[top:bottom, left:right],
            score=float(rows.score[row]),
            outcome=OUTCOMES[int(rows.outcome[row])],
        )
        for ground, row in chosen
    ]
