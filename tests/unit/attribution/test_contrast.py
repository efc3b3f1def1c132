"""Why this class and not that one: maps of two logits' difference, on every kind of network."""

from dataclasses import replace

import pytest
import torch
from torchvisions import NUM_CLASSES, SMALL, torchvision_network
from transformers_small import DETECTORS, MASK2FORMER, NAMES, SEGFORMER, picture, small

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
from lcrp.models.yolo.family import yolo
from lcrp.values.geometry import Geometry
from lcrp.values.query_masks import QueryMasks
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


def check_differences(attributor, task, image, tolerance=1e-6):
    """(z_t - z_o) + (z_o - z_u) = z_t - z_u, of maps in units of logits; every ledger closes. The classes t, o, u."""
    with attributor.reading_by(task):
        trace = attributor.forward(image)
        (prediction,) = task.predictions(trace.output)
        found, _ = task.predicted_targets(prediction, sample_of(image))
    one = next(target for target in found if target.target.class_id not in _background(task))
    own, others = one.target.class_id, [k for k in range(len(task.class_names)) if k not in _background(task)]
    maps, summands = [], []
    for other in [k for k in others if k != own][:2]:
        contrasting = type(task)(task.class_names, **_settings(task), instead=other)
        with attributor.reading_by(contrasting):
            trace = attributor.forward(image)
            logits, seed = contrasting.seed(trace.output, [one])
            attribution = trace.explain([one])
        (ledger,) = attribution.ledgers
        assert abs(ledger.seed) == pytest.approx(1, abs=tolerance)
        assert ledger.missing_share <= tolerance
        weighed = _weights(task, trace.output, one, logits) * logits.detach()
        size = abs(float(weighed[seed > 0].sum() - weighed[seed < 0].sum()))
        maps.append(attribution.heatmap * size)
        summands.append(torch.where(seed < 0, weighed, 0.0))
    between = trace.attribute(logits, summands[0] - summands[1]).heatmap
    largest = float(maps[1].abs().max())
    assert largest > 0
    torch.testing.assert_close(maps[0] + between, maps[1], rtol=0, atol=tolerance * largest)
    return own, others


def _weights(task, output, one, logits):
    """How much of a decision every logit is: 1 of boxes and pixels, the shares of its queries of a region of these."""
    if not isinstance(task, QueryMaskTask):
        return torch.ones_like(logits.detach())
    _, shares = task.seed(output, [one])
    return shares[:, :, one.target.class_id, None].expand_as(logits)


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
        check_differences(attributor, task, image)
    torch.testing.assert_close(heatmap, parts[0] + parts[1], rtol=1e-7, atol=1e-9)
    assert len(places) >= 2
    assert ledger.seed == pytest.approx(1.0 if difference > 0 else -1.0, abs=1e-9)


@pytest.mark.parametrize("name", ["yolov5", "unet"])
def test_rules_that_look_at_no_sign_are_refused(name):
    """z+ at the output would take a strongly negative logit of the other class for evidence of it."""
    with pytest.raises(ConfigError, match="rules that look at their signs") as refused:
        lcrp.explain(f"embedded:{name}_scenes", draw(plan("val", 34)).image, instead="horse")
    assert "composite=epsilon_gamma_flat" in refused.value.mend


@pytest.mark.parametrize("name", EMBEDDED)
def test_in_float32_a_thousandth_is_missing_at_most(name):
    explainer = replace(lcrp.load(f"embedded:{name}_scenes"), composite=GAMMA)
    for found in lcrp.explain(explainer, draw(plan("val", 34)).image, instead="horse", n_concepts=1):
        assert found.class_name != "horse"
        assert abs(found.ledger.seed) == pytest.approx(1)
        assert found.ledger.missing_share <= 1e-3


@pytest.mark.parametrize("name", ["fasterrcnn_resnet50_fpn", "retinanet_resnet50_fpn", "fcos_resnet50_fpn"])
def test_detectors_of_torchvision(name):
    library = torchvision_network(name, **SMALL).double()
    names = [str(number) for number in range(NUM_CLASSES)]
    network = LibraryNetwork(library, detector_reader(library, NUM_CLASSES))
    image = torch.rand(1, 3, 96, 112, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    task = KeptDetectionTask(names, confidence=0.0)
    with Attributor(network, GAMMA, task, layers=(), mean=[0, 0, 0], std=[1, 1, 1]) as attributor:
        one, contrasted, (_, seed) = both(attributor, task, image, 1)
        check_differences(attributor, task, image)
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
        check_differences(attributor, task, picture()[None].double())
    assert seed.count_nonzero() == 2
    assert abs(contrasted.ledgers[0].missing_share) < 1e-6


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-6), (torch.float32, 1e-3)])
@pytest.mark.parametrize("architecture", [SEGFORMER, MASK2FORMER])
def test_segmenters_of_transformers(architecture, dtype, tolerance):
    network = library_network(small(architecture).to(dtype), architecture)
    task = (QueryMaskTask if architecture == MASK2FORMER else SegmentationTask)(NAMES)
    with Attributor(network, GAMMA, task, layers=(), mean=[0.45] * 3, std=[1] * 3) as attributor:
        check_differences(attributor, task, picture()[None].to(dtype), tolerance)


def test_a_region_of_queries_is_contrasted_by_their_own_probabilities():
    """sum_q w_q log(p_qt / p_qo) over the queries that own the region; of others nothing is asked."""
    generator = torch.Generator().manual_seed(4)
    output = QueryMasks(
        class_logits=torch.randn(1, 5, 4, generator=generator, dtype=torch.float64),
        mask_logits=3 * torch.randn(1, 5, 8, 8, generator=generator, dtype=torch.float64),
        size=(16, 16),
    )
    plain, task = QueryMaskTask(NAMES), QueryMaskTask(NAMES, instead="kite")
    (prediction,) = task.predictions(output)
    found = task.find(prediction, sample_of(torch.zeros(1, 3, 16, 16)), 0)
    assert found.instead == "kite"
    assert found.instead_confidence == pytest.approx(float(prediction.probabilities()[2][prediction.mask(0)].mean()))
    (_, shares), (logits, seed) = plain.seed(output, [found]), task.seed(output, [found])
    owned = output.owners(0, 0).unique()
    weights, log_odds = shares[0, :, 0], logits[0].log_softmax(dim=1)
    difference = sum(float(weights[q] * (log_odds[q, 0] - log_odds[q, 2])) for q in range(5))
    signed = torch.where(logits < 0, -seed, seed)  # as a round puts them
    assert float(signed.sum()) == pytest.approx(1.0 if difference > 0 else -1.0)
    torch.testing.assert_close(signed[0, :, 0] * abs(difference), weights * logits[0, :, 0])
    torch.testing.assert_close(signed[0, :, 2] * abs(difference), -weights * logits[0, :, 2])
    assert set(seed[0].abs().sum(dim=1).nonzero()[:, 0].tolist()) <= set(owned.tolist())
    assert not seed[0, :, [1, 3]].any()


def test_yolo26():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = yolo(num_classes=3, version="26", scale="n").double().eval().requires_grad_(False)
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    task = DetectionTask(NAMES, confidence=0.0)
    with Attributor(network, GAMMA, task, layers=(), mean=[0] * 3, std=[1] * 3) as attributor:
        check_differences(attributor, task, image)


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
    with pytest.raises(ConfigError, match="instead contrasts classes, and score=mask explains logits that are of none"):
        Thresholds(instead="kite").of(QueryMaskTask(names, score="mask"))
    assert Thresholds(instead="kite").of(QueryMaskTask(names)).instead == 1
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
