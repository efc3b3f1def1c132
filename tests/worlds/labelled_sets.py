"""One set of made-up pictures in every layout, and what is annotated in it."""

import json
from pathlib import Path

from PIL import Image

NAMES = ("helmet", "vest", "boat")
SIZE = (48, 64)  # height, width
BOXES = {  # picture: class and box xyxy in pixels
    "a": [(0, (2, 2, 12, 12)), (1, (30, 20, 50, 40))],
    "deep/b": [(2, (0, 0, 64, 48))],
    "c": [],
}
OUTLINE = [(10.0, 10.0), (30.0, 10.0), (20.0, 30.0)]  # of class 1 in picture 'a', further to its boxes


def draw(folder: Path, size: tuple[int, int] = SIZE, ending: str = ".png", **options: object) -> None:
    """The pictures."""
    for key in BOXES:
        path = folder / f"{key}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (size[1], size[0]), (9, 99, 199)).save(path, **options)  # type: ignore[arg-type]


def write_yolo(root: Path, yaml: str = "", end: str = "\n", begin: str = "") -> Path:
    """A YOLO data set; returns its YAML file."""
    draw(root / "images/val")
    for key, objects in BOXES.items():
        lines = []
        for label, (left, top, right, bottom) in objects:
            x, y = (left + right) / 2 / SIZE[1], (top + bottom) / 2 / SIZE[0]
            lines.append(f"{label} {x} {y} {(right - left) / SIZE[1]} {(bottom - top) / SIZE[0]}")
        if key == "a":
            lines.append("1 " + " ".join(f"{x / SIZE[1]} {y / SIZE[0]}" for x, y in OUTLINE))
        path = root / f"labels/val/{key}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((begin + end.join(lines)).encode("utf-8"))
    path = root / "data.yaml"
    path.write_text(yaml or "path: .\ntrain: images/val\nval: images/val\nnames: [helmet, vest, boat]\n", "utf-8")
    return path


def coco(first_id: int = 1) -> dict[str, list[dict[str, object]]]:
    """The content of a COCO file."""
    images, things = [], []
    for number, (key, objects) in enumerate(BOXES.items(), start=1):
        images.append({"id": number, "file_name": f"{key}.png", "height": SIZE[0], "width": SIZE[1]})
        for label, (left, top, right, bottom) in objects:
            thing = {"bbox": [left, top, right - left, bottom - top], "segmentation": [], "iscrowd": 0}
            things.append({"id": len(things), "image_id": number, "category_id": label + first_id, **thing})
        if key == "a":
            polygon = [side for point in OUTLINE for side in point]
            thing = {"bbox": [10, 10, 20, 20], "segmentation": [polygon], "iscrowd": 0}
            things.append({"id": len(things), "image_id": number, "category_id": 1 + first_id, **thing})
    categories = [{"id": number + first_id, "name": name} for number, name in enumerate(NAMES)]
    return {"images": images, "annotations": things, "categories": categories}


def write_coco(root: Path, content: object = None, encoding: str = "utf-8") -> Path:
    """A COCO set; returns its JSON file."""
    draw(root / "images")
    path = root / "labels.json"
    path.write_text(json.dumps(coco() if content is None else content), encoding)
    return path


def write_voc(root: Path) -> Path:
    """VOC's layout; returns its folder."""
    draw(root / "JPEGImages")
    for key, objects in BOXES.items():
        inside = "".join(
            f"<object><name>{NAMES[label]}</name><bndbox><xmin>{left + 1}</xmin><ymin>{top + 1}</ymin>"
            f"<xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
            for label, (left, top, right, bottom) in objects
        )
        path = root / f"Annotations/{key}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        size = f"<size><width>{SIZE[1]}</width><height>{SIZE[0]}</height><depth>3</depth></size>"
        path.write_text(f"<annotation>{size}{inside}</annotation>", "utf-8")
    return root
