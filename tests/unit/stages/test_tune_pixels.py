"""Pixel deletion and insertion beside a literal restatement."""

from typing import Any, cast

import numpy as np
import pytest
import torch

from lcrp.attribution.ablated_logits import LookedAt
from lcrp.stages.tune.pixels import all_filled, fillings, pixel_curves, places_in_order, sureness
from lcrp.values.target import ExplainedTarget, Target

SIZE, STEPS = (5, 6), 4


def sure(images: torch.Tensor) -> torch.Tensor:
    """A number of pictures in which every pixel counts differently."""
    weights = torch.arange(images[0].numel(), dtype=torch.float64).view(images.shape[1:]).sin()
    return (images.double() * weights).sum(dim=(1, 2, 3))


def test_curves_are_the_literal_ones() -> None:
    generator = torch.Generator().manual_seed(0)
    image, heatmap = torch.rand(3, *SIZE, generator=generator), torch.randn(*SIZE, generator=generator)
    heatmap[2, 1:4] = 0.25  # equal ones are taken in the order of the picture
    content = torch.ones(SIZE, dtype=torch.bool)
    content[0] = False  # a bar
    fills = fillings(image)
    ends = sure(torch.stack([image, *(all_filled(image, fill, content) for fill in fills)]))
    found = pixel_curves(sure, image, fills, ends, places_in_order(heatmap, content), STEPS)
    pixels = [(y, x) for y in range(SIZE[0]) for x in range(SIZE[1]) if content[y, x]]
    order = sorted(pixels, key=lambda place: -float(heatmap[place]))
    for number, fill in enumerate(fills):
        for step in range(STEPS + 1):
            count = round(len(order) * step / STEPS)
            deleted, inserted = image.clone(), image.clone()
            for place, (y, x) in enumerate(order):
                (deleted if place < count else inserted)[:, y, x] = fill[:, y, x]
            expected = [float(sure(one[None])) for one in (deleted, inserted)]
            np.testing.assert_allclose(found[number, :, step], expected, rtol=1e-12)


def test_the_blurred_picture_is_the_literal_one() -> None:
    image = torch.rand(3, 7, 9, generator=torch.Generator().manual_seed(1))
    blurred, grey = fillings(image)
    assert grey.unique().tolist() == [0.5]
    padded = np.pad(image.numpy(), ((0, 0), (3, 3), (3, 3)), mode="reflect")  # sigma 1, three of it to either side
    weights = np.exp(-0.5 * np.arange(-3, 4) ** 2)
    kernel = np.outer(weights, weights) / weights.sum() ** 2
    expected = [
        [[(padded[c, y : y + 7, x : x + 7] * kernel).sum() for x in range(9)] for y in range(7)] for c in range(3)
    ]
    np.testing.assert_allclose(blurred, expected, atol=1e-6)


class Asked:
    """A network and a task in one that say what they were asked."""

    takes_one = False
    device = torch.device("cpu")

    def __init__(self) -> None:
        self.task = self
        self.boxes: list[Any] = []

    def output(self, images: torch.Tensor) -> torch.Tensor:
        return images

    def readout(
        self, output: torch.Tensor, ids: torch.Tensor, boxes: torch.Tensor, masks: torch.Tensor
    ) -> torch.Tensor:
        assert ids.tolist() == [4] * len(output)
        assert len(masks) == len(output)
        self.boxes.append(boxes[0].tolist())
        return output.mean(dim=(1, 2, 3))

    def logits(self, output: torch.Tensor, explained: list[ExplainedTarget], masks: torch.Tensor) -> torch.Tensor:
        assert len(explained) == len(output)
        return (output[:, 0] * masks).sum(dim=(1, 2))


@pytest.mark.parametrize("box", [None, (1.0, 0.0, 3.0, 2.0)])
def test_detectors_are_asked_at_the_box_and_segmenters_in_the_mask(box: tuple[float, ...] | None) -> None:
    asked, images = Asked(), torch.rand(3, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(4, 4, dtype=torch.bool)
    mask[1, 2] = True
    target = Target(sample=0, class_id=4)
    explained = ExplainedTarget(target=target, key="", score=1.0, confidence=1.0, box=cast(Any, box))
    decision = LookedAt(image=images[0], explained=explained, mask=mask)
    found = sureness(cast(Any, asked), decision)(images)
    expected = images[:, 0, 1, 2] if box is None else images.mean(dim=(1, 2, 3))
    torch.testing.assert_close(found, expected.double())
    assert asked.boxes == ([] if box is None else [list(box)] * len(asked.boxes))
