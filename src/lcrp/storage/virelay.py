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
from collections.abc import Mapping, Sequence
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
class DecisionRow:
    """A decision.

    Attributes:
        crop: [S, S, 3] uint8.
        heatmap: [S, S] relevance of these pixels.
        confidences: [K] how confident the network is of every class.
        class_id: its class.
        concepts: [C] share of the layer's relevance that every concept has.
        about: what `decisions.csv` says; of all with the same keys.
    """

    crop: Array
    heatmap: Array
    confidences: Array
    class_id: int
    concepts: Array
    about: Mapping[str, object]


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


def write_virelay(folder: Path, rows: Sequence[DecisionRow], origin: Origin) -> list[str]:
    """Write a project of decisions, at least one, into a folder that is there.

    Returns:
        Classes of which there are too few decisions to group them.
    """
    class_ids = np.array([one.class_id for one in rows], dtype=np.uint16)
    groups = {class_id: np.flatnonzero(class_ids == class_id) for class_id in sorted({*class_ids.tolist()})}
    grouped_ids = [class_id for class_id, members in groups.items() if len(members) >= LEAST]
    labels = [
        {"index": class_id, "word_net_id": _category(class_id), "name": name}
        for class_id, name in enumerate(origin.class_names)
    ]
    _write_json(folder / "labels.json", labels)
    with h5py.File(folder / "dataset.h5", "w") as file:
        _store(file, "data", np.moveaxis(np.stack([one.crop for one in rows]), -1, 1))
        file["label"] = class_ids
    with h5py.File(folder / "attribution.h5", "w") as file:
        third = np.stack([one.heatmap for one in rows]).astype(np.float32)[:, None] / 3
        _store(file, "attribution", np.broadcast_to(third, (len(third), 3, *third.shape[2:])))
        file["prediction"] = np.stack([one.confidences for one in rows]).astype(np.float32)
        file["label"] = class_ids
    if grouped_ids:
        concepts = np.stack([one.concepts for one in rows])
        with h5py.File(folder / "analysis.h5", "w") as file:
            for class_id in grouped_ids:
                members = groups[class_id]
                _write_analysis(file.create_group(_category(class_id)), members, grouped(concepts[members]))
    _write_project(folder / "project.yaml", origin, len(rows[0].crop), has_analysis=bool(grouped_ids))
    _write_table(folder / "decisions.csv", [one.about for one in rows])
    return [origin.class_names[class_id] for class_id in groups if class_id not in grouped_ids]


def _write_project(path: Path, origin: Origin, side: int, *, has_analysis: bool) -> None:
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
    if has_analysis:
        project["analyses"] = [{"analysis_method": f"concepts of {origin.layer}", "sources": ["analysis.h5"]}]
    _write_json(path, {"project": project})  # which is YAML, too


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


def _store(file: h5py.File, name: str, pictures: Array) -> None:
    """Pictures [M, ...], each of which is read alone."""
    file.create_dataset(name, data=pictures, chunks=(1, *pictures.shape[1:]), compression="gzip")


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf-8")
