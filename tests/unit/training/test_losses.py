import math

import pytest
import torch

from lcrp.training.losses import detection_losses, segmentation_losses
from lcrp.training.pictures import Truth
from lcrp.values.prediction import DetectorOutput


def output(class_logit, objectness_logit, boxes):
    rows = boxes.shape[1]
    class_logits = torch.full((1, rows, 2), -20.0)
    class_logits[0, 0, 1] = class_logit
    objectness = torch.full((1, rows), -20.0)
    objectness[0, 0] = objectness_logit
    return DetectorOutput(boxes=boxes, class_logits=class_logits, objectness_logits=objectness)


@pytest.fixture
def scene():
    """One object of class 1, one row on it and one row far away."""
    boxes = torch.tensor([[[0.0, 0, 16, 16], [40.0, 40, 56, 56]]])
    centres = torch.tensor([[8.0, 8], [48, 48]])
    truth = Truth(boxes=boxes[:, :1], labels=torch.tensor([[1]]), class_mask=None)
    return boxes, centres, truth


def total(losses):
    return float(sum(loss.detach() for loss in losses.values()))


def test_a_perfect_detector_loses_nothing(scene):
    boxes, cells, truth = scene
    assert total(detection_losses(output(20, 20, boxes), cells, truth)) < 1e-5


def test_each_fault_raises_its_own_loss(scene):
    boxes, cells, truth = scene
    assert detection_losses(output(0, 20, boxes), cells, truth)["class"] == pytest.approx(math.log(2), abs=1e-4)
    assert detection_losses(output(20, 0, boxes), cells, truth)["objectness"] == pytest.approx(math.log(2), abs=1e-4)
    shifted = boxes + torch.tensor([8.0, 0, 8, 0])
    assert detection_losses(output(20, 20, shifted), cells, truth)["box"] > 1


def test_classes_are_trained_on_the_background_too(scene):
    boxes, cells, truth = scene
    faulty = output(20, 20, boxes)
    faulty.class_logits[0, 1, 0] = 0.0
    faulty.class_logits.requires_grad_()
    loss = detection_losses(faulty, cells, truth)["class"]
    assert loss.detach() == pytest.approx(math.log(2), abs=1e-4)
    loss.backward()
    assert faulty.class_logits.grad[0, 1, 0] == pytest.approx(0.5)


def test_pictures_without_objects_have_a_finite_loss_and_gradient(scene):
    boxes, cells, _ = scene
    empty = Truth(boxes=torch.zeros(1, 1, 4), labels=torch.tensor([[-1]]), class_mask=None)
    prediction = output(0.0, 0.0, boxes.clone())
    leaves = (prediction.boxes, prediction.class_logits, prediction.objectness_logits)
    for leaf in leaves:
        leaf.requires_grad_()
    losses = detection_losses(prediction, cells, empty)
    assert losses["box"].detach() == 0
    assert total(losses) == pytest.approx(2 * math.log(2), abs=1e-4)
    sum(losses.values()).backward()
    of_boxes, of_classes, of_objectness = (leaf.grad for leaf in leaves)
    assert of_boxes.tolist() == torch.zeros_like(boxes).tolist()  # no box has an object to move to
    assert of_classes.flatten().tolist() == pytest.approx([0, 0.5, 0, 0], abs=1e-6)
    assert of_objectness.flatten().tolist() == pytest.approx([0.5, 0], abs=1e-6)


def test_a_softmax_with_background_is_trained_on_all_rows(scene):
    boxes, cells, truth = scene
    logits = torch.tensor([[[-20.0, -20, 20], [0.0, 0, -20]]], requires_grad=True)  # the far row wavers
    output = DetectorOutput(boxes=boxes, class_logits=logits, objectness_logits=None, has_background=True)
    losses = detection_losses(output, cells, truth)
    assert losses["class"].detach() == pytest.approx(math.log(2), abs=1e-4)
    assert set(losses) == {"class", "box"}
    losses["class"].backward()
    assert logits.grad[0, 1].tolist() == pytest.approx([-0.5, 0.5, 0], abs=1e-6)


def mask_truth(mask):
    return Truth(boxes=torch.zeros(1, 0, 4), labels=torch.zeros(1, 0).long(), class_mask=mask)


def test_a_perfect_segmenter_loses_nothing_and_void_does_not_count():
    mask = torch.tensor([[[0, 1, 2], [2, 1, 255]]], dtype=torch.uint8)
    logits = torch.nn.functional.one_hot(mask.long().clamp(max=2), 4).permute(0, 3, 1, 2) * 40.0
    assert total(segmentation_losses(logits, mask_truth(mask))) < 1e-5
    altered = logits.clone()
    altered[0, :, 1, 2] = torch.tensor([0.0, 9, 0, 0])
    assert total(segmentation_losses(altered, mask_truth(mask))) == total(segmentation_losses(logits, mask_truth(mask)))
    altered[0, :, 0, 0] = torch.tensor([0.0, 40, 0, 0])
    worse = segmentation_losses(altered, mask_truth(mask))
    assert worse["pixel"] == pytest.approx(8, abs=1e-3)
    assert worse["dice"] == pytest.approx(1 - (0 + 4 / 5 + 1) / 3, abs=1e-4)
