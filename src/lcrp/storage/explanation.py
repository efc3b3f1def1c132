"""Explanation files: one decision with all its maps, so that its figure can be redrawn without a model.

/                            format, format_version, title, mode, layer, class_name, outside, outside_area, content
/target                      sample, class_id, item, key, score, confidence, row, and box or area
/picture, /mask, /heatmap    [H, W * 3] uint8, [H, W] bool, [H, W]
/concepts/<rank>             concept, share, outside; heatmap [H, W]
/concepts/<rank>/references/<rank>   key, sample, class_name, score; picture, heatmap
"""

from pathlib import Path
from typing import Final

import h5py
import numpy as np

from lcrp.storage.hdf5 import new_file, open_file, read_array, reading, write_array
from lcrp.values.explanation import ConceptExplanation, Explanation, Picture, Reference
from lcrp.values.target import ExplainedTarget, Target

FORMAT: Final = "lcrp-explanation"
VERSION: Final = 1


def write_explanation(path: Path, explanation: Explanation) -> None:
    """Write an explanation: maps and numbers as they are, pictures rounded to 8 bits.

    Raises:
        StoreError: nothing can be written there.
    """
    with new_file(path, kind=FORMAT, version=VERSION) as file:
        for name in ("title", "mode", "layer", "class_name", "outside", "outside_area"):
            file.attrs[name] = getattr(explanation, name)
        file.attrs["content"] = np.array(explanation.content, dtype=np.int64)
        _write_target(file.create_group("target"), explanation.explained)
        _write_picture(file, explanation.picture)
        write_array(file, "mask", explanation.mask)
        write_array(file, "heatmap", explanation.heatmap)
        concepts = file.create_group("concepts")
        for rank, concept in enumerate(explanation.concepts):
            _write_concept(concepts.create_group(_numbered(rank)), concept)


def read_explanation(path: Path) -> Explanation:
    """An explanation as it was written, pictures as float32 in [0, 1].

    Raises:
        StoreError: the file is missing, damaged, or no explanation of this version.
    """
    with open_file(path, kind=FORMAT, version=VERSION) as file, reading(path):
        top, left, bottom, right = (int(edge) for edge in file.attrs["content"])
        return Explanation(
            title=str(file.attrs["title"]),
            mode=str(file.attrs["mode"]),
            layer=str(file.attrs["layer"]),
            explained=_target(file["target"]),
            class_name=str(file.attrs["class_name"]),
            picture=_picture(file),
            content=(top, left, bottom, right),
            mask=read_array(file, "mask"),
            heatmap=read_array(file, "heatmap"),
            outside=float(file.attrs["outside"]),
            outside_area=float(file.attrs["outside_area"]),
            concepts=tuple(_concept(group) for group in _in_order(file["concepts"])),
        )


def explanation_json(explanation: Explanation) -> dict[str, object]:
    """The numbers of an explanation, without its maps, as plain nested values."""
    explained = explanation.explained
    return {
        "title": explanation.title,
        "mode": explanation.mode,
        "layer": explanation.layer,
        "sample": explained.target.sample,
        "key": explained.key,
        "class": explanation.class_name,
        "class_id": explained.target.class_id,
        "item": explained.target.item,
        "score": float(explained.score),
        "confidence": float(explained.confidence),
        "box": None if explained.box is None else [float(edge) for edge in explained.box],
        "area": explained.area,
        "outside": float(explanation.outside),
        "outside_area": float(explanation.outside_area),
        "concepts": [_concept_json(concept) for concept in explanation.concepts],
    }


def _concept_json(concept: ConceptExplanation) -> dict[str, object]:
    return {
        "concept": concept.concept,
        "share": float(concept.share),
        "outside": float(concept.outside),
        "references": [
            {
                "key": reference.key,
                "sample": reference.sample,
                "class": reference.class_name,
                "score": float(reference.score),
            }
            for reference in concept.references
        ],
    }


def _write_target(group: h5py.Group, explained: ExplainedTarget) -> None:
    for name in ("sample", "class_id", "item"):
        group.attrs[name] = getattr(explained.target, name)
    for name in ("key", "score", "confidence", "row"):
        group.attrs[name] = getattr(explained, name)
    if explained.box is not None:
        group.attrs["box"] = np.array(explained.box, dtype=np.float64)
    if explained.area is not None:
        group.attrs["area"] = explained.area


def _target(group: h5py.Group) -> ExplainedTarget:
    sample, class_id, item = (int(group.attrs[name]) for name in ("sample", "class_id", "item"))
    box = tuple(float(edge) for edge in group.attrs["box"]) if "box" in group.attrs else None
    return ExplainedTarget(
        target=Target(sample=sample, class_id=class_id, item=item),
        key=str(group.attrs["key"]),
        score=float(group.attrs["score"]),
        confidence=float(group.attrs["confidence"]),
        box=None if box is None else (box[0], box[1], box[2], box[3]),
        area=int(group.attrs["area"]) if "area" in group.attrs else None,
        row=int(group.attrs["row"]),
    )


def _write_concept(group: h5py.Group, concept: ConceptExplanation) -> None:
    for name in ("concept", "share", "outside"):
        group.attrs[name] = getattr(concept, name)
    write_array(group, "heatmap", concept.heatmap)
    references = group.create_group("references")
    for rank, reference in enumerate(concept.references):
        _write_reference(references.create_group(_numbered(rank)), reference)


def _concept(group: h5py.Group) -> ConceptExplanation:
    return ConceptExplanation(
        concept=int(group.attrs["concept"]),
        share=float(group.attrs["share"]),
        heatmap=read_array(group, "heatmap"),
        outside=float(group.attrs["outside"]),
        references=tuple(_reference(reference) for reference in _in_order(group["references"])),
    )


def _write_reference(group: h5py.Group, reference: Reference) -> None:
    for name in ("key", "sample", "class_name", "score"):
        group.attrs[name] = getattr(reference, name)
    _write_picture(group, reference.picture)
    write_array(group, "heatmap", reference.heatmap)


def _reference(group: h5py.Group) -> Reference:
    return Reference(
        key=str(group.attrs["key"]),
        sample=int(group.attrs["sample"]),
        class_name=str(group.attrs["class_name"]),
        score=float(group.attrs["score"]),
        picture=_picture(group),
        heatmap=read_array(group, "heatmap"),
    )


def _write_picture(group: h5py.Group, picture: Picture) -> None:
    # two axes, for a table of three has one chunk per row
    rounded = np.rint(np.clip(picture, 0.0, 1.0) * 255).astype(np.uint8)
    write_array(group, "picture", rounded.reshape(len(rounded), -1))


def _picture(group: h5py.Group) -> Picture:
    values = read_array(group, "picture")
    return values.reshape(len(values), -1, 3).astype(np.float32) / np.float32(255)


def _numbered(rank: int) -> str:
    return f"{rank:04d}"


def _in_order(group: h5py.Group) -> list[h5py.Group]:
    return [group[name] for name in sorted(group)]
