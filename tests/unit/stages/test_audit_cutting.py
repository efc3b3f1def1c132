"""Objects that are cut out and put elsewhere, beside slow restatements pixel by pixel."""

import math

import pytest
import torch

from lcrp.stages.audit.cutting import Cutout, filled, grown, pixels_of, way_to
from lcrp.stages.audit.synthetic import NUM_SYNTHETIC, synthetic_grounds


def a_picture(size: int = 24) -> torch.Tensor:
    return torch.rand(3, size, size, generator=torch.Generator().manual_seed(0))


def a_mask(size: int = 24) -> torch.Tensor:
    mask = torch.zeros(size, size, dtype=torch.bool)
    mask[9:14, 8:12] = True
    mask[13, 12:15] = True
    return mask


def distance(mask: torch.Tensor, row: int, column: int) -> float:
    return min(math.dist((row, column), (y, x)) for y, x in mask.nonzero().tolist())


@pytest.mark.parametrize("radius", [1, 2, 3])
def test_a_mask_grows_by_distance(radius: int) -> None:
    mask, wide = a_mask(), grown(a_mask(), radius)
    for row in range(24):
        for column in range(24):
            assert bool(wide[row, column]) == (distance(mask, row, column) <= radius)


def test_seams_fall_off_outside_the_object_alone() -> None:
    mask = torch.zeros(300, 300, dtype=torch.bool)
    mask[140:160, 100:120] = True
    cutout = Cutout.of(torch.zeros(3, 300, 300), mask, (100.0, 140.0, 120.0, 160.0))
    assert bool((cutout.opacity[mask] == 1).all()), "nothing of the object is lost"
    assert pixels_of(0.01, mask) == 3
    along = cutout.opacity[150, 120:125].tolist()  # outwards from the right side
    assert along == pytest.approx([0.75, 0.5, 0.25, 0.0, 0.0])


def test_an_object_on_its_own_ground_changes_nothing_but_rounding() -> None:
    image = a_picture()
    pasted = Cutout.of(image, a_mask(), (8.0, 9.0, 15.0, 14.0)).before(image)
    assert torch.allclose(pasted, image, rtol=0, atol=1e-6)


def test_objects_before_grounds_are_mixed_by_opacity() -> None:
    image, ground = a_picture(), 1 - a_picture()
    cutout = Cutout.of(image, a_mask(), (8.0, 9.0, 15.0, 14.0))
    pasted = cutout.before(ground)
    for row in range(24):
        for column in range(24):
            opacity = float(cutout.opacity[row, column])
            wanted = opacity * image[:, row, column] + (1 - opacity) * ground[:, row, column]
            assert torch.allclose(pasted[:, row, column], wanted)


@pytest.mark.parametrize(("right", "down"), [(3, -2), (-5, 4), (0, 0), (30, 0)])
def test_moved_objects_keep_their_pixels(right: int, down: int) -> None:
    image = a_picture()
    moved = Cutout.of(image, a_mask(), (8.0, 9.0, 15.0, 14.0)).moved(right, down)
    assert moved.box == (8.0 + right, 9.0 + down, 15.0 + right, 14.0 + down)
    for row in range(24):
        for column in range(24):
            y, x = row - down, column - right
            is_inside = 0 <= y < 24 and 0 <= x < 24
            assert bool(moved.mask[row, column]) == (is_inside and bool(a_mask()[y, x]))
            if is_inside:
                assert torch.equal(moved.image[:, row, column], image[:, y, x])


def test_objects_stand_where_others_stood_but_stay_in_the_picture() -> None:
    content = (0, 0, 100, 100)
    assert way_to((10.0, 10.0, 20.0, 30.0), (40.0, 50.0, 60.0, 80.0), content) == (35, 50)
    assert way_to((10.0, 10.0, 50.0, 30.0), (90.0, 50.0, 99.0, 99.0), content) == (50, 69)
    assert way_to((0.0, 0.0, 100.0, 100.0), (90.0, 50.0, 99.0, 99.0), content) == (0, 0), "it fills the picture"


def test_holes_are_filled_from_what_surrounds_them() -> None:
    image, hole = a_picture(), a_mask()
    found = filled(image, hole)
    assert torch.equal(found[:, ~hole], image[:, ~hole])
    assert torch.allclose(filled(torch.full((3, 24, 24), 0.25), hole), torch.full((3, 24, 24), 0.25))
    altered = torch.where(hole, 1 - image, image)
    assert torch.equal(filled(altered, hole), found), "what lay in the hole shows nowhere"


def test_filling_restated() -> None:
    image, hole = a_picture(4), torch.zeros(4, 4, dtype=torch.bool)
    hole[0:2, 0:2] = True  # one cell of the first coarser picture knows nothing
    known = ~hole
    cells = torch.zeros(3, 2, 2)
    for y in range(2):
        for x in range(2):
            part, own = image[:, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2], known[2 * y : 2 * y + 2, 2 * x : 2 * x + 2]
            cells[:, y, x] = part[:, own].mean(dim=1) if own.any() else torch.nan
    cells[:, 0, 0] = (cells[:, 0, 1] + cells[:, 1, 0] + cells[:, 1, 1]) / 3
    above = torch.nn.functional.interpolate(cells[None], size=(4, 4), mode="bilinear", align_corners=False)[0]
    assert torch.allclose(filled(image, hole), torch.where(hole, above, image), atol=1e-6)


def test_a_picture_that_is_all_hole_stays() -> None:
    assert torch.equal(filled(a_picture(), torch.ones(24, 24, dtype=torch.bool)), a_picture())


def test_synthetic_grounds() -> None:
    grounds = synthetic_grounds((20, 30), NUM_SYNTHETIC, seed=3)
    assert grounds.shape == (15, 3, 20, 30)
    assert 0 <= float(grounds.min()) <= float(grounds.max()) <= 1
    assert len({tuple(ground.flatten().tolist()) for ground in grounds}) == 15
    assert torch.equal(synthetic_grounds((20, 30), 4, seed=3), grounds[:4])
    colour, gradient, noise = grounds[:3]
    assert bool((colour == colour[:, :1, :1]).all())
    assert bool((gradient == gradient[:, :, :1]).all())
    assert not torch.equal(gradient[:, 0], gradient[:, -1])
    assert not torch.equal(noise, synthetic_grounds((20, 30), 3, seed=4)[2])
