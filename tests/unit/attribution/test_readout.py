"""Read-outs against slow literal restatements."""

from dataclasses import replace

import torch

from lcrp.attribution.readout import box_readout, mask_readout
from lcrp.values.prediction import DetectorOutput


def iou(a: list[float], b: list[float]) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def detector_output(objectness: bool) -> DetectorOutput:
    generator = torch.Generator().manual_seed(3)
    corner = torch.rand(2, 7, 2, generator=generator) * 20
    return DetectorOutput(
        boxes=torch.cat((corner, corner + 5 + 10 * torch.rand(2, 7, 2, generator=generator)), dim=2),
        class_logits=torch.randn(2, 7, 3, generator=generator),
        objectness_logits=torch.randn(2, 7, generator=generator) if objectness else None,
    )


def test_box_readout_is_the_best_product_of_overlap_and_probability() -> None:
    output = detector_output(objectness=True)
    boxes = torch.tensor([[5.0, 5.0, 20.0, 20.0], [0.0, 0.0, 9.0, 30.0]])
    found = box_readout(output, boxes, torch.tensor([2, 0]))
    assert output.objectness_logits is not None
    for image, class_id in ((0, 2), (1, 0)):
        expected = max(
            iou(output.boxes[image, row].tolist(), boxes[image].tolist())
            * float(
                output.class_logits[image, row, class_id].sigmoid() * output.objectness_logits[image, row].sigmoid()
            )
            for row in range(7)
        )
        assert expected > 0
        torch.testing.assert_close(float(found[image]), expected, rtol=1e-5, atol=1e-7)


def test_box_readout_of_a_detector_without_objectness_is_higher() -> None:
    with_objectness, without = detector_output(objectness=True), detector_output(objectness=False)
    box = torch.tensor([[5.0, 5.0, 20.0, 20.0]] * 2)
    class_ids = torch.tensor([1, 1])
    assert (box_readout(without, box, class_ids) > box_readout(with_objectness, box, class_ids)).all()


def test_box_readout_of_a_softmax_leaves_out_the_background() -> None:
    """Class t is column t + 1."""
    box = torch.tensor([[[0.0, 0.0, 10.0, 10.0]]])
    logits = torch.tensor([[[1.0, 3.0, 2.0]]])
    output = DetectorOutput(boxes=box, class_logits=logits, objectness_logits=None, has_background=True)
    for class_id in (0, 1):
        found = box_readout(output, box[0], torch.tensor([class_id]))
        torch.testing.assert_close(found, logits[0, 0].softmax(0)[class_id + 1 :][:1])


def test_mask_readout_is_the_mean_probability_in_the_mask() -> None:
    logits = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(5))
    masks = torch.zeros(2, 4, 5, dtype=torch.bool)
    masks[0, 1, 2:4] = True
    masks[1, :, 0] = True
    found = mask_readout(logits, masks, torch.tensor([0, 2]))
    for image, class_id in ((0, 0), (1, 2)):
        pixels = [tuple(place) for place in masks[image].nonzero().tolist()]
        expected = sum(float(logits[image, :, y, x].softmax(0)[class_id]) for y, x in pixels) / len(pixels)
        torch.testing.assert_close(float(found[image]), expected, rtol=1e-5, atol=1e-7)


def test_mask_readout_of_bfloat16_logits_is_as_fine_as_their_float32() -> None:
    logits = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)).bfloat16()
    masks = torch.ones(2, 4, 4, dtype=torch.bool)
    found = mask_readout(logits, masks, torch.tensor([0, 2]))
    assert torch.equal(found, mask_readout(logits.float(), masks, torch.tensor([0, 2])))


def test_box_readout_leaves_out_a_class_score_that_means_nothing() -> None:
    output = detector_output(objectness=True)
    one = replace(output, class_logits=output.class_logits[..., :1], is_class_trained=False)
    certain = replace(one, class_logits=torch.full_like(one.class_logits, 1e4), is_class_trained=True)
    box = torch.tensor([[5.0, 5.0, 20.0, 20.0]] * 2)
    assert torch.equal(box_readout(one, box, torch.tensor([0, 0])), box_readout(certain, box, torch.tensor([0, 0])))
