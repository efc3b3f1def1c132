"""What concepts look like: boxes in crops, and crops around a neuron without its network."""

import numpy as np
import pytest
import torch

from lcrp.page.pictures import SIDE
from lcrp.stages.explore.others import AROUND, around
from lcrp.stages.explore.pictured import in_crop
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
