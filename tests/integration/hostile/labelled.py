"""Labelled sets of a person's own, in every layout: damaged, absurd or malicious."""

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import labelled_sets as sets
import numpy as np
from PIL import Image

from lcrp.data.dataset import Dataset
from lcrp.data.labelled.layouts import coco, masks, voc, yolo
from lcrp.data.transforms import InputTransform

TRANSFORM = InputTransform(32, 32)
NAMES = "names: [helmet, vest, boat]\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """A labelled set.

    Attributes:
        name: what is wrong with it.
        build: writes it into an empty folder and reads it.
        error: part of the one line that refuses it; empty if it is read.
        told: part of what is said of what was read.
    """

    name: str
    build: Callable[[Path], Dataset]
    error: str = ""
    told: str = ""

    @property
    def outcome(self) -> str:
        """Column of the table."""
        if self.error:
            return f"error: {self.error}"
        return f"read; said and counted: {self.told}" if self.told else "read"


def cases() -> list[Labels]:
    """All of them."""
    return [*_yolo_files(), *_yolo_lines(), *_coco(), *_voc(), *_masks()]


def _yolo_files() -> list[Labels]:
    good = "val: images/val\n" + NAMES
    texts: Mapping[str, tuple[str, str]] = {
        "an empty file": ("", "is no YAML of a YOLO set"),
        "a Python object": ("!!python/object/apply:os.system ['touch canary']\n", "is no YAML of a YOLO set"),
        "a picture's bytes": ("\x89PNG\r\n\x1a\n\0\0", "is no YAML of a YOLO set"),
        "nested 10,000 deep": ("[" * 10_000, "is no YAML of a YOLO set"),
        "no names": ("val: images/val\n", "neither a list nor a mapping"),
        "names that are one text": ("val: images/val\nnames: boat\n", "neither a list nor a mapping"),
        "names numbered from 1": ("val: images/val\nnames: {1: a, 2: b}\n", "not numbered from 0 on"),
        "names that are lists": ("val: images/val\nnames: [[a], [b]]\n", "neither a list nor a mapping"),
        "a name twice": ("val: images/val\nnames: [a, a]\n", "it names 'a' twice"),
        "another number of classes": (f"{good}nc: 80\n", "nc is 80, but it has 3 names"),
        "no splits": (NAMES, "it names no 'train'"),
        "another split": ("train: images/val\n" + NAMES, "names no pictures for split 'val'"),
        "a split that is a number": ("val: 7\n" + NAMES, "neither a path nor a list of paths"),
        "a split that is not there": ("val: nowhere\n" + NAMES, "names 'nowhere'"),
        "a split without pictures": ("val: labels/val\n" + NAMES, "holds no pictures"),
        "a list file of noise": ("val: noise.txt\n" + NAMES, "cannot be read as text"),
        "a path that is a list": (f"path: [a]\n{good}", "its 'path' is"),
        "a path of another machine": (f"path: C:\\sets\\boats\n{good}", ""),
    }
    return [_yolo(f"YOLO's YAML: {name}", yaml=text, error=error) for name, (text, error) in texts.items()]


def _yolo_lines() -> list[Labels]:
    lines = {
        "text": ("a b c d e", "is not numbers"),
        "a class beyond the names": ("3 .5 .5 .1 .1", "is not among the 3 names"),
        "a class of 10^300": ("1e300 .5 .5 .1 .1", "is not among the 3 names"),
        "a class below 0": ("-1 .5 .5 .1 .1", "no whole number from 0 on"),
        "half a class": ("0.5 .5 .5 .1 .1", "no whole number from 0 on"),
        "a class that is not a number": ("nan .5 .5 .1 .1", "no whole number from 0 on"),
        "pixels": ("0 320 240 50 50", "no fractions of the picture"),
        "not a number": ("0 nan .5 .1 .1", "no fractions of the picture"),
        "infinity": ("0 .5 .5 inf .1", "no fractions of the picture"),
        "a negative width": ("0 .5 .5 -.1 .1", "no fractions of the picture"),
        "no width": ("0 .5 .5 0 .1", "has no area"),
        "three numbers": ("0 .5 .5", "neither 5 numbers nor"),
        "a confidence behind the box": ("0 .5 .5 .1 .1 .9", "neither 5 numbers nor"),
        "an odd outline": ("0 .1 .1 .2 .1 .2 .2 .3", "neither 5 numbers nor"),
        "an outline in one line": ("0 .1 .1 .2 .1 .3 .1", "outline has no area"),
        "bytes that are no text": ("\udcff\udcfe", "whose file is no text"),
    }
    return [_yolo(f"YOLO's line: {name}", line=line, told=told) for name, (line, told) in lines.items()]


def _yolo(name: str, *, yaml: str = "", line: str = "", error: str = "", told: str = "") -> Labels:
    def build(folder: Path) -> Dataset:
        path = sets.write_yolo(folder)
        (folder / "noise.txt").write_bytes(bytes(range(256)))
        if yaml or not (line or told):
            path.write_text(yaml, encoding="latin-1")
        if line:
            (folder / "labels/val/c.txt").write_bytes(line.encode("utf-8", "surrogateescape"))
        return yolo(path, TRANSFORM)

    return Labels(name=name, build=build, error=error, told=told)


def _coco() -> list[Labels]:
    def with_categories(value: object) -> dict[str, object]:
        return {**sets.coco(), "categories": value}

    def with_first(part: str, **changes: object) -> dict[str, object]:
        content = sets.coco()
        content[part][0].update(changes)
        return dict(content)

    contents: Mapping[str, tuple[object, str, str]] = {
        "no categories": (with_categories([]), "has no categories", ""),
        "categories that are names": (with_categories(["boat"]), "are no list of objects", ""),
        "a category without an id": (with_categories([{"name": "boat"}]), "neither a whole number nor a text", ""),
        "a category without a name": (with_categories([{"id": 1}]), "has the name None", ""),
        "two categories of one id": (
            with_categories([{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]),
            "have one id",
            "",
        ),
        "two pictures of one id": (with_first("images", id=2), "have one id", ""),
        "an id of a picture that is a list": (with_first("images", id=[1]), "neither a whole number nor a text", ""),
        "an object of no listed picture": (with_first("annotations", image_id=99), "", "not among the images"),
        "an object of no listed category": (with_first("annotations", category_id=99), "", "not among the categories"),
        "an object of a picture called true": (
            with_first("annotations", image_id=True),
            "",
            "whose image id is neither",
        ),
        "a name above the folder": (with_first("images", file_name="../../a.png"), "", "1 of 3 pictures are not there"),
        "a side of 10^12": (with_first("images", height=10**12), "has 1000000000000x64 pixels", ""),
        "half a pixel": (with_first("images", height=48.5), "has 48.5x64 pixels", ""),
        "objects of panoptic files": (with_first("annotations", bbox="segments_info"), "", "is not four numbers"),
        "a caption": ({**sets.coco(), "annotations": [{"id": 1, "image_id": 1, "caption": "a"}]}, "are flawed", ""),
        "one picture twice": (with_first("images", file_name="c.png"), "", "1 pictures are listed twice"),
    }

    def case(name: str, content: object, error: str, told: str) -> Labels:
        def build(folder: Path) -> Dataset:
            return coco(sets.write_coco(folder, content), folder / "images", TRANSFORM)

        return Labels(name=f"COCO, own categories: {name}", build=build, error=error, told=told)

    return [case(name, *row) for name, row in contents.items()]


def _voc() -> list[Labels]:
    def box(**sides: object) -> str:
        edges = {"xmin": 3, "ymin": 3, "xmax": 12, "ymax": 12, **sides}
        inside = "".join(f"<{key}>{value}</{key}>" for key, value in edges.items())
        return f"<annotation><object><name>vest</name><bndbox>{inside}</bndbox></object></annotation>"

    texts: Mapping[str, tuple[str, str]] = {
        "an empty file": ("", ""),
        "no XML": ("a,b,c", "is no XML"),
        "XML cut short": (box()[:-9], "is no XML"),
        "entities": (f"<!DOCTYPE a [<!ENTITY b 'c'>]>{box()}", "declares entities"),
        "entities of entities": (
            '<!DOCTYPE a [<!ENTITY b "&c;&c;"><!ENTITY c "&d;&d;">]><a>&b;</a>',
            "declares entities",
        ),
        "another file": ('<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', "declares entities"),
        "HTML": ("<html><body><p>not found</body></html>", "is no XML"),
        "an unknown encoding": ("<?xml version='1.0' encoding='klingon'?>" + box(), "is no XML"),
        "no name": (box().replace("<name>vest</name>", ""), "that have no name"),
        "an empty name": (box().replace("vest", " "), "that have no name"),
        "no box": (box().replace("bndbox", "box"), "bndbox is not four numbers"),
        "a box of texts": (box(xmin="left"), "bndbox is not four numbers"),
        "a box that is not a number": (box(xmin="nan"), "bndbox is not four numbers"),
        "an infinite box": (box(xmax="inf"), "bndbox is not four numbers"),
        "a box 10^300 wide": (box(xmax="1e300"), "bndbox is not four numbers"),
        "a box without a side": (box().replace("<ymax>12</ymax>", ""), "bndbox is not four numbers"),
        "a box that ends before it begins": (box(xmax=1), "ends before it begins"),
        "a box left of the picture": (box(xmin=-20, xmax=-10), "no area within the picture"),
        "a size that is text": (box().replace("<object>", "<size><width>wide</width></size><object>"), ""),
        "a negative size": (box().replace("<object>", "<size><width>-1</width><height>-1</height></size><object>"), ""),
    }

    def case(name: str, text: str, told: str) -> Labels:
        def build(folder: Path) -> Dataset:
            root = sets.write_voc(folder)
            (root / "Annotations/c.xml").write_text(text, "utf-8")
            return voc(root, TRANSFORM)

        return Labels(name=f"VOC's XML: {name}", build=build, told=told)

    return [case(name, *row) for name, row in texts.items()]


def _masks() -> list[Labels]:
    flat = np.zeros(sets.SIZE, dtype=np.uint8)

    def case(
        name: str,
        pixels: object = flat,
        error: str = "",
        names: tuple[str, ...] = ("background", "boat"),
        **options: object,
    ) -> Labels:
        def build(folder: Path) -> Dataset:
            sets.draw(folder / "images")
            (folder / "masks/deep").mkdir(parents=True)
            for key in sets.BOXES:
                if isinstance(pixels, bytes):
                    (folder / f"masks/{key}.png").write_bytes(pixels)
                elif pixels is not None:
                    Image.fromarray(pixels).save(folder / f"masks/{key}.png")  # type: ignore[arg-type]
            return masks(folder / "images", folder / "masks", TRANSFORM, class_names=names, **options)  # type: ignore[arg-type]

        return Labels(name=f"class masks: {name}", build=build, error=error)

    def value(number: int) -> object:
        pixels = flat.copy()
        pixels[4:8, 4:8] = number
        return pixels

    red = np.zeros((*sets.SIZE, 3), dtype=np.uint8)
    red[4:8, 4:8] = (255, 0, 0)
    two = ((0, 0, 0), (255, 0, 0))
    return [
        case("none", None, "no mask in"),
        case("empty files", b"", "cannot be read"),
        case("no names", names=(), error="nothing says what the classes of the masks are called"),
        case("a value beyond the names", value(7), "hold values up to 7, and there are 2 class names"),
        case("a value of 254", value(254), "hold values up to 254"),
        case("0 and 255 for two classes", value(255), "which is one class, and 2 are named", ("a", "b")),
        case("0 and 255 for one class", value(255)),
        case("colours without a palette", red, "holds colours"),
        case("colours with another palette", red, "which no class has", palette=((0, 0, 0), (0, 255, 0))),
        case("a palette of other length", red, "the palette has 1 colours", palette=((0, 0, 0),)),
        case("a palette of pairs", red, "not red, green and blue", palette=((0, 0), (1, 1))),
        case("a palette beyond 255", red, "not red, green and blue", palette=((0, 0, 0), (256, 0, 0))),
        case("colours with their palette", red, palette=two),
        case("another size than the picture", np.zeros((9, 9), dtype=np.uint8), "has 9x9 pixels, its picture 48x64"),
        case("16 bits", value(1).astype(np.uint16)),  # type: ignore[attr-defined]
        case("truth values", value(1).astype(bool)),  # type: ignore[attr-defined]
        case("nothing but background", flat),
        case("a single class without background", value(1), names=("boat",)),
        case("a picture's bytes cut short", _png()[:60], "cannot be read"),
        case("JSON", json.dumps({}).encode(), "cannot be read"),
    ]


def _png() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", sets.SIZE[::-1]).save(buffer, format="PNG")
    return buffer.getvalue()
