"""Why this class and not that one: maps of two logits' difference, on every kind of network."""

from dataclasses import replace

import pytest
import torch
from torchvisions import NUM_CLASSES, SMALL, torchvision_network
from transformers_small import DETECTORS, NAMES, picture, small

import lcrp
from lcrp.attribution.contrast import contrast, other_class
from lcrp.attribution.detection import DetectionTask
from lcrp.attribution.engine import Attributor
from lcrp.attribution.kept import KeptDetectionTask
from lcrp.attribution.query_masks import QueryMaskTask
from lcrp.attribution.segmentation import SegmentationTask
from lcrp.composites.composites import epsilon_gamma_flat
from lcrp.composites.spec import CompositeSpec
from lcrp.data.scenes import draw, plan
from lcrp.decisions.thresholds import Thresholds
from lcrp.errors import ConfigError, TargetError
from lcrp.models.library import LibraryNetwork
from lcrp.models.torchvision import detector_reader
from lcrp.models.transformers_readers import library_network
from lcrp.values.geometry import Geometry
from lcrp.values.sample import Sample

EMBEDDED = ("yolov5", "yolov6", "yolo", "ssd", "unet", "deeplabv3plus")
GAMMA = CompositeSpec(name="epsilon_gamma_flat", build=epsilon_gamma_flat)


def sample_of(image):
    geometry = Geometry.identity((image.shape[-2], image.shape[-1]))
    return Sample(index=0, key="x", image=image[0].float(), annotation=None, geometry=geometry)


def boat():
    return torch.from_numpy(draw(plan("val", 34)).image).permute(2, 0, 1)[None].double() / 255


def explainer_in_float64(name):
    explainer = lcrp.load(f"embedded:{name}_scenes")
    return replace(explainer, network=explainer.network.double(), composite=GAMMA)


def both(attributor, task, image, other):
    """The first decision that is not for the other class, its map, its class's, the other class's, and the logits."""
    contrasting = type(task)(task.class_names, **_settings(task), instead=other)
    with attributor.reading_by(contrasting):
        trace = attributor.forward(image)
        (prediction,) = contrasting.predictions(trace.output)
        found, _ = contrasting.predicted_targets(prediction, sample_of(image))
        one = next(target for target in found if target.target.class_id not in (other, *_background(task)))
        contrasted = trace.explain([one])
        logits = contrasting.seed(trace.output, [one])
    return one, contrasted, logits


def _settings(task):
    return {name: value for name, value in task.identity().items() if name not in ("name", "signed")}


def _background(task):
    return [number for number in range(len(task.class_names)) if task.is_background(number)]


@pytest.mark.parametrize("name", EMBEDDED)
def test_maps_account_for_the_difference_of_two_logits(name):
    """z_t of the one's map less z_o of the other's, by the difference; what is in no map biases and stabiliser took."""
    explainer, image = explainer_in_float64(name), boat()
    other = explainer.class_names.index("horse")
    task = explainer.task
    with explainer.attributor([explainer.layer]) as attributor:
        one, contrasted, (logits, seed) = both(attributor, task, image, other)
        (ledger,) = contrasted.ledgers
        assert abs(ledger.missing) <= 1e-6 * max(abs(ledger.seed), ledger.largest)
        places = seed.nonzero(as_tuple=False)
        own = seed > 0
        assert (seed < 0).sum() == own.sum() > 0
        assert one.instead == "horse"
        difference = float(logits.detach()[own].sum() - logits.detach()[seed < 0].sum())
        torch.testing.assert_close(seed[own] * abs(difference), logits.detach()[own].abs(), rtol=1e-9, atol=1e-12)
        heatmap = contrasted.heatmap.clone()
        parts = []
        for part in (own, seed < 0):  # the one round is the sum of two
            trace = attributor.forward(image)
            output = task.seeded(trace.output)
            alone = torch.where(part, seed, 0)
            sign = torch.where(output.detach() < 0, -1.0, 1.0)
            parts.append(trace.attribute(output, alone * sign).heatmap)
    torch.testing.assert_close(heatmap, parts[0] + parts[1], rtol=1e-7, atol=1e-9)
    assert len(places) >= 2
    assert ledger.seed == pytest.approx(1.0 if difference > 0 else -1.0, abs=1e-9)


@pytest.mark.parametrize("name", ["yolov5", "unet"])
def test_rules_that_look_at_no_sign_are_refused(name):
    """z+ at the output would take a strongly negative logit of the other class for evidence of it."""
    with pytest.raises(ConfigError, match="rules that look at their signs") as refused:
        lcrp.explain(f"embedded:{name}_scenes", draw(plan("val", 34)).image, instead="horse")
    assert "composite=epsilon_gamma_flat" in refused.value.mend


def test_differences_are_consistent_over_classes():
    """(z_a - z_b) + (z_b - z_c) = z_a - z_c, of maps times the differences, at one row."""
    explainer, image = explainer_in_float64("yolo"), boat()
    names = explainer.class_names
    maps = {}
    with explainer.attributor([]) as attributor:
        for own, other in (("boat", "horse"), ("horse", "kite"), ("boat", "kite")):
            task = DetectionTask(names, **_settings(explainer.task), instead=other)
            with attributor.reading_by(task):
                trace = attributor.forward(image)
                (prediction,) = task.predictions(trace.output)
                found = task.find(prediction, sample_of(image), names.index("boat"))
                asked = replace(found, target=replace(found.target, class_id=names.index(own)))
                logits = trace.output.class_logits.detach()[0, found.row]
                size = abs(float(logits[names.index(own)] - logits[names.index(other)]))
                maps[own, other] = trace.explain([asked]).heatmap * size
    torch.testing.assert_close(
        maps["boat", "horse"] + maps["horse", "kite"], maps["boat", "kite"], rtol=1e-7, atol=1e-9
    )
    assert maps["boat", "kite"].abs().max() > 1e-3


def test_in_float32_a_thousandth_is_missing_at_most():
    explainer = lcrp.load("embedded:yolo_scenes")
    for found in lcrp.explain(explainer, draw(plan("val", 34)).image, instead="horse"):
        assert found.class_name != "horse"
        assert abs(found.ledger.seed) == pytest.approx(1)
        assert found.ledger.missing_share <= 1e-3


@pytest.mark.parametrize("name", ["fasterrcnn_resnet50_fpn", "retinanet_resnet50_fpn"])
def test_detectors_of_torchvision(name):
    library = torchvision_network(name, **SMALL).double()
    names = [str(number) for number in range(NUM_CLASSES)]
    network = LibraryNetwork(library, detector_reader(library, NUM_CLASSES))
    image = torch.rand(1, 3, 96, 112, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    task = KeptDetectionTask(names, confidence=0.0)
    with Attributor(network, GAMMA, task, layers=(), mean=[0, 0, 0], std=[1, 1, 1]) as attributor:
        one, contrasted, (_, seed) = both(attributor, task, image, 1)
    assert seed.count_nonzero() == 2
    places = seed.nonzero(as_tuple=False)
    assert places[0][1] == places[1][1]  # of one row
    assert one.instead == "1"
    assert abs(contrasted.ledgers[0].missing_share) < 1e-6


@pytest.mark.parametrize("architecture", DETECTORS)
def test_detectors_of_transformers(architecture):
    network = library_network(small(architecture).double(), architecture)
    task = KeptDetectionTask(NAMES, confidence=0.1)
    with Attributor(network, GAMMA, task, layers=(), mean=[0.45] * 3, std=[1] * 3) as attributor:
        _, contrasted, (_, seed) = both(attributor, task, picture()[None].double(), 2)
    assert seed.count_nonzero() == 2
    assert abs(contrasted.ledgers[0].missing_share) < 1e-6


def test_other_class():
    assert other_class(None, ("a",)) is None
    assert other_class("b", ("a", "b")) == 1
    assert other_class(1, ("a", "b")) == 1
    assert other_class("b", ()) is None  # names come later
    for wrong, message in (("c", "class 'c' is not known"), (2, "class '2' is not known"), ("a", "knows 'a' alone")):
        with pytest.raises(TargetError, match=message):
            other_class(wrong, ("a",) if wrong == "a" else ("a", "b"))


def test_sizes_of_the_relevance():
    own, other = contrast(torch.tensor([3.0]), torch.tensor([-1.0]))
    assert (own.item(), other.item()) == (0.75, -0.25)
    with pytest.raises(TargetError, match="are the same there"):
        contrast(torch.tensor([2.0]), torch.tensor([2.0]))


def test_what_says_nothing_is_refused():
    names = ("boat", "kite")
    with pytest.raises(ConfigError, match="instead contrasts classes, and read=objectness is none"):
        Thresholds(read="objectness", instead="kite").of(DetectionTask(names))
    with pytest.raises(ConfigError, match="instead=kite says nothing to segmentation"):
        Thresholds(instead="kite").of(QueryMaskTask(names))
    assert Thresholds(instead="kite").of(SegmentationTask(names)).instead == 1
    with pytest.raises(TargetError, match="no 'horse' in picture"):
        lcrp.explain("embedded:yolo_scenes", draw(plan("val", 34)).image, class_name="horse", instead="boat")
    with pytest.raises(TargetError, match=r"every decision in .* is for 'boat' itself: name another class"):
        lcrp.explain("embedded:yolov6_scenes", draw(plan("val", 34)).image, instead="boat")
    with pytest.raises(ConfigError, match="instead=boat is the class that is explained"):
        lcrp.explain("embedded:yolo_scenes", draw(plan("val", 34)).image, class_name="boat", instead="boat")
    box = lcrp.explain("embedded:yolo_scenes", draw(plan("val", 34)).image)[0].box
    with pytest.raises(TargetError, match="the decision is for 'boat' itself"):
        lcrp.explain("embedded:yolo_scenes", draw(plan("val", 34)).image, box=box, instead="boat")
