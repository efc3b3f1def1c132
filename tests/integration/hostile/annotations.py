"""COCO annotations: damaged files, objects that cannot be, pictures that are not there."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from hostile.case import Command, Item

FILE = "is not a COCO instances file"
OUTLINE = "the segmentation is neither polygons nor run lengths"
SIDE = 64
NAN, INFINITY = float("nan"), float("inf")

Record = dict[str, Any]


def image(number: int = 1, **changes: object) -> Record:
    """A picture's record."""
    return {"id": number, "file_name": f"{number}.png", "height": SIDE, "width": SIDE, **changes}


def thing(number: int = 1, picture: int = 1, **changes: object) -> Record:
    """An object's annotation; None leaves a key out."""
    record = {
        "id": number,
        "image_id": picture,
        "category_id": 1,
        "bbox": [8, 8, 20, 20],
        "iscrowd": 0,
        "segmentation": [[8, 8, 28, 8, 28, 28]],
        **changes,
    }
    return {key: value for key, value in record.items() if value is not None}


def write_coco(folder: Path, text: str, pictures: int = 1) -> None:
    """Annotations and pictures as COCO 2017 lays them out."""
    (folder / "coco/annotations").mkdir(parents=True)
    (folder / "coco/val2017").mkdir()
    (folder / "coco/annotations/instances_val2017.json").write_text(text, encoding="utf-8")
    for number in range(1, pictures + 1):
        Image.new("RGB", (SIDE, SIDE), (9, 99, 199)).save(folder / f"coco/val2017/{number}.png")


def files() -> list[Command]:
    """Annotation files that are refused as a whole."""
    return [
        _file("empty file", "", FILE),
        _file("no JSON", "a,b,c\n1,2,3\n", FILE),
        _file("JSON cut short", json.dumps(_coco([thing()]))[:-9], FILE),
        _file("lists nested 100,000 deep", "[" * 100_000, FILE),
        _file("a list", "[]", FILE),
        _file("a number", "17", FILE),
        _file("no images", json.dumps({"annotations": []}), FILE),
        _file("an empty list of images", json.dumps({"images": [], "annotations": []}), "it lists no images"),
        _file("images that are numbers", json.dumps({"images": [1, 2], "annotations": []}), FILE),
        _file("images without an id", json.dumps({"images": [{"file_name": "1.png"}]}), FILE),
        _file("an image without a name", _text([image(file_name="")]), "has the file_name ''"),
        _file("an image whose name is a number", _text([image(file_name=7)]), "has the file_name 7"),
        _file("an image without a height", json.dumps({"images": [{"id": 1, "file_name": "1.png"}]}), FILE),
        _file("an image of a negative width", _text([image(width=-5)]), "has 64x-5 pixels"),
        _file("an image whose height is text", _text([image(height="tall")]), "has 'tall'x64 pixels"),
        _file("an image whose width is not a number", _text([image(width=NAN)]), "has 64xnan pixels"),
        _file("unknown categories", _text([image()], [thing(category_id=91), thing(2, category_id=0)]), "[0, 91]"),
        _file("a category that is text", _text([image()], [thing(category_id="person")]), "category ids ['person']"),
        _file("a category that is a list", _text([image()], [thing(category_id=[1])]), FILE),
        _file("no category", _text([image()], [thing(category_id=None)]), FILE),
        _file("an object of no image", _text([image()], [thing(image_id=None)]), FILE),
        _file("objects that are texts", _text([image()], ["a"]), FILE),
        _file("no UTF-8", "\udcff", FILE),
        _command("annotations that are a folder", _folder, "misses"),
        _command("no annotations", lambda folder: (folder / "coco/val2017").mkdir(parents=True), "misses"),
        _command("no folder of pictures", _no_pictures, "misses"),
    ]


FLAWS: Mapping[str, tuple[Record, str]] = {  # objects that are left out, each of a picture of its own
    "a box that is not a number": ({"bbox": [NAN, 1, 2, 3]}, "is not four numbers"),
    "an infinite box": ({"bbox": [1, 1, INFINITY, 3]}, "is not four numbers"),
    "a box of three numbers": ({"bbox": [1, 2, 3]}, "is not four numbers"),
    "a box of five numbers": ({"bbox": [1, 2, 3, 4, 5]}, "is not four numbers"),
    "a box of texts": ({"bbox": ["1", "2", "3", "4"]}, "is not four numbers"),
    "a box that is a text": ({"bbox": "1234"}, "is not four numbers"),
    "a box that is null": ({"bbox": [1, None, 3, 4]}, "is not four numbers"),
    "a box 10^300 wide": ({"bbox": [0, 0, 1e300, 4]}, "is not four numbers"),
    "a negative width": ({"bbox": [30, 30, -9, 9]}, "has a negative side"),
    "a negative height": ({"bbox": [30, 30, 9, -9]}, "has a negative side"),
    "a box without width": ({"bbox": [30, 30, 0, 9]}, "has no area"),
    "a box without height": ({"bbox": [30, 30, 9, 0]}, "has no area"),
    "a box left of the picture": ({"bbox": [-30, 1, 9, 9]}, "has no area"),
    "a box below the picture": ({"bbox": [1, 99, 9, 9]}, "has no area"),
}
OUTLINES: Mapping[str, tuple[Record, str]] = {  # objects that are read, some without their outline
    "no box": ({"bbox": None}, ""),
    "no box, and no outline": ({"bbox": None, "segmentation": None}, "is not four numbers"),
    "no id": ({"id": None}, ""),
    "the id of another object": ({"id": 1}, ""),
    "an outline that is not in a list": ({"segmentation": [8, 8, 28, 8, 28, 28]}, ""),
    "an outline without coordinates": ({"segmentation": [[]]}, ""),
    "a box that ends beyond the picture": ({"bbox": [50, 50, 99, 99]}, ""),
    "no outline": ({"segmentation": None}, ""),
    "an empty outline": ({"segmentation": []}, ""),
    "an outline that is a number": ({"segmentation": 5}, OUTLINE),
    "an outline that is a text": ({"segmentation": "ring"}, OUTLINE),
    "a polygon of two points": ({"segmentation": [[1, 1, 9, 9]]}, OUTLINE),
    "a polygon of an odd number of coordinates": ({"segmentation": [[1, 1, 9, 9, 5, 5, 1]]}, OUTLINE),
    "a polygon that is not numbers": ({"segmentation": [[1, NAN, 9, 9, 5, 5]]}, OUTLINE),
    "an infinite polygon": ({"segmentation": [[1, INFINITY, 9, 9, 5, 5]]}, OUTLINE),
    "a polygon 10^300 wide": ({"segmentation": [[1, 1e300, 9, 9, 5, 5]]}, OUTLINE),
    "a polygon of texts": ({"segmentation": [["a", "b", "c", "d", "e", "f"]]}, OUTLINE),
    "a polygon that is null": ({"segmentation": [None]}, OUTLINE),
    "a polygon outside the picture": ({"segmentation": [[900, 900, 950, 900, 950, 950]]}, ""),
    "run lengths of another size": ({"segmentation": {"size": [9, 9], "counts": [81]}}, OUTLINE),
    "run lengths that are too long": ({"segmentation": {"size": [SIDE, SIDE], "counts": [1 << 31]}}, OUTLINE),
    "run lengths that are too short": ({"segmentation": {"size": [SIDE, SIDE], "counts": [5]}}, OUTLINE),
    "negative run lengths": ({"segmentation": {"size": [SIDE, SIDE], "counts": [-5, SIDE * SIDE + 5]}}, OUTLINE),
    "run lengths that are texts": ({"segmentation": {"size": [SIDE, SIDE], "counts": ["a"]}}, OUTLINE),
    "packed run lengths of noise": ({"segmentation": {"size": [SIDE, SIDE], "counts": "zzzzzzzz"}}, OUTLINE),
    "no run lengths": ({"segmentation": {"size": [SIDE, SIDE]}}, OUTLINE),
}
PICTURES: Mapping[str, tuple[Record, str]] = {  # changes of a picture's record
    "a picture that is missing": ({"file_name": "missing.png"}, "is missing"),
    "a picture of another size": ({"height": 9}, "has 64x64 pixels, its annotation 9x64"),
    "a picture above its folder": ({"file_name": "../annotations/instances_val2017.json"}, "cannot be read"),
    "a picture that is a folder": ({"file_name": "."}, "cannot be read"),
    "a name with a zero byte": ({"file_name": "a\0b.png"}, "cannot be read"),
    "a name of 5,000 letters": ({"file_name": "a" * 5000}, "cannot be read"),
}


def _samples() -> list[tuple[str, Record, Record, str, str]]:
    """Name, record, annotation, reason to skip the sample, and flaw of the object."""
    rows = [(name, {}, change, "", flaw) for name, (change, flaw) in FLAWS.items()]
    rows += [(name, {}, change, "", flaw) for name, (change, flaw) in OUTLINES.items()]
    return rows + [(name, change, {}, reason, "") for name, (change, reason) in PICTURES.items()]


def samples() -> list[Item]:
    """Pictures of one dataset, each with its record and annotation."""
    return [
        Item(
            name=f"annotation: {name}",
            key=str(image(number, **record)["file_name"]),
            write=lambda _: None,
            skipped=skipped,
            left_out=flaw,
        )
        for number, (name, record, _, skipped, flaw) in enumerate(_samples(), start=1)
    ]


def write_samples(folder: Path) -> None:
    """The dataset."""
    rows = list(enumerate(_samples(), start=1))
    images = [image(number, **record) for number, (_, record, *_) in rows]
    things = [thing(number, number, **change) for number, (_, _, change, *_) in rows]
    write_coco(folder, _text(images, things), pictures=len(rows))


ARGUMENTS = ["model=yolov5", "model.checkpoint=embedded:yolov5_scenes", "dataset=coco2017", "dataset.root=coco"]


def _coco(things: list[Any], images: list[Record] | None = None) -> Record:
    return {"images": [image()] if images is None else images, "annotations": things, "categories": []}


def _text(images: list[Record], things: list[Any] | None = None) -> str:
    return json.dumps(_coco(things or [], images))


def _file(name: str, text: str, error: str) -> Command:
    def write(folder: Path) -> None:
        write_coco(folder, "")
        path = folder / "coco/annotations/instances_val2017.json"
        path.write_bytes(text.encode("utf-8", "surrogateescape"))

    return _command(name, write, error)


def _command(name: str, write: Callable[[Path], object], error: str) -> Command:
    def prepare(folder: Path) -> list[str]:
        write(folder)
        return [*ARGUMENTS, "statistics.targets=predicted"]

    return Command(name=f"annotations: {name}", prepare=prepare, error=error)


def _folder(folder: Path) -> None:
    (folder / "coco/annotations/instances_val2017.json").mkdir(parents=True)
    (folder / "coco/val2017").mkdir()


def _no_pictures(folder: Path) -> None:
    write_coco(folder, _text([image()]))
    for path in (folder / "coco/val2017").iterdir():
        path.unlink()
    (folder / "coco/val2017").rmdir()
