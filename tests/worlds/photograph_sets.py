"""Photographs with objects as pycocotools reads them, written out in every layout.

Boxes are COCO's. Outlines are drawn here: a star in every box, two triangles in every third one. What pycocotools makes
of the one file in which all this is written is what every other layout has to give.

Axes: H W picture.
"""

import contextlib
import io
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from pycocotools import mask as coding
from pycocotools.coco import COCO

Mask = npt.NDArray[np.bool_]
Place = Callable[[str], str]  # from a photograph's name to where it lies, without an ending

CHOSEN = (139, 285, 1503, 5503, 5586, 2299)  # wide, tall, small, with one object and with 22
WITHOUT = 1503  # of which all objects are left out


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """An object: its class, its box xyxy in pixels, its polygons (x and y in turns), its pixels."""

    name: str
    box: tuple[float, float, float, float]
    polygons: list[list[float]]
    mask: Mask


@dataclass(frozen=True, slots=True, kw_only=True)
class Photograph:
    """A picture file, its size (height, width), and what is in it."""

    path: Path
    size: tuple[int, int]
    things: tuple[Thing, ...]

    @property
    def name(self) -> str:
        return self.path.stem


def photographs(shared: Path, folder: Path) -> list[Photograph]:
    """Some of COCO's validation pictures with their objects, as pycocotools reads them.

    Args:
        shared: where COCO lies.
        folder: for the file that pycocotools reads.
    """
    root = shared / "data/coco2017"
    content = json.loads((root / "annotations/instances_val2017.json").read_text())
    content["images"] = [one for one in content["images"] if one["id"] in CHOSEN]
    kept = [one for one in content["annotations"] if one["image_id"] in CHOSEN and one["image_id"] != WITHOUT]
    content["annotations"] = [one | {"segmentation": _outline(one["bbox"], one["id"])} for one in kept]
    (folder / "truth.json").write_text(json.dumps(content))
    with contextlib.redirect_stdout(io.StringIO()):
        read = COCO(str(folder / "truth.json"))
    names = {one["id"]: one["name"] for one in read.loadCats(read.getCatIds())}
    found = []
    for image in sorted(read.loadImgs(read.getImgIds()), key=lambda one: one["file_name"]):
        things = []
        for one in read.loadAnns(read.getAnnIds(imgIds=image["id"])):
            left, top, width, height = one["bbox"]
            thing = Thing(
                name=names[one["category_id"]],
                box=(left, top, left + width, top + height),
                polygons=one["segmentation"],
                mask=read.annToMask(one).astype(bool),
            )
            things.append(thing)
        path, size = root / "val2017" / image["file_name"], (image["height"], image["width"])
        found.append(Photograph(path=path, size=size, things=tuple(things)))
    return found


def class_names(photos: Sequence[Photograph]) -> list[str]:
    """Classes of all objects, sorted."""
    return sorted({one.name for photo in photos for one in photo.things})


def _outline(box: Sequence[float], number: int) -> list[list[float]]:
    """A star of 14 points in a box xywh, or two triangles; in hundredths of pixels, as COCO's are."""
    left, top, width, height = box
    if number % 3 == 0:
        right, bottom, middle = left + width, top + height, left + width / 2
        halves = [[left, top, middle, top, left, bottom], [right, bottom, middle, bottom, right, top]]
        return [[round(side, 2) for side in half] for half in halves]
    angles = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    reach = np.where(np.arange(14) % 2, 0.25, 0.5) * (1 + 0.0 * number)
    x, y = left + width * (0.5 + reach * np.cos(angles)), top + height * (0.5 + reach * np.sin(angles))
    return [np.stack([x, y], axis=1).round(2).ravel().tolist()]


def copied(photos: Sequence[Photograph], folder: Path, place: Place = str, ending: str = ".jpg") -> dict[str, str]:
    """Copy the pictures; where each lies in the folder, by its name."""
    places = {photo.name: f"{place(photo.name)}{ending}" for photo in photos}
    for photo in photos:
        path = folder / places[photo.name]
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(photo.path, path)
    return places


def yolo_boxes(photo: Photograph, names: Sequence[str], decimals: int) -> list[str]:
    """Lines 'class x y width height', in fractions with so many decimals."""
    height, width = photo.size
    lines = []
    for one in photo.things:
        left, top, right, bottom = one.box
        values = ((left + right) / 2 / width, (top + bottom) / 2 / height, (right - left) / width)
        told = " ".join(f"{value:.{decimals}f}" for value in (*values, (bottom - top) / height))
        lines.append(f"{names.index(one.name)} {told}")
    return lines


def yolo_outlines(photo: Photograph, names: Sequence[str], decimals: int) -> list[str]:
    """Lines 'class x y x y ...', one for every polygon, in fractions with so many decimals."""
    height, width = photo.size
    return [
        f"{names.index(one.name)} "
        + " ".join(
            f"{x / width:.{decimals}f} {y / height:.{decimals}f}" for x, y in zip(*[iter(part)] * 2, strict=True)
        )
        for one in photo.things
        for part in one.polygons
    ]


def write_labels(
    folder: Path, lines: dict[str, list[str]], place: Place = str, end: str = "\n", begin: str = ""
) -> None:
    """Text files of lines, by name of the photograph."""
    for name, told in lines.items():
        path = folder / f"{place(name)}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((begin + "".join(line + end for line in told)).encode())


def write_voc(root: Path, photos: Sequence[Photograph], place: Place = str, end: str = "\n", begin: str = "") -> None:
    """VOC's XML files, in whole pixels from 1 on, the last one included."""
    for photo in photos:
        told = [
            "<annotation>",
            f"<folder>VOC</folder><filename>{photo.path.name}</filename><path>C:\\data\\{photo.path.name}</path>",
            f"<size><width>{photo.size[1]}</width><height>{photo.size[0]}</height><depth>3</depth></size>",
        ]
        for one in photo.things:
            left, top, right, bottom = voc_box(one)
            inner = "<xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax>"
            part = f"<part><name>head</name><bndbox>{inner}</bndbox></part>"
            sides = f"<xmin>{left + 1}</xmin><ymin>{top + 1}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax>"
            told.append(f"<object><name>{one.name}</name>{part}<bndbox>{sides}</bndbox></object>")
        path = root / f"Annotations/{place(photo.name)}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((begin + end.join([*told, "</annotation>", ""])).encode())


def voc_box(thing: Thing) -> tuple[int, int, int, int]:
    """A box in whole pixels, edges from 0 on, of one pixel at least."""
    left, top, right, bottom = (round(side) for side in thing.box)
    return left, top, max(right, left + 1), max(bottom, top + 1)


def coco(
    photos: Sequence[Photograph], names: Sequence[str], files: dict[str, str], kind: str = "polygons"
) -> dict[str, Any]:
    """The content of a COCO file, ids from 1 on; outlines as 'polygons', 'packed' or 'counted' run lengths."""
    images: list[dict[str, Any]] = []
    things: list[dict[str, Any]] = []
    for number, photo in enumerate(photos, start=1):
        height, width = photo.size
        images.append({"id": number, "file_name": files[photo.name], "height": height, "width": width})
        for one in photo.things:
            left, top, right, bottom = one.box
            thing = {"image_id": number, "category_id": names.index(one.name) + 1, "iscrowd": 0}
            box = [left, top, right - left, bottom - top]
            things.append(thing | {"id": len(things) + 1, "bbox": box, "segmentation": _written(one, kind)})
    categories = [{"id": number, "name": name, "supercategory": "thing"} for number, name in enumerate(names, start=1)]
    return {"images": images, "annotations": things, "categories": categories}


def _written(thing: Thing, kind: str) -> object:
    if kind == "polygons":
        return thing.polygons
    packed = coding.encode(np.asfortranarray(thing.mask, dtype=np.uint8))
    if kind == "packed":
        return packed | {"counts": packed["counts"].decode()}
    flat = thing.mask.ravel(order="F")
    edges = (
        np.flatnonzero(np.diff(np.concatenate(([False], flat)).astype(np.int8))) if flat.any() else np.array([], int)
    )
    counts = np.diff(np.concatenate(([0], edges, [flat.size]))).tolist()
    return {"size": list(thing.mask.shape), "counts": counts}


def filled(polygons: Sequence[Sequence[float]], size: tuple[int, int]) -> Mask:
    """What pycocotools makes of polygons."""
    merged = coding.merge(coding.frPyObjects([list(one) for one in polygons], *size))
    found: Mask = coding.decode(merged).astype(bool)
    return found


def class_mask(photo: Photograph, names: Sequence[str]) -> npt.NDArray[np.uint8]:
    """[H, W] class of every pixel, from 1 on, smaller objects in front; 0 is the background."""
    pixels = np.zeros(photo.size, dtype=np.uint8)
    for one in sorted(photo.things, key=lambda thing: -int(thing.mask.sum())):
        pixels[one.mask] = names.index(one.name) + 1
    return pixels


def saved(pixels: npt.NDArray[np.uint8], path: Path, palette: Sequence[int] | None = None) -> None:
    """Write a mask, with a palette if there is one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    if palette is not None:
        image.putpalette(list(palette))
    image.save(path)
