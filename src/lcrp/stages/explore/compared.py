"""Two statistics files side by side, of two checkpoints say: which concepts are the same, and what differs.

Axes: K class, C concept, O concept of the other file.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lcrp.errors import StoreError
from lcrp.page.content import Comparison
from lcrp.storage.statistics import StatisticsFile
from lcrp.values.statistics import LayerStatistics, StatisticsHeader, TopTable

Array = npt.NDArray[Any]


def comparison(path: Path, header: StatisticsHeader, layer: str, found: LayerStatistics) -> Comparison:
    """The concepts of another file's layer of the same name, matched by the overlap of their references.

    The overlap of two concepts is the Jaccard index of the decisions that rank them highest, as many of each as both
    files hold: |A and B| / |A or B| over (sample, class, item). Pairs are made one by one, the largest overlap first.

    Args:
        path: the other file.
        header: of the file that is shown.
        layer: its name.
        found: what the shown file knows of it.

    Raises:
        StoreError: the other file is of other samples or classes, or lacks the layer.
    """
    with StatisticsFile(path) as file:
        other = file.header
        if other.dataset_fingerprint != header.dataset_fingerprint or other.num_samples != header.num_samples:
            raise StoreError(
                f"'{path}' ranks other samples than the statistics that it is to be compared with: make both of the "
                "same dataset and statistics.num_samples"
            )
        if other.class_names != header.class_names:
            raise StoreError(f"'{path}' is of other classes than the statistics that it is to be compared with")
        theirs = file.layer(layer)
    overlap = overlaps(found.relevance, theirs.relevance)
    match = matched(overlap)
    rows = {class_id: row for row, class_id in enumerate(theirs.moments.class_ids.tolist())}
    mean, unknown = theirs.moments.mean(), np.full(overlap.shape[1], np.nan)
    return Comparison(
        title=_title(other, path),
        source=path.name,
        layer=layer,
        match=match,
        overlap=np.where(match >= 0, overlap[np.arange(len(match)), match], 0.0),
        mean=np.stack([mean[rows[one]] if one in rows else unknown for one in found.moments.class_ids.tolist()]),
    )


def overlaps(ours: TopTable, theirs: TopTable) -> Array:
    """[C, O] Jaccard index of the decisions that rank concepts highest."""
    depth = min(ours.score.shape[1], theirs.score.shape[1])
    numbers: dict[tuple[int, int, int], int] = {}
    members = [_members(table, depth, numbers) for table in (ours, theirs)]
    (one, other) = (_indicators(sets, len(numbers)) for sets in members)
    common = one @ other.T
    union = one.sum(axis=1)[:, None] + other.sum(axis=1) - common
    found: Array = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    return found


def matched(overlap: Array) -> npt.NDArray[np.int32]:
    """[C] number of the concept that each is matched with, none twice; -1 where no reference is shared."""
    match = np.full(len(overlap), -1, dtype=np.int32)
    taken = np.zeros(overlap.shape[1], dtype=bool)
    for place in np.argsort(-overlap, axis=None, kind="stable").tolist():
        concept, other = divmod(place, overlap.shape[1])
        if overlap[concept, other] <= 0.0:
            break
        if match[concept] < 0 and not taken[other]:
            match[concept], taken[other] = other, True
    return match


def _members(table: TopTable, depth: int, numbers: dict[tuple[int, int, int], int]) -> list[list[int]]:
    """Numbers of the decisions that rank each concept highest, of those in which it speaks for the decision."""
    return [
        [
            numbers.setdefault((int(sample), int(class_id), int(item)), len(numbers))
            for sample, class_id, item, score in zip(
                *(column[concept, : min(depth, count)] for column in (table.sample, table.class_id, table.item)),
                table.score[concept, : min(depth, count)],
                strict=True,
            )
            if score > 0.0
        ]
        for concept, count in enumerate(table.filled.tolist())
    ]


def _indicators(sets: list[list[int]], size: int) -> npt.NDArray[np.float64]:
    found = np.zeros((len(sets), size))
    for row, members in enumerate(sets):
        found[row, members] = 1.0
    return found


def _title(header: StatisticsHeader, path: Path) -> str:
    model = header.config.get("model")
    known = model if isinstance(model, dict) else {}
    return f"{known.get('name', '')} {str(known.get('checkpoint_sha256', ''))[:8]} ({path.name})"
