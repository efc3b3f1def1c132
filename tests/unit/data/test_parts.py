"""Connected parts of class masks, beside those of scipy."""

import numpy as np
import pytest

from lcrp.data.labelled.parts import connected, objects_of
from lcrp.values.sample import VOID

ndimage = pytest.importorskip("scipy.ndimage", reason="scipy is not installed")


@pytest.mark.parametrize("share", [0.0, 0.2, 0.4, 0.6, 1.0])
@pytest.mark.parametrize("seed", range(8))
def test_parts_are_those_of_scipy(share: float, seed: int) -> None:
    mask = np.random.default_rng(seed).random((17, 23)) < share
    expected, count = ndimage.label(mask, structure=np.ones((3, 3)))
    found = connected(mask)
    assert np.array_equal(found > 0, mask)
    pairs = set(zip(found[mask].tolist(), expected[mask].tolist(), strict=True))
    assert len(pairs) == count == found.max()  # one number of ours for each of theirs


def test_every_part_has_its_box() -> None:
    mask = np.zeros((10, 12), dtype=np.int64)
    mask[1:3, 2:5] = mask[5:9, 7:11] = 2
    mask[0, 11], mask[9, 0] = 1, VOID
    found = objects_of(mask)
    assert found.labels.tolist() == [1, 2, 2]
    assert found.boxes.tolist() == [[11, 0, 12, 1], [2, 1, 5, 3], [7, 5, 11, 9]]
    assert found.masks is not None
    assert found.masks.flatten(1).sum(dim=1).tolist() == [1, 6, 16]
