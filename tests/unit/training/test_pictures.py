import pytest
import torch

from lcrp.training.pictures import Pictures, Truth, augmented_batch, flipped, jittered, resized


def example(side=8):
    """A picture with one object whose pixels, box and mask agree."""
    mask = torch.zeros(1, side, side, dtype=torch.uint8)
    mask[0, side // 4 : side // 2, : side // 4] = 3
    images = (mask == 3)[:, None].expand(1, 3, side, side).float()
    boxes = torch.tensor([[[0.0, side / 4, side / 4, side / 2], [0, 0, 0, 0]]])
    return images, Truth(boxes=boxes, labels=torch.tensor([[2, -1]]), class_mask=mask)


def extent(image):
    rows, columns = torch.nonzero(image > 0.5, as_tuple=True)
    return [columns.min().item(), rows.min().item(), columns.max().item() + 1, rows.max().item() + 1]


@pytest.mark.parametrize("mirrored", [True, False])
def test_pixels_boxes_and_masks_are_mirrored_together(mirrored):
    images, truth = flipped(*example(), torch.tensor([mirrored]))
    assert extent(images[0, 0]) == truth.boxes[0, 0].tolist() == ([6, 2, 8, 4] if mirrored else [0, 2, 2, 4])
    assert extent(truth.class_mask[0] == 3) == truth.boxes[0, 0].tolist()


@pytest.mark.parametrize("side", [32, 64, 128])
def test_pixels_boxes_and_masks_are_resized_together(side):
    images, truth = resized(*example(64), side)
    assert images.shape == (1, 3, side, side)
    assert extent(images[0, 0]) == truth.boxes[0, 0].tolist()
    assert extent(truth.class_mask[0] == 3) == truth.boxes[0, 0].tolist()
    assert set(truth.class_mask.unique().tolist()) == {0, 3}


def test_jitter_of_one_changes_nothing_and_keeps_the_range():
    images = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(jittered(images, torch.ones(3, 4, 1, 1, 1)), images, atol=1e-6)
    bright = jittered(images, torch.full((3, 4, 1, 1, 1), 1.5))
    assert bright.max() <= 1
    assert bright.min() >= 0
    assert not torch.allclose(bright, images)


def test_batches_follow_from_the_generator():
    images, truth = example(64)
    pictures = Pictures(images=(images * 255).to(torch.uint8), truth=truth)
    rows = torch.zeros(6, dtype=torch.int64)
    first, second = (augmented_batch(pictures, rows, 32, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first[0], second[0])
    assert first[0].shape == (6, 3, 32, 32)
    assert len(first[1].boxes[:, 0, 0].unique()) == 2  # some are mirrored
