"""A project that ViRelAy opens: decisions, their heatmaps, and how their concepts group them.

A folder of

project.yaml    what there is; ViRelAy is started with it
labels.json     the network's classes
dataset.h5      the decisions' crops
attribution.h5  the heatmaps of these crops, and how confident the network is of every class
analysis.h5     per class: decisions as points and in clusters, by the relevance of their concepts
decisions.csv   picture, class, confidence and box of every row: ViRelAy knows no boxes

Grouping by relevance is SpRAy (Lapuschkin et al., Nature Communications 10, 2019). ViRelAy adds up the three
channels of a heatmap, so that each holds a third. Follows what ViRelAy 0.6.1 reads.

Axes: M decision, K class, C concept, S side of a crop.
"""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
import numpy.typing as npt

from lcrp.storage.grouping import Grouping, grouped

Array = npt.NDArray[Any]

LEAST: Final = 6  # decisions of a class that are grouped


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRows:
    """Decisions, one row each.

    Attributes:
        crops: [M, S, S, 3] uint8.
        heatmaps: [M, S, S] relevance of these pixels.
        confidences: [M, K] how confident the network is of every class.
        class_ids: [M].
        concepts: [M, C] share of the layer's relevance that every concept has.
        about: of each, what `decisions.csv` says; all with the same keys.
    """

    crops: Array
    heatmaps: Array
    confidences: Array
    class_ids: Array
    concepts: Array
    about: Sequence[Mapping[str, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where decisions come from, in words.

    Attributes:
        model: name of the network.
        dataset: name of the dataset.
        method: of attribution, such as the composite.
        layer: whose concepts group the decisions.
        class_names: index = class id.
    """

    model: str
    dataset: str
    method: str
    layer: str
    class_names: Sequence[str]


def write_virelay(folder: Path, rows: DecisionRows, origin: Origin) -> list[str]:
    """Write a project into a folder that is there.

    Returns:
        Classes of which there are too few decisions to group them.
    """
    _write_project(folder / "project.yaml", rows, origin)
    labels = [
        {"index": class_id, "word_net_id": _category(class_id), "name": name}
        for class_id, name in enumerate(origin.class_names)
    ]
    _write_json(folder / "labels.json", labels)
    with h5py.File(folder / "dataset.h5", "w") as file:
        _store(file, "data", np.moveaxis(rows.crops, -1, 1))
        _store(file, "label", rows.class_ids.astype(np.uint16))
    with h5py.File(folder / "attribution.h5", "w") as file:
        third = (rows.heatmaps / 3).astype(np.float32)[:, None]
        _store(file, "attribution", np.broadcast_to(third, (len(third), 3, *third.shape[2:])))
        _store(file, "prediction", rows.confidences.astype(np.float32))
        _store(file, "label", rows.class_ids.astype(np.uint16))
    groups = dict(_grouped_classes(rows))
    if groups:
        with h5py.File(folder / "analysis.h5", "w") as file:
            for class_id, members in groups.items():
                _write_analysis(file.create_group(_category(class_id)), members, grouped(rows.concepts[members]))
    _write_table(folder / "decisions.csv", rows.about)
    return [origin.class_names[class_id] for class_id in sorted({*rows.class_ids.tolist()} - groups.keys())]


def _write_project(path: Path, rows: DecisionRows, origin: Origin) -> None:
    side = rows.crops.shape[1]
    project: dict[str, object] = {
        "name": f"{origin.model} on {origin.dataset}",
        "model": origin.model,
        "label_map": "labels.json",
        "dataset": {
            "name": origin.dataset,
            "type": "hdf5",
            "path": "dataset.h5",
            "input_width": side,
            "input_height": side,
            "up_sampling_method": "none",
            "down_sampling_method": "none",
            "label_index_regex": None,
            "label_word_net_id_regex": None,
        },
        "attributions": {
            "attribution_method": origin.method,
            "attribution_strategy": "predicted_label",
            "sources": ["attribution.h5"],
        },
        "analyses": [],
    }
    if any(True for _ in _grouped_classes(rows)):
        project["analyses"] = [{"analysis_method": f"concepts of {origin.layer}", "sources": ["analysis.h5"]}]
    _write_json(path, {"project": project})  # which is YAML, too


def _grouped_classes(rows: DecisionRows) -> Iterator[tuple[int, Array]]:
    """Classes with enough decisions, and the rows of these."""
    for class_id in sorted({*rows.class_ids.tolist()}):
        members = np.flatnonzero(rows.class_ids == class_id)
        if len(members) >= LEAST:
            yield class_id, members


def _write_analysis(group: h5py.Group, members: Array, found: Grouping) -> None:
    group["index"] = members.astype(np.uint32)
    embeddings, clusters = group.create_group("embedding"), group.create_group("cluster")
    for name, points in found.embeddings.items():
        embeddings[name] = points.astype(np.float32)
    embeddings["spectral"].attrs["eigenvalue"] = found.eigenvalues.astype(np.float32)
    for name, labels in found.clusters.items():
        clusters[name] = labels.astype(np.int32)
        clusters[name].attrs["embedding"] = "spectral"
        clusters[name].attrs["k"] = int(labels.max()) + 1


def _write_table(path: Path, about: Sequence[Mapping[str, object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, fieldnames=["row", *about[0]])
        table.writeheader()
        table.writerows({"row": row, **one} for row, one in enumerate(about))


def _category(class_id: int) -> str:
    """Of an analysis; names of classes may hold what no HDF5 name may."""
    return f"{class_id:08d}"


def _store(file: h5py.File, name: str, values: Array) -> None:
    is_pictures = values.ndim > 2
    chunks = (1, *values.shape[1:]) if is_pictures else None
    file.create_dataset(name, data=values, chunks=chunks, compression="gzip" if is_pictures else None)


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf-8")
