"""How far out a side of a box lies, of detectors that put out its distance as it is, or as logits of bins."""

import json
from dataclasses import replace
from math import isnan

import pytest
import torch

import lcrp
from lcrp.attribution.detection import DetectionTask
from lcrp.attribution.engine import Attributor
from lcrp.attribution.kept import KeptDetectionTask
from lcrp.attribution.sides import SIDES, side_sizes
from lcrp.composites.composites import epsilon_flat, epsilon_gamma_flat
from lcrp.composites.spec import CompositeSpec
from lcrp.data.scenes import draw, plan
from lcrp.decisions.thresholds import Thresholds
from lcrp.errors import ConfigError, TargetError
from lcrp.models.yolo.family import yolo
from lcrp.storage.explanation import read_explanation
from lcrp.values.geometry import Geometry
from lcrp.values.prediction import DistanceBins
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


def explained_side(attributor, task, image):
    trace = attributor.forward(image)
    (prediction,) = task.predictions(trace.output)
    geometry = Geometry.identity(tuple(image.shape[-2:]))
    sample = Sample(index=0, key="x", image=image[0].float(), annotation=None, geometry=geometry)
    return trace, task.predicted_targets(prediction, sample)[0][0]


def boat():
    return torch.from_numpy(draw(plan("val", 34)).image).permute(2, 0, 1)[None].double() / 255


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_side_of_bins_takes_the_share_that_it_moves_by(side, dtype):
    """Relevance of a bin's logit is l dd/dl / d, of the expectation that the box is drawn from; nothing goes astray."""
    explainer = lcrp.load("embedded:yolo_scenes")
    task = DetectionTask(explainer.class_names, read=side)
    explainer = replace(explainer, network=explainer.network.to(dtype), task=task, composite=GAMMA)
    tolerance = 1e-6 if dtype == torch.float64 else 1e-3
    with explainer.attributor([]) as attributor:
        trace, one = explained_side(attributor, task, boat().to(dtype))
        logits, seed = task.seed(trace.output, [one])
        (ledger,) = trace.explain([one]).ledgers
        found = float(task.logits(trace.output, [one], torch.ones(1, 256, 256).bool()))
    bins, number = logits.detach()[0, one.row, SIDES.index(side)].requires_grad_(), SIDES.index(side)
    distance = (bins.softmax(dim=0) * torch.arange(16.0)).sum()
    (slope,) = torch.autograd.grad(distance, bins)
    bins, distance = bins.detach(), distance.detach()
    centre = explainer.network.cell_centres(256, 256)[one.row]
    stride = next(s for s in (8, 16, 32) if float(centre[0] / s) % 1 == 0.5)
    edge = float(centre[number % 2]) + (-1 if number < 2 else 1) * stride * float(distance)
    assert one.box[number] == pytest.approx(edge, abs=1e-3)
    assert found == pytest.approx(float(distance), rel=1e-5)
    assert {tuple(place) for place in seed.nonzero()[:, :3].tolist()} == {(0, one.row, number)}
    signed = torch.where(bins < 0, -1, 1) * seed[0, one.row, number]  # as a round puts them
    torch.testing.assert_close(signed, slope * bins / distance, rtol=1e-4, atol=1e-6)
    values = torch.arange(16)
    assert (seed[0, one.row, number][values > float(distance)] >= 0).all()
    assert (seed[0, one.row, number][values < float(distance)] <= 0).all()
    assert ledger.seed == pytest.approx(float(signed.double().sum()), abs=1e-6)
    assert ledger.missing_share <= tolerance


def test_what_is_removed_moves_a_side_as_its_relevance_says():
    """By the epsilon rule, channels of the layer before the bins: the side moves inwards by R d where R is positive."""
    explainer = lcrp.load("embedded:yolo_scenes")
    task = DetectionTask(explainer.class_names, read="right")
    spec = CompositeSpec(name="epsilon_flat", build=lambda network: epsilon_flat(network, epsilon=1e-12))
    explainer = replace(explainer, network=explainer.network.double(), task=task, composite=spec)
    heads = [name[: -len(".0.1")] for name, _ in explainer.network.named_modules() if name.endswith("cv2.0.1")]
    layers = [f"{heads[0]}.{level}.1" for level in range(3)]
    with explainer.attributor(layers) as attributor:
        trace, one = explained_side(attributor, task, boat())
        relevance = {name: maps[0].sum(dim=(1, 2)) for name, maps in trace.explain([one]).relevance.items()}
        distance = float(trace.output.sides.detach()[0, one.row, 2])
    layer = max(relevance, key=lambda name: float(relevance[name].abs().sum()))  # that of the row's level
    step, moves = 1e-5, []
    for channel in range(len(relevance[layer])):
        kept = torch.ones(len(relevance[layer]), 1, 1, dtype=torch.float64)
        kept[channel] = 1 - step
        hook = explainer.network.get_submodule(layer).register_forward_hook(lambda _m, _i, out, kept=kept: out * kept)
        with torch.no_grad():
            moves.append((distance - float(explainer.network(boat()).sides[0, one.row, 2])) / step)
        hook.remove()
    expected = relevance[layer] * distance
    torch.testing.assert_close(torch.tensor(moves, dtype=torch.float64), expected, rtol=1e-3, atol=1e-5)
    assert (expected > 0.01).any()
    assert (expected < -0.01).any()


def test_sides_need_rules_that_look_at_signs_and_bins_in_doubt():
    with pytest.raises(ConfigError, match=r"differences of logits \(two classes, bins of a side\)"):
        lcrp.explain("embedded:yolo_scenes", draw(plan("val", 34)).image, read="left", composite="epsilon_plus_flat")
    logits = torch.zeros(1, 1, 4, 16)
    logits[..., 7] = 1e4
    with pytest.raises(TargetError, match="the network has no doubt of its bin"):
        side_sizes(DistanceBins(logits=logits, values=torch.arange(16.0)), (0, 0, 1))


def test_a_linearised_side_claims_no_share_of_a_whole(tmp_path):
    """What passes through a layer is no part of a side, and files say why."""
    (found, *_) = lcrp.explain("embedded:yolo_scenes", draw(plan("val", 34)).image, read="left", n_concepts=4)
    assert found.value.explained.is_linearised
    assert isnan(found.layer_share)
    assert {concept.share > 0 for concept in found.concepts} == {True, False}
    assert "softmax over the side's distances is held constant" in str(found)
    for name in ("one.h5", "one.json"):
        found.save(tmp_path / name)
    assert read_explanation(tmp_path / "one.h5").explained == found.value.explained
    assert json.loads((tmp_path / "one.json").read_text())["is_linearised"]
    assert not lcrp.explain("embedded:yolo_scenes", draw(plan("val", 34)).image)[0].value.explained.is_linearised


@pytest.mark.parametrize("name", ["yolov5", "yolov6", "ssd"])
def test_boxes_without_sides_are_refused(name):
    with pytest.raises(ConfigError, match="puts out no sides of boxes, as do YOLOv8, YOLO11 and YOLO26"):
        lcrp.explain(f"embedded:{name}_scenes", draw(plan("val", 34)).image, read="left")


def test_what_says_nothing_is_refused():
    with pytest.raises(ConfigError, match=r"read=left says nothing to detection by a .* \(YOLOv8, YOLO11 and YOLO26"):
        Thresholds(read="left").of(KeptDetectionTask(NAMES))
    with pytest.raises(ConfigError, match="instead contrasts classes, and read=left is none"):
        DetectionTask(NAMES, read="left", instead="kite")
