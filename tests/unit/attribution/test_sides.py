"""How far out a side of a box lies, of detectors that put out its distance as it is."""

import pytest
import torch

import lcrp
from lcrp.attribution.detection import SIDES, DetectionTask
from lcrp.attribution.engine import Attributor
from lcrp.composites.composites import epsilon_gamma_flat
from lcrp.composites.spec import CompositeSpec
from lcrp.data.scenes import draw, plan
from lcrp.errors import ConfigError
from lcrp.models.yolo.family import yolo
from lcrp.values.geometry import Geometry
from lcrp.values.sample import Sample

NAMES = ("boat", "kite", "dog")
GAMMA = CompositeSpec(name="epsilon_gamma_flat", build=epsilon_gamma_flat)


@pytest.fixture(scope="module")
def network():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        built = yolo(num_classes=3, version="26", scale="n").double().eval()
        for parameter in built.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=1.2 * parameter[0].numel() ** -0.5)
    return built.requires_grad_(False)


@pytest.mark.parametrize("side", SIDES)
def test_all_of_a_side_is_accounted_for(network, side):
    """The map times the distance, with biases, is the distance; the box is drawn from that very number."""
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    task = DetectionTask(NAMES, confidence=0.0, read=side)
    sample = Sample(index=0, key="x", image=image[0].float(), annotation=None, geometry=Geometry.identity((64, 64)))
    with Attributor(network, GAMMA, task, layers=(), mean=[0] * 3, std=[1] * 3) as attributor:
        trace = attributor.forward(image)
        (prediction,) = task.predictions(trace.output)
        one = task.predicted_targets(prediction, sample)[0][0]
        logits, seed = task.seed(trace.output, [one])
        number = SIDES.index(side)
        assert seed.nonzero().tolist() == [[0, one.row, number]]
        distance = float(logits.detach()[0, one.row, number])
        (ledger,) = trace.explain([one]).ledgers
        assert one.read == side
        assert float(task.logits(trace.output, [one], torch.ones(1, 64, 64).bool())) == distance
        centre = network.cell_centres(64, 64)[one.row]
        boxes, sides = trace.output.boxes.detach()[0, one.row], trace.output.sides.detach()[0, one.row]
        stride = float((boxes[2] - centre[0]) / sides[2])
        outwards = -1 if number < 2 else 1
        assert one.box[number] == pytest.approx(float(centre[number % 2]) + outwards * stride * distance)
    assert ledger.seed == (1 if distance > 0 else -1)
    assert ledger.missing_share < 1e-9


def test_sides_that_are_made_of_bins_are_refused():
    with pytest.raises(ConfigError, match="read 'left' cannot be explained: no single output of this detector"):
        lcrp.explain("embedded:yolo_scenes", draw(plan("val", 34)).image, read="left")
    with pytest.raises(ConfigError, match="instead contrasts classes, and read=left is none"):
        DetectionTask(NAMES, read="left", instead="kite")
