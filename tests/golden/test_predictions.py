"""Plain predictions against those of the forerunner's networks on photographs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn


@pytest.mark.parametrize("name", ["yolov5n", "yolov6n"])
def test_detector_output_is_the_forerunners(
    shared: Path, golden_network: Callable[[str], nn.Module], name: str
) -> None:
    """Sums of all columns, and every kept row; the goldens are float32, hence the tolerances."""
    golden = np.load(shared / "goldens" / f"{name}.npz")
    image = torch.from_numpy(golden["images_u8"][:1]).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        output = golden_network(name)(image)
    boxes, classes = output.boxes[0].double(), output.class_logits[0].double().sigmoid()
    centre, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    objectness = output.objectness_logits[0].double().sigmoid()[:, None]
    rows = torch.cat((centre, size, objectness, classes), dim=1)
    np.testing.assert_allclose(rows.sum(dim=0).numpy(), golden["raw_sum_0"], rtol=2e-5)
    step = len(rows) // len(golden["raw_0_f16"])
    np.testing.assert_allclose(rows[::step].numpy(), golden["raw_0_f16"].astype(np.float64), rtol=2e-3, atol=2e-3)
    for scores, box in zip(golden["scores_0"], golden["boxes_0"], strict=True):
        row = int((classes - torch.from_numpy(scores)).abs().amax(dim=1).argmin())
        np.testing.assert_allclose(classes[row].numpy(), scores, atol=2e-4)
        np.testing.assert_allclose(boxes[row].numpy(), box, atol=1e-2)


def test_unet_logits_are_the_forerunners(shared: Path, golden_network: Callable[[str], nn.Module]) -> None:
    golden = np.load(shared / "goldens" / "unet.npz")
    image = torch.from_numpy(golden["images_u8"][:1]).permute(0, 3, 1, 2).float() / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        logits = golden_network("unet")((image - mean[:, None, None]) / std[:, None, None])[0]
    np.testing.assert_allclose(logits.double().sum(dim=(1, 2)).numpy(), golden["logits_sum"][0], rtol=1e-4)
    assert (logits.argmax(dim=0).numpy() == golden["argmax"][0]).mean() > 0.9999
    np.testing.assert_allclose(logits[:, ::4, ::4].numpy(), golden["logits_f16"][0], rtol=1e-3, atol=5e-3)
