"""A world whose context scores and sensitivities are worked out on paper.

A red square of 4x4 pixels (rows 4 to 7, columns 6 to 9) on blue (0.8) in pictures of 16x16. Layer '0' has three
concepts: 0 sees red, 1 sees blue three pixels to the left, 2 sees blue. The logit of 'boat' is concept 0 plus concept
1; that of the background is twice concept 2 plus 0.1. So, pixel by pixel,

    boat       in the square: 1 in column 9; 1 + 0.8 in columns 6 to 8, where the square ends three pixels to the left
               outside of it: at most 0.8
    background in the square: 0.1; outside: 1.7

and the predicted mask of 'boat' is the square, whose logits sum to 16 * 1 + 12 * 0.8 = 25.6. Relevance is seeded by
logits / 25.6, so that concept 0 gets 16 / 25.6 = 0.625, and concept 1 gets 9.6 / 25.6 = 0.375. Under z+ concept 0's
goes to the square itself, concept 1's to columns 3 to 5, beside it.

In every second picture only the left half of the square is annotated.
"""

import torch
import toy
from torch import nn

from lcrp.composites.composites import epsilon_plus
from lcrp.data.dataset import Keyed
from lcrp.data.transforms import InputTransform
from lcrp.decisions.subject import StatisticsSettings, Subject
from lcrp.stages.context.context import ContextSettings
from lcrp.values.geometry import Geometry
from lcrp.values.sample import Annotation, Sample

CLASS_NAMES = ("background", "boat")
SIDE = 16
ROWS, COLUMNS, HALF = slice(4, 8), slice(6, 10), slice(6, 8)
AS_IT_IS = InputTransform(SIDE, SIDE, "none")
STATISTICS = StatisticsSettings(
    targets="annotated", layers=("0",), top_n=5, top_n_per_class=3, batch_size=2, num_samples=None, record=False
)
CONTEXT = ContextSettings(
    layers=(),
    n_concepts=50,
    n_references=15,
    num_samples_per_class=60,
    min_pixels=10,
    class_name=None,
    context_class=None,
    num_flipped=1,
    seed=0,
    make_statistics=True,
)


class Pictures(Keyed):
    """As many equal pictures as wanted, annotated in full and by half in turns."""

    name = "paper"
    class_names = CLASS_NAMES
    transform = AS_IT_IS

    def __init__(self, length: int = 2) -> None:
        self.keys = [f"paper/{index}" for index in range(length)]

    def __getitem__(self, index: int) -> Sample:
        image = torch.zeros(3, SIDE, SIDE)
        image[2] = 0.8
        image[:, ROWS, COLUMNS] = torch.tensor([1.0, 0.0, 0.0])[:, None, None]
        mask = torch.zeros(SIDE, SIDE, dtype=torch.int64)
        mask[ROWS, HALF if index % 2 else COLUMNS] = 1
        annotation = Annotation(boxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.int64), class_mask=mask)
        geometry = Geometry.identity((SIDE, SIDE))
        return Sample(index=index, key=self.key(index), image=image, annotation=annotation, geometry=geometry)

    def fingerprint(self) -> str:
        return f"paper {len(self)}"


def network() -> nn.Module:
    layers = nn.Sequential(nn.Conv2d(3, 3, 7, padding=3, bias=False), nn.ReLU(), nn.Conv2d(3, 2, 1))
    with torch.no_grad():
        for parameter in layers.parameters():
            parameter.zero_()
        layers[0].weight[0, 0, 3, 3] = 1.0
        layers[0].weight[1, 2, 3, 0] = 1.0
        layers[0].weight[2, 2, 3, 3] = 1.0
        layers[2].weight[0, 2] = 2.0
        layers[2].weight[1, :2] = 1.0
        layers[2].bias[0] = 0.1
    return layers.eval().requires_grad_(False)


def subject(dataset: Pictures | None = None) -> Subject:
    """The network on the pictures."""
    dataset = dataset or Pictures()
    seeing = toy.explainer(network(), CLASS_NAMES, SIDE, name="paper", build=epsilon_plus, layer="0")
    return toy.subject(seeing, dataset, {"model": "paper", "length": len(dataset)})
