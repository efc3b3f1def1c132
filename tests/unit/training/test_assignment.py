import pytest
import torch
from torchvision.ops import box_iou

from lcrp.training.assignment import TOP_ROWS, assign, pairwise_iou


def grid_cells(side=64, stride=8):
    steps = torch.arange(side // stride) * stride + stride / 2
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    return torch.stack((x, y), dim=-1).reshape(-1, 2).float()


def boxes_around(centres, size):
    return torch.cat((centres - size / 2, centres + size / 2), dim=1)[None]


def test_pairwise_iou_is_torchvisions():
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.rand(2, n, 4, generator=generator) * 50 for n in (5, 7))
    for boxes in (first, second):
        boxes[..., 2:] += boxes[..., :2]
    expected = torch.stack([box_iou(a, b) for a, b in zip(first, second, strict=True)])
    assert torch.allclose(pairwise_iou(first, second), expected, atol=1e-6)


def test_the_best_aligned_rows_inside_the_object_answer_for_it():
    centres = grid_cells()
    truth = torch.tensor([[[8.0, 8, 56, 56]]])
    result = assign(boxes_around(centres, 40), torch.ones(1, 64, 2), centres, truth, torch.tensor([[1]]))
    assert result.foreground.sum() == TOP_ROWS
    chosen = centres[result.foreground[0]]
    assert ((chosen > 8) & (chosen < 56)).all()
    overlap = pairwise_iou(truth, boxes_around(centres, 40))[0, 0]
    assert overlap[result.foreground[0]].min() >= overlap[~result.foreground[0]].max()
    assert result.quality.max() == pytest.approx(float(overlap.max()))
    assert result.certainty.max() == 1
    assert (result.quality[~result.foreground] == 0).all()
    assert (result.certainty[~result.foreground] == 0).all()


def test_the_score_of_the_objects_own_class_decides_between_equal_boxes():
    centres = grid_cells()
    truth = torch.tensor([[[0.0, 0, 64, 64]]])
    scores = torch.full((1, 64, 2), 0.1)
    scores[0, 9, 1], scores[0, 18, 0] = 0.9, 0.9
    result = assign(truth.expand(1, 64, 4), scores, centres, truth, torch.tensor([[1]]))
    assert result.certainty[0, 9] == 1
    assert result.certainty[0, 18] < 0.2


def test_an_object_between_the_cells_gets_the_nearest():
    centres = grid_cells()
    truth = torch.tensor([[[13.0, 13, 15, 15]]])
    result = assign(boxes_around(centres, 8), torch.ones(1, 64, 1), centres, truth, torch.tensor([[0]]))
    assert centres[result.foreground[0]].tolist() == [[12, 12]]


def test_a_row_wanted_by_two_objects_takes_the_one_it_overlaps_most():
    centres = torch.tensor([[20.0, 20.0]])
    truth = torch.tensor([[[0.0, 0, 40, 40], [10.0, 10, 30, 30]]])
    result = assign(torch.tensor([[[11.0, 11, 30, 30]]]), torch.ones(1, 1, 1), centres, truth, torch.zeros(1, 2).long())
    assert result.object_index.tolist() == [[1]]


def test_padding_gets_no_rows():
    centres = grid_cells()
    truth = torch.zeros(1, 2, 4)
    result = assign(boxes_around(centres, 8), torch.ones(1, 64, 1), centres, truth, torch.tensor([[-1, -1]]))
    assert not result.foreground.any()
    assert result.quality.abs().sum() == 0
