"""Figures of stage=audit, and the pictures of a few objects before their grounds, as the explorer shows them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lcrp.evidence.reliance import LEAST
from lcrp.figures.audit import draw_grounds, draw_verdicts
from lcrp.figures.carriers import draw_carriers
from lcrp.figures.crops import bounding_window
from lcrp.page.audit import COLUMNS, THUMBNAIL
from lcrp.page.pictures import strip
from lcrp.stages.audit.views import ShownObject
from lcrp.stages.audit.work import AuditWork
from lcrp.storage.atomic import replacing
from lcrp.values.audit import CarrierView, GroundView
from lcrp.values.evidence import Table

FOLDER = "pictures"


def write_figures(
    folder: Path, verdicts: Table, shown: Sequence[ShownObject], carriers: Sequence[CarrierView], title: str
) -> list[Path]:
    """Draw verdicts, objects before their grounds, and concepts that carry what classes need.

    Args:
        folder: where the figures go.
        verdicts: of the classes.
        shown: objects.
        carriers: concepts.
        title: network and dataset in words.
    """
    figures = [folder / "audit_classes.png"]
    draw_verdicts(figures[0], verdicts, least=LEAST, title=title)
    if shown:
        figures.append(folder / "audit_grounds.png")
        draw_grounds(figures[-1], {one.class_name: one.views for one in shown}, title)
    if carriers:
        figures.append(folder / "audit_concepts.png")
        draw_carriers(figures[-1], carriers, title)
    return figures


def write_pictures(folder: Path, shown: Sequence[ShownObject], work: AuditWork) -> tuple[list[Path], Table]:
    """Write a strip of small pictures (WebP) per object, and say what they are.

    Args:
        folder: where they go, into one of their own.
        shown: objects.
        work: knows their pictures.

    Returns:
        The files, and the table 'shown': a row per picture, in the order of the strips.
    """
    paths: list[Path] = []
    columns: dict[str, list[object]] = {name: [] for name in COLUMNS}
    for one in shown:
        sample, number = (int(values[one.place]) for values in (work.objects.sample, work.objects.number))
        path = folder / FOLDER / f"audit_{sample:07d}_{number:04d}.webp"
        views = [view for view in one.views if view is not None]
        with replacing(path) as part:
            part.write_bytes(strip([view.picture for view in views], THUMBNAIL))
        paths.append(path)
        named = {"class": one.class_name, "key": work.subject.dataset.key(sample), "sample": sample, "object": number}
        for view in views:
            row = {**named, "file": f"{FOLDER}/{path.name}", **_row(view)}
            for name in COLUMNS:
                columns[name].append(row[name])
    texts = ("class", "key", "file", "ground", "label", "outcome")
    arrays = {name: values if name in texts else np.array(values) for name, values in columns.items()}
    return paths, Table(name="shown", columns=arrays)


def _row(view: GroundView) -> dict[str, object]:
    height, width = view.outline.shape
    top, left, bottom, right = bounding_window(view.outline)
    return {
        "height": height,
        "width": width,
        "ground": str(view.kind),
        "label": view.label,
        "score": view.score,
        "outcome": str(view.outcome),
        "left": left / width,
        "top": top / height,
        "right": right / width,
        "bottom": bottom / height,
    }
