"""Explanation files: one decision with all its maps, so that its figure can be redrawn without a model.

Maps lie on the network's input, H x W. `box` and `area` are in pixels of the input, `picture_box` and `picture_area`
in pixels of the photograph: photograph = (input - offset) / scale. Sizes are (height, width), scale is (vertical,
horizontal), offset (top, left), boxes (left, top, right, bottom). JSON knows the photograph's pixels alone.

/                            format, format_version, title, source, mode, layer, class_name, outside, outside_area,
                             rank, layer_share, num_concepts, frame
/geometry                    picture_size, input_size, scale, offset, resize; tile (top, left, bottom, right), if cut
/target                      sample, class_id, item, key, score, confidence, row; box and picture_box; of masks
                             area and picture_area; read, where it is not the score that is explained, and
                             is_linearised; instead and instead_confidence, where classes are contrasted
/picture, /mask, /heatmap    [H, W * 3] uint8, [H, W] bool, [H, W]
/others/<rank>               class_name, confidence, share, and box and picture_box
/runners_up/<rank>           class_name, confidence
/ledger                      seed, reached, constants, cut, stabiliser, largest, conserves; only where it was kept
/annotated                   verdict, class_name, overlap; only for samples of a dataset
/concepts/<rank>             concept, share, outside; heatmap [H, W]
/concepts/<rank>/references/<rank>   key, sample, class_name, score, pixel_aspect, is_explained_picture;
                                     picture, heatmap
"""

from dataclasses import asdict, astuple
from pathlib import Path
from typing import Final, get_args

import h5py
import numpy as np

from lcrp.storage.hdf5 import open_file, read_array, reading
from lcrp.storage.new_file import NewGroup, new_file
from lcrp.values.explanation import (
    Annotated,
    ConceptExplanation,
    Explanation,
    Lost,
    OtherDecision,
    Picture,
    Reference,
    Verdict,
)
from lcrp.values.geometry import Box, Geometry, ResizeName, Tile
from lcrp.values.ledger import Ledger
from lcrp.values.target import ExplainedTarget, Target

FORMAT: Final = "lcrp-explanation"
VERSION: Final = 3
_FRAME: Final = (
    "maps, box and area: pixels of the network's input; picture_box, picture_area: pixels of the photograph, "
    "which are (input - offset) / scale of /geometry"
)
_ATTRIBUTES = (
    *("title", "source", "mode", "layer", "class_name", "outside", "outside_area"),
    *("rank", "layer_share", "num_concepts"),
)


def write_explanation(path: Path, explanation: Explanation) -> None:
    """Write an explanation: maps and numbers as they are, pictures rounded to 8 bits.

    Raises:
        StoreError: nothing can be written there.
    """
    with new_file(path, kind=FORMAT, version=VERSION) as file:
        for name in _ATTRIBUTES:
            file.attrs[name] = getattr(explanation, name)
        file.attrs["frame"] = _FRAME
        _write_geometry(file.create_group("geometry"), explanation.geometry)
        _write_target(file.create_group("target"), explanation)
        _write_picture(file, explanation.picture)
        file.write_array("mask", explanation.mask)
        file.write_array("heatmap", explanation.heatmap)
        _write_others(file, explanation)
        if explanation.ledger is not None:
            file.create_group("ledger").attrs.update(asdict(explanation.ledger))
        concepts = file.create_group("concepts")
        for rank, concept in enumerate(explanation.concepts):
            _write_concept(concepts.create_group(_numbered(rank)), concept)


def read_explanation(path: Path) -> Explanation:
    """An explanation as it was written, pictures as float32 in [0, 1].

    Raises:
        StoreError: the file is missing, damaged, or no explanation of this version.
    """
    with open_file(path, kind=FORMAT, version=VERSION) as file, reading(path):
        return Explanation(
            title=str(file.attrs["title"]),
            source=str(file.attrs["source"]),
            mode=str(file.attrs["mode"]),
            layer=str(file.attrs["layer"]),
            explained=_target(file["target"]),
            class_name=str(file.attrs["class_name"]),
            picture=_picture(file),
            geometry=_geometry(file["geometry"]),
            mask=read_array(file, "mask"),
            heatmap=read_array(file, "heatmap"),
            outside=float(file.attrs["outside"]),
            outside_area=float(file.attrs["outside_area"]),
            rank=int(file.attrs["rank"]),
            layer_share=float(file.attrs["layer_share"]),
            num_concepts=int(file.attrs["num_concepts"]),
            others=tuple(_other(group) for group in _in_order(file["others"])),
            runners_up=tuple(_runner_up(group) for group in _in_order(file["runners_up"])),
            annotated=_annotated(file["annotated"]) if "annotated" in file else None,
            ledger=_ledger(file["ledger"]) if "ledger" in file else None,
            concepts=tuple(_concept(group) for group in _in_order(file["concepts"])),
        )


def _write_geometry(group: NewGroup, geometry: Geometry) -> None:
    for name in ("picture_size", "input_size"):
        group.attrs[name] = np.array(getattr(geometry, name), dtype=np.int64)
    for name in ("scale", "offset"):
        group.attrs[name] = np.array(getattr(geometry, name), dtype=np.float64)
    group.attrs["resize"] = geometry.resize
    if geometry.tile is not None:
        group.attrs["tile"] = np.array(astuple(geometry.tile), dtype=np.int64)


def _geometry(group: h5py.Group) -> Geometry:
    picture, given = ([int(side) for side in group.attrs[name]] for name in ("picture_size", "input_size"))
    scale, offset = ([float(value) for value in group.attrs[name]] for name in ("scale", "offset"))
    return Geometry(
        picture_size=(picture[0], picture[1]),
        input_size=(given[0], given[1]),
        scale=(scale[0], scale[1]),
        offset=(offset[0], offset[1]),
        resize=next(one for one in get_args(ResizeName) if one == group.attrs["resize"]),
        tile=_tile(*group.attrs["tile"].tolist()) if "tile" in group.attrs else None,
    )


def _tile(top: int, left: int, bottom: int, right: int) -> Tile:
    return Tile(top=top, left=left, bottom=bottom, right=right)


def _write_others(file: NewGroup, explanation: Explanation) -> None:
    """What else the model and the annotation say of the picture."""
    others, runners_up = file.create_group("others"), file.create_group("runners_up")
    for rank, other in enumerate(explanation.others):
        group = others.create_group(_numbered(rank))
        for name in ("class_name", "confidence", "share"):
            group.attrs[name] = getattr(other, name)
        _write_box(group, other.box, explanation.geometry)
    for rank, (class_name, confidence) in enumerate(explanation.runners_up):
        group = runners_up.create_group(_numbered(rank))
        group.attrs["class_name"], group.attrs["confidence"] = class_name, confidence
    if explanation.annotated is not None:
        group = file.create_group("annotated")
        for name in ("verdict", "class_name", "overlap"):
            group.attrs[name] = getattr(explanation.annotated, name)


def _other(group: h5py.Group) -> OtherDecision:
    return OtherDecision(
        class_name=str(group.attrs["class_name"]),
        confidence=float(group.attrs["confidence"]),
        box=_box(group),
        share=float(group.attrs["share"]),
    )


def _runner_up(group: h5py.Group) -> tuple[str, float]:
    return str(group.attrs["class_name"]), float(group.attrs["confidence"])


def _annotated(group: h5py.Group) -> Annotated:
    verdict = next(one for one in get_args(Verdict) if one == group.attrs["verdict"])
    return Annotated(verdict=verdict, class_name=str(group.attrs["class_name"]), overlap=float(group.attrs["overlap"]))


def _ledger(group: h5py.Group) -> Ledger:
    numbers = {name: float(group.attrs[name]) for name in ("seed", "reached", "constants", "stabiliser", "largest")}
    return Ledger(**numbers, cut=float(group.attrs.get("cut", 0.0)), conserves=bool(group.attrs["conserves"]))


def _write_box(group: NewGroup, box: Box | None, geometry: Geometry) -> None:
    if box is not None:
        group.attrs["box"] = np.array(box, dtype=np.float64)
        group.attrs["picture_box"] = np.array(geometry.box_to_picture(box), dtype=np.float64)


def _box(group: h5py.Group) -> Box | None:
    if "box" not in group.attrs:
        return None
    left, top, right, bottom = (float(edge) for edge in group.attrs["box"])
    return left, top, right, bottom


def _write_target(group: NewGroup, explanation: Explanation) -> None:
    explained = explanation.explained
    for name in ("sample", "class_id", "item"):
        group.attrs[name] = getattr(explained.target, name)
    for name in ("key", "score", "confidence", "row"):
        group.attrs[name] = getattr(explained, name)
    _write_box(group, explained.box, explanation.geometry)
    if explained.area is not None:
        group.attrs["area"] = explained.area
        group.attrs["picture_area"] = int(explanation.picture_mask.sum())
    if explained.read:
        group.attrs["read"] = explained.read
    if explained.is_linearised:
        group.attrs["is_linearised"] = True
    if explained.instead:
        group.attrs["instead"] = explained.instead
    if explained.instead_confidence is not None:
        group.attrs["instead_confidence"] = explained.instead_confidence


def _target(group: h5py.Group) -> ExplainedTarget:
    sample, class_id, item = (int(group.attrs[name]) for name in ("sample", "class_id", "item"))
    return ExplainedTarget(
        target=Target(sample=sample, class_id=class_id, item=item),
        key=str(group.attrs["key"]),
        score=float(group.attrs["score"]),
        confidence=float(group.attrs["confidence"]),
        box=_box(group),
        area=int(group.attrs["area"]) if "area" in group.attrs else None,
        row=int(group.attrs["row"]),
        read=str(group.attrs.get("read", "")),
        is_linearised=bool(group.attrs.get("is_linearised", False)),
        instead=str(group.attrs.get("instead", "")),
        instead_confidence=(float(group.attrs["instead_confidence"]) if "instead_confidence" in group.attrs else None),
    )


def _write_concept(group: NewGroup, concept: ConceptExplanation) -> None:
    for name in ("concept", "share", "outside"):
        group.attrs[name] = getattr(concept, name)
    group.attrs.update(asdict(concept.lost))
    group.write_array("heatmap", concept.heatmap)
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
        lost=Lost(**{name: int(group.attrs.get(name, 0)) for name in ("unreadable", "not_found")}),
    )


def _write_reference(group: NewGroup, reference: Reference) -> None:
    for name in ("key", "sample", "class_name", "score", "pixel_aspect", "is_explained_picture"):
        group.attrs[name] = getattr(reference, name)
    _write_picture(group, reference.picture)
    group.write_array("heatmap", reference.heatmap)


def _reference(group: h5py.Group) -> Reference:
    return Reference(
        key=str(group.attrs["key"]),
        sample=int(group.attrs["sample"]),
        class_name=str(group.attrs["class_name"]),
        score=float(group.attrs["score"]),
        picture=_picture(group),
        heatmap=read_array(group, "heatmap"),
        pixel_aspect=float(group.attrs["pixel_aspect"]),
        is_explained_picture=bool(group.attrs["is_explained_picture"]),
    )


def _write_picture(group: NewGroup, picture: Picture) -> None:
    # two axes, for a table of three has one chunk per row
    rounded = np.rint(np.clip(picture, 0.0, 1.0) * 255).astype(np.uint8)
    group.write_array("picture", rounded.reshape(len(rounded), -1))


def _picture(group: h5py.Group) -> Picture:
    values = read_array(group, "picture")
    return values.reshape(len(values), -1, 3).astype(np.float32) / np.float32(255)


def _numbered(rank: int) -> str:
    return f"{rank:04d}"


def _in_order(group: h5py.Group) -> list[h5py.Group]:
    return [group[name] for name in sorted(group)]
