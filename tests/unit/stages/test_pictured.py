"""What concepts look like: boxes in crops, crops around a neuron without its network, and what lies in memory."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from lcrp.page.pictures import SIDE, in_bytes, strip
from lcrp.stages.explore import pictured
from lcrp.stages.explore.others import AROUND, around
from lcrp.stages.explore.pictured import MARGIN, in_crop
from lcrp.values.geometry import Geometry
from lcrp.values.sample import Sample


def test_a_box_lies_where_the_crop_shows_it() -> None:
    """A box counted from the picture's corner, or stretched where a crop is no square, would lie beside the object."""
    whole = in_crop((0.25, 0.5, 0.75, 1.0), (0, 0, 100, 200), (100, 200))
    assert whole == pytest.approx((0.25, 0.5, 0.75, 0.75))  # 200 pixels wide: 50 above and below are empty
    part = in_crop((0.25, 0.5, 0.75, 1.0), (40, 50, 90, 100), (100, 200))
    assert part == pytest.approx((0.0, 0.2, 2.0, 1.2))


@pytest.mark.parametrize(("row", "column"), [(0, 0), (3, 5), (7, 7)])
def test_a_crop_lies_around_its_neuron(row: int, column: int) -> None:
    """A row taken for a column, or padding counted as picture, would show another place."""
    image = torch.zeros(3, 64, 64)
    image[:, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = 1.0
    geometry = Geometry(picture_size=(32, 64), input_size=(64, 64), scale=(1.0, 1.0), offset=(16.0, 0.0))
    sample = Sample(index=0, key="one", image=image, geometry=geometry, annotation=None)
    crop = around(sample, row * 8 + column, (8, 8))
    side = round(AROUND * 32)
    assert crop.shape == (side, side, 3)
    if 2 <= row < 6:
        assert crop.mean() == pytest.approx(64 / side**2)
        rows, columns = np.nonzero(crop[..., 0])
        assert abs(rows.mean() - side / 2) <= 2
        assert abs(columns.mean() - side / 2) <= 2
    assert side < SIDE


@dataclass
class Asked:
    """Ten concepts with four references each, two of them in a picture that all concepts share."""

    concepts = tuple(range(10))

    def count(self, _: object, concepts: list[int]) -> int:
        return 4 * len(concepts)

    def samples(self, _: object, concepts: list[int]) -> set[int]:
        return {-1} | {2 * concept + place for concept in concepts for place in range(2)}


def test_pictures_and_heatmaps_of_a_part_fit_and_small_heatmaps_leave_room_for_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of 100 pixels a picture takes 1,200 bytes and a heatmap 400, or as much of these as it covers."""
    monkeypatch.setattr(pictured, "_picture_size", lambda _: 100)
    monkeypatch.setattr(pictured, "BYTES_AT_ONCE", 13_200)
    nothing: Any = None
    asked: Any = Asked()
    extent = pictured._Extent()
    parts = pictured._parts(nothing, nothing, asked, extent)
    assert next(parts) == [0, 1, 2]  # 7 pictures, 12 whole heatmaps: 13,200; a picture more is too much
    extent.learn([0.05, 0.15])
    assert extent.share == pytest.approx(0.1 * MARGIN)
    assert next(parts) == [3, 4, 5, 6]  # 9 pictures, 16 heatmaps of 0.15: 11,760
    extent.learn([])  # nothing was found: as before
    assert list(parts) == [[7, 8, 9]]
    extent.learn([0.9])
    assert extent.share == 1.0
    monkeypatch.setattr(pictured, "BYTES_AT_ONCE", 1)
    assert list(pictured._parts(nothing, nothing, asked, extent)) == [[concept] for concept in range(10)]


def test_crops_in_bytes_are_the_same_strip() -> None:
    crops = [np.random.default_rng(seed).uniform(-0.1, 1.1, (40, 60, 3)) for seed in range(2)]
    assert strip([in_bytes(crop) for crop in crops]) == strip(crops)
