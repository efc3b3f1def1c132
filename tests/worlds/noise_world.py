"""Random pictures with random class masks, and a network that finds some of them.

Few numbers are equal here, unlike in the world of colours.
"""

from dataclasses import dataclass

import torch
import toy
from torch import nn

from lcrp.data.transforms import InputTransform
from lcrp.decisions.subject import StatisticsSettings, Subject
from lcrp.errors import DataError
from lcrp.values.geometry import Geometry
from lcrp.values.sample import Annotation, Sample

SIZE, NUM_SAMPLES = 8, 7
CLASS_NAMES = ("sky", "sea", "sand")
AS_IT_IS = InputTransform(SIZE, SIZE, "none")
MEAN = STD = (0.5, 0.5, 0.5)
STATISTICS = StatisticsSettings(
    targets="annotated", layers=(), top_n=5, top_n_per_class=2, batch_size=3, num_samples=None, record=False
)


@dataclass(frozen=True)
class Noise:
    """Random pictures with random class masks."""

    broken: tuple[int, ...] = ()
    class_names: tuple[str, ...] = CLASS_NAMES
    is_annotated: bool = True
    classes: tuple[int, ...] = (0, 1, 2)
    length: int = NUM_SAMPLES
    name: str = "noise"
    transform: InputTransform = AS_IT_IS

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        if index in self.broken:
            raise DataError(f"{self.key(index)} is broken")
        generator = torch.Generator().manual_seed(index)
        mask = torch.tensor(self.classes)[torch.randint(0, len(self.classes), (SIZE, SIZE), generator=generator)]
        annotation = Annotation(boxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.int64), class_mask=mask)
        return Sample(
            index=index,
            key=self.key(index),
            image=torch.rand(3, SIZE, SIZE, generator=generator),
            annotation=annotation if self.is_annotated else None,
            geometry=Geometry.identity((SIZE, SIZE)),
        )

    def key(self, index: int) -> str:
        return f"noise/{index}"

    def index_of(self, key: str) -> int:
        return int(key.split("/")[1])

    def fingerprint(self) -> str:
        return "f00"


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    made = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 1)
    )
    return made.eval().requires_grad_(False)


def subject(dataset: "Noise | None" = None) -> Subject:
    """The network on the noise."""
    identity = {"model": {"checkpoint_sha256": "abc"}, "dataset": {"fingerprint": "f00"}}
    return toy.subject(toy.explainer(network(), CLASS_NAMES, SIZE, mean=MEAN, std=STD), dataset or Noise(), identity)
