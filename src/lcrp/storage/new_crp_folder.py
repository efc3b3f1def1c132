"""Writing a folder of zennit-crp; `crp_folder` reads one and says how it is laid out."""

from pathlib import Path

import numpy as np

from lcrp.storage.crp_folder import BY_CLASS, OVERALL, TARGETS, Array, Convention, Score, part_file
from lcrp.values.statistics import Entries


def write_overall(folder: Path, score: Score, layer: str, entries: Entries, convention: Convention) -> None:
    """Write the entries of a layer over all classes."""
    stem = folder / OVERALL[score] / f"{convention.layer_prefix}{layer}"
    _write_entries(stem, entries)
    if score == "relevance" and entries.class_id is not None:
        _write(stem, "class", entries.class_id.astype(np.int64))


def write_class(folder: Path, score: Score, place: tuple[str, int], entries: Entries, convention: Convention) -> None:
    """Write the entries of one class; `place` is the layer and the model's class id."""
    layer, class_id = place
    number = class_id + convention.first_class
    _write_entries(folder / BY_CLASS[score] / f"{convention.layer_prefix}{layer}" / str(number), entries)


def write_class_list(folder: Path, score: Score, class_ids: set[int], convention: Convention) -> None:
    """Write which classes there are, as texts like zennit-crp."""
    path = folder / BY_CLASS[score] / TARGETS
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.array([str(class_id + convention.first_class) for class_id in sorted(class_ids)], dtype=str))


def _write_entries(stem: Path, entries: Entries) -> None:
    stem.parent.mkdir(parents=True, exist_ok=True)
    _write(stem, "data", entries.sample.astype(np.int64))
    _write(stem, "rel", entries.score.astype(np.float32))
    _write(stem, "rf", entries.peak.astype(np.int64))
    if entries.item is not None and (entries.item > 0).any():
        _write(stem, "item", entries.item.astype(np.int64))


def _write(stem: Path, part: str, values: Array) -> None:
    np.save(part_file(stem, part), np.ascontiguousarray(values), allow_pickle=False)
