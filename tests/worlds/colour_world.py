"""A world small enough to know every number: a network that sees colours, and pictures of coloured squares.

Class 0 is 'background' (blue), 1 'boat' (red), 2 'car' (green). Concept 0 of layer '0' is red, 1 green, 2 blue, 3 grey.
"""

from pathlib import Path

import torch
import toy
from torch import nn

from lcrp.data.dataset import Keyed, checked_index
from lcrp.data.transforms import InputTransform
from lcrp.decisions.subject import StatisticsSettings, Subject
from lcrp.errors import DataError
from lcrp.runs.run import Run
from lcrp.values.geometry import Geometry
from lcrp.values.sample import Sample

CLASS_NAMES = ("background", "boat", "car")
SIDE = 24
RED, GREEN, BLUE = (1.0, 0.2, 0.2), (0.2, 1.0, 0.2), (0.2, 0.2, 1.0)  # whole numbers of 1/255


def network() -> nn.Module:
    """Two convolutions; the colour that is strongest is the class."""
    first, last = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 3, 1)
    layers = nn.Sequential(first, nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), last)
    with torch.no_grad():
        for module in layers:
            if isinstance(module, nn.Conv2d):
                module.weight.zero_()
                module.bias.zero_()  # type: ignore[union-attr]
        for colour in range(3):
            first.weight[colour, colour, 1, 1] = 1.0
            layers[2].weight[colour, colour] = 1.0 / 9
        first.weight[3, :, 1, 1] = 0.3
        layers[2].weight[3, 3] = 1.0 / 9
        for class_id, colour in enumerate((2, 0, 1)):
            last.weight[class_id, colour] = 1.0
            last.weight[class_id, 3] = 0.1
    return layers


class Squares(Keyed):
    """Blue pictures with one square each: red, green, red ...; nothing but blue in the first one."""

    name = "squares"
    class_names = CLASS_NAMES
    transform = InputTransform(SIDE, SIDE, "none")

    def __init__(self, length: int = 6, broken: tuple[int, ...] = ()) -> None:
        self.length = length
        self.broken = broken
        self.num_read = 0
        self.keys = [f"squares/{index:02d}" for index in range(length)]

    def __getitem__(self, index: int) -> Sample:
        checked_index(index, self.length, self.name)
        if index in self.broken:
            raise DataError(f"picture {index} cannot be read")
        self.num_read += 1
        image = torch.tensor(BLUE)[:, None, None].expand(3, SIDE, SIDE).clone()
        if index:
            colour = RED if index % 2 else GREEN
            image[:, 6:14, 2 + index : 10 + index] = torch.tensor(colour)[:, None, None]
        geometry = Geometry.identity((SIDE, SIDE))
        return Sample(index=index, key=self.key(index), image=image, annotation=None, geometry=geometry)

    def fingerprint(self) -> str:
        return f"squares {self.length}"


def subject(dataset: Squares | None = None) -> Subject:
    """The network on the squares."""
    return toy.subject(toy.explainer(network(), CLASS_NAMES, SIDE, name="colours"), dataset or Squares())


def statistics() -> StatisticsSettings:
    """Every predicted class of every picture."""
    return StatisticsSettings(
        targets="predicted", layers=(), top_n=5, top_n_per_class=3, batch_size=4, num_samples=None, record=False
    )


def run(folder: Path) -> Run:
    """A run with its own folder."""
    own = folder / "run"
    own.mkdir(exist_ok=True)
    return Run(folder=own, output_root=folder / "outputs")
