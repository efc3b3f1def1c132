"""Objects at known places in photographs of any size, and a detector whose every number is known.

The detector sees colours: the evidence for a class is how much a pixel is of its colour, its logit is the sum of the
evidence, its box spans the pixels whose evidence is half of the most at least. So all relevance lies on the object, but
for what the first layer, a kernel of 3x3 pixels, spreads around it.

Axes: B batch, K class, H W picture.
"""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import nn

from lcrp import Explanation
from lcrp.data.scenes.draw import draw
from lcrp.data.scenes.names import CLASS_NAMES
from lcrp.data.scenes.plan import plan
from lcrp.values.geometry import Box
from lcrp.values.prediction import DetectorOutput

COLOURS = ("red", "green", "blue")
GREY = (122, 130, 112)
MARGIN = 20  # pixels around an object that is cut out of the scenes
DRAWN = {"car": 82, "boat": 51}  # pictures of the scenes with one of each


class SeesColours(nn.Module):
    """A row for every colour: its box, and the logit of its class."""

    def __init__(self) -> None:
        super().__init__()
        self.colour, self.read = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 1, bias=False)
        with torch.no_grad():
            self.colour.weight.zero_()
            self.colour.weight[:, :, 1, 1] = 1.5 * torch.eye(3) - 0.5
            self.colour.bias.fill_(-0.2)  # type: ignore[union-attr]
            self.read.weight.copy_(torch.eye(3)[..., None, None])

    def forward(self, x: torch.Tensor) -> DetectorOutput:
        evidence = self.read(torch.relu(self.colour(x)))  # [B, K, H, W]
        same = torch.eye(3, dtype=x.dtype)
        logits = 2000 * evidence.mean(dim=(2, 3))[:, None] * same - (20 - 17 * same)  # [B, row, K]
        return DetectorOutput(boxes=_extents(evidence.detach()), class_logits=logits, objectness_logits=None)


def _extents(evidence: torch.Tensor) -> torch.Tensor:
    """Boxes [B, K, 4] around what is half of the most, at least, in maps [B, K, H, W]."""
    shown = evidence > 0.5 * evidence.amax(dim=(2, 3), keepdim=True).clamp_min(0.05)
    first, last = [], []
    for axis in (3, 2):
        line = shown.any(dim=5 - axis)
        places = torch.arange(line.shape[2])
        first.append(torch.where(line, places, line.shape[2]).amin(dim=2))
        last.append(torch.where(line, places + 1, 0).amax(dim=2))
    boxes = torch.stack([*first, *last], dim=2).to(evidence)
    return torch.where(
        (boxes[..., 2:] > boxes[..., :2]).all(dim=2, keepdim=True), boxes, boxes.new_tensor([0, 0, 1, 1])
    )


def coloured(size: tuple[int, int], boxes: dict[str, Box]) -> Image.Image:
    """Grey noise of this size (height, width) with coloured boxes."""
    noise = np.random.default_rng(0).integers(90, 140, (*size, 1), dtype=np.uint8)
    pixels = np.repeat(noise, 3, axis=2)
    for colour, (left, top, right, bottom) in boxes.items():
        pixels[int(top) : int(bottom), int(left) : int(right)] = 20
        pixels[int(top) : int(bottom), int(left) : int(right), COLOURS.index(colour)] = 220
    return Image.fromarray(pixels)


def with_objects(size: tuple[int, int], shown: Box, scale: tuple[float, float]) -> tuple[Image.Image, dict[str, Box]]:
    """A photograph of this size (height, width) with a car and a boat of the scenes; where they are.

    Args:
        size: of the photograph.
        shown: the part in which they lie, the car to the upper left, the boat to the lower right.
        scale: (vertical, horizontal) of the objects.
    """
    canvas = Image.new("RGB", size[::-1], GREY)
    boxes: dict[str, Box] = {}
    for name, number in DRAWN.items():
        drawing = draw(plan("val", number))
        (box,) = drawing.boxes[drawing.labels == CLASS_NAMES.index(name)]
        corners = np.concatenate([box[:2] - MARGIN, box[2:] + MARGIN]).clip(0, 256).astype(int)
        cut = Image.fromarray(drawing.image).crop(tuple(corners.tolist()))
        cut = cut.resize((round(cut.width * scale[1]), round(cut.height * scale[0])))
        inset = 0.03 * (shown[2] - shown[0]), 0.03 * (shown[3] - shown[1])
        x, y = shown[0] + inset[0], shown[1] + inset[1]
        if name == "boat":
            x, y = shown[2] - inset[0] - cut.width, shown[3] - inset[1] - cut.height
        x, y = round(x), round(y)
        canvas.paste(cut, (x, y))
        moved = (box - np.tile(corners[:2], 2)) * np.tile(scale[::-1], 2) + [x, y, x, y]
        left, top, right, bottom = moved.tolist()
        boxes[name] = (left, top, right, bottom)
    return canvas, boxes


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """How well a decision and its relevance lie where the object is.

    Attributes:
        iou: of the decision's box with the object's, in the photograph.
        within: share of the positive relevance on the photograph that lies within the object's box.
        spread: IoU of the box around the relevance, on the photograph, with the object's.
        in_bars: share of the positive relevance of the input that lies beside the photograph.
    """

    iou: float
    within: float
    spread: float
    in_bars: float


def measured(found: Explanation, true: Box) -> Measured:
    """Measure a decision about an object whose box, in pixels of the photograph, is known."""
    assert found.box is not None
    left, top, right, bottom = (round(edge) for edge in true)
    heat = found.on_picture().values.clip(0)
    rows, columns = (np.flatnonzero(heat.sum(axis=axis) > 0.2 * heat.sum(axis=axis).max()) for axis in (1, 0))
    around = (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
    bars = found.heatmap.clip(0)
    total = bars.sum(dtype=np.float64)
    high, near, low, far = found.geometry.content()
    beside = bars.copy()
    beside[high:low, near:far] = 0
    return Measured(
        iou=iou(found.box, true),
        within=float(heat[top:bottom, left:right].sum() / heat.sum()),
        spread=iou(around, true),
        in_bars=float(beside.sum(dtype=np.float64) / total),
    )


def iou(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0.0, width) * max(0.0, height)
    return shared / (sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)) - shared)
