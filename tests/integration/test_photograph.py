"""Boxes that leave the program lie on the photograph, and come back as what they were."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.ops import box_iou

from conftest import Outcome
from lcrp.data.scenes.draw import draw
from lcrp.data.scenes.names import CLASS_NAMES
from lcrp.data.scenes.plan import plan

Box = tuple[float, float, float, float]
LEAST_IOU = {"yolov5": 0.8, "yolov6": 0.8, "yolo": 0.8, "ssd": 0.6}
"""Of a model's box with the true one: SSD sees the picture stretched, and takes its objects for larger than they are.

In the input's own pixels, or with the picture's sides taken for each other, it would be 0.3 at most.
"""
GREY = (122, 130, 112)
MARGIN = 20  # pixels around an object


def photograph(path: Path) -> dict[str, Box]:
    """Write a picture of 640x360, a car to the upper left and a boat to the lower right; where they are, by class."""
    canvas = Image.new("RGB", (640, 360), GREY)
    boxes = {
        "car": _pasted(canvas, "car", 82, scale=1.0, place=(30, 20)),
        "boat": _pasted(canvas, "boat", 51, scale=1.3, place=(390, 120)),
    }
    canvas.save(path)
    return boxes


def _pasted(canvas: Image.Image, name: str, index: int, *, scale: float, place: tuple[int, int]) -> Box:
    """Paste the object of a class in a picture of the scenes, with what surrounds it; its box."""
    drawing = draw(plan("val", index))
    (box,) = drawing.boxes[drawing.labels == CLASS_NAMES.index(name)]
    left, top, right, bottom = np.concatenate([box[:2] - MARGIN, box[2:] + MARGIN]).clip(0, 256).astype(int).tolist()
    cut = Image.fromarray(drawing.image).crop((left, top, right, bottom))
    canvas.paste(cut.resize((round(cut.width * scale), round(cut.height * scale))), place)
    x0, y0, x1, y1 = ((box - [left, top] * 2) * scale + [*place, *place]).tolist()
    return x0, y0, x1, y1


def iou(one: Box, other: Box) -> float:
    return float(box_iou(torch.tensor([one]), torch.tensor([other])))


def numbers(folder: Path) -> dict[str, object]:
    """The one explanation that a run wrote."""
    (written,) = (path for path in folder.glob("*.json") if path.name != "provenance.json")
    content: dict[str, object] = json.loads(written.read_text())
    return content


def check_boat(lcrp: Callable[..., Outcome], folder: Path, picture: Path, model: str, true: Box) -> None:
    """The boat's box lies on the photograph's boat, and explains the boat when it is given back."""
    render = ("stage=render", f"model={model}", f"stage.image={picture}", "stage.n_references=0", "stage.formats=[svg]")
    first, second, third = (folder / name for name in ("class", "box", "elsewhere"))
    assert lcrp(*render, "stage.class_name=boat", "stage.rank=0", f"hydra.run.dir={first}").code in (0, None)
    found = numbers(first)
    box = found["box"]
    assert iou(box, true) >= LEAST_IOU[model]
    assert (found["picture_size"], found["source"]) == ([360, 640], picture.name)
    given = "[" + ",".join(f"{edge:.1f}" for edge in box) + "]"
    assert lcrp(*render, f"stage.box={given}", f"hydra.run.dir={second}").code in (0, None)
    again = numbers(second)
    assert again | {"item": 0} == found | {"item": 0}
    refused = lcrp(*render, "stage.box=[164,111,237,184]", f"hydra.run.dir={third}")  # as the input's pixels were
    assert refused.code == 1
    assert "no detection overlaps the box (164, 111, 237, 184) by an IoU of at least 0.5" in refused.err[-1]
    assert f"'boat' {found['confidence']:.2f} at ({', '.join(f'{edge:.0f}' for edge in box)})" in refused.err[-1]


@pytest.mark.slow
@pytest.mark.parametrize("model", LEAST_IOU)
def test_boxes_lie_on_the_photograph(lcrp: Callable[..., Outcome], tmp_path: Path, model: str) -> None:
    boxes = photograph(tmp_path / "wide.png")
    check_boat(lcrp, tmp_path, tmp_path / "wide.png", model, boxes["boat"])


@pytest.mark.slow
@pytest.mark.parametrize("model", LEAST_IOU)
def test_boxes_lie_on_a_recorded_photograph(
    lcrp: Callable[..., Outcome], tmp_path: Path, shared: Path, model: str
) -> None:
    case = shared / "cases" / "json_box_frame"
    if not case.is_dir():
        pytest.skip(f"{case} is not on this machine")
    objects = json.loads((case / "wide.json").read_text())["objects"]
    (boat,) = (one["box"] for one in objects if one["class"] == "boat")
    check_boat(lcrp, tmp_path, case / "wide.png", model, tuple(boat))
