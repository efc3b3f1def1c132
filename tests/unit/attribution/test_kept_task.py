"""Detectors of torchvision, unmodified: their own decisions, and the way back from these to a logit."""

import pytest
import torch
from torch import nn
from torchvisions import NUM_CLASSES, SMALL, torchvision_network

from lcrp.attribution.concepts import only_concept
from lcrp.attribution.engine import Attributor
from lcrp.attribution.kept import KeptDetectionTask
from lcrp.composites.composites import epsilon_plus_flat, gradient
from lcrp.errors import ConfigError
from lcrp.models.library import LibraryNetwork
from lcrp.models.origin import Scored, rows_of
from lcrp.models.torchvision import detector_reader
from lcrp.values.geometry import Geometry
from lcrp.values.sample import Sample

SIDE = 96
NAMES = ("one", "two", "three", "four")
DETECTORS = [
    pytest.param("fasterrcnn_resnet50_fpn", SMALL),
    pytest.param("retinanet_resnet50_fpn", SMALL),
    pytest.param("fcos_resnet50_fpn", SMALL, marks=pytest.mark.slow),
    pytest.param("ssdlite320_mobilenet_v3_large", {}, marks=pytest.mark.slow),
    pytest.param("ssd300_vgg16", {}, marks=pytest.mark.slow),
    pytest.param("fasterrcnn_resnet50_fpn_v2", SMALL | {"rpn_post_nms_top_n_test": 50}, marks=pytest.mark.slow),
    pytest.param("maskrcnn_resnet50_fpn", SMALL, marks=pytest.mark.slow),
    pytest.param("retinanet_resnet50_fpn_v2", SMALL, marks=pytest.mark.slow),
    pytest.param("fasterrcnn_mobilenet_v3_large_320_fpn", SMALL, marks=pytest.mark.slow),
]


def picture(dtype=torch.float64):
    return torch.rand(1, 3, SIDE, SIDE + 16, generator=torch.Generator().manual_seed(1), dtype=dtype)


def sample_of(image):
    geometry = Geometry.identity((image.shape[-2], image.shape[-1]))
    return Sample(index=0, key="x", image=image[0].float(), annotation=None, geometry=geometry)


def area(box):
    left, top, right, bottom = box
    return (right - left) * (bottom - top)


def only_concepts(relevance, concepts):
    kept = torch.zeros_like(relevance)
    kept[:, concepts] = relevance[:, concepts]
    return kept


def task(confidence=0.0):
    return KeptDetectionTask(NAMES, confidence=confidence, max_detections=300)


def attributor(library, composite=epsilon_plus_flat, layers=()):
    network = LibraryNetwork(library, detector_reader(library, NUM_CLASSES))
    return Attributor(network, composite, task(), layers=layers, mean=[0, 0, 0], std=[1, 1, 1])


@pytest.mark.parametrize(("name", "options"), DETECTORS)
@torch.no_grad()
def test_decisions_are_the_librarys_own_and_lead_to_their_logits(name, options):
    """Boxes, labels and scores as without lcrp; sigmoid or softmax of the found logit is the score; nothing is lost."""
    library = torchvision_network(name, **options).double()
    before = {key: value.clone() for key, value in library.state_dict().items()}
    image = picture()
    (plain,) = library(list(image))
    is_named = plain["labels"] > 0  # RetinaNet and FCOS have a column for the background, which random ones predict
    with attributor(library) as one:
        without = one.output(image)
        trace = one.forward(image)
        for output in (without, trace.output):  # without and with derivatives
            (kept,) = output.pictures
            torch.testing.assert_close(kept.boxes, plain["boxes"][is_named], rtol=1e-6, atol=1e-6)
            torch.testing.assert_close(kept.scores, plain["scores"][is_named], rtol=1e-6, atol=1e-9)
            assert torch.equal(kept.class_ids, plain["labels"][is_named] - 1)
            assert len(kept.scores) > 4
            logits = kept.logits[kept.rows]
            own = logits.sigmoid() if name.startswith(("retinanet", "fcos")) else logits.softmax(dim=1)
            score = own.gather(1, kept.class_ids[:, None] + 1)[:, 0]
            if name.startswith("fcos"):  # a geometric mean with the centreness
                assert (score >= kept.scores**2 - 1e-9).all()
            else:
                torch.testing.assert_close(score, kept.scores, rtol=1e-5, atol=1e-9)
            assert len({*zip(kept.rows.tolist(), kept.class_ids.tolist(), strict=True)}) == len(kept.rows)
        (prediction,) = one.task.predictions(trace.output)
        explained, _ = one.task.predicted_targets(prediction, sample_of(image))
        for chosen in (explained[0], explained[-1]):
            found = trace.explain([chosen])
            assert found.ledgers is not None
            assert abs(found.ledgers[0].seed) == 1
            assert found.ledgers[0].missing_share < 1e-6
            assert found.heatmap.any()
    assert all(torch.equal(value, before[key]) for key, value in library.state_dict().items())


@torch.no_grad()
def test_fcos_finds_the_class_and_not_the_centreness():
    """The other factor of its scores: their product is the square of the score."""
    library = torchvision_network("fcos_resnet50_fpn", **SMALL).double()
    seen = {}
    handle = library.head.register_forward_hook(lambda *given: seen.update(given[2]))
    with attributor(library, gradient) as one:
        (kept,) = one.forward(picture()).output.pictures
    handle.remove()
    row, column = kept.rows, kept.class_ids + 1
    product = seen["cls_logits"][0][row, column].sigmoid() * seen["bbox_ctrness"][0][row, 0].sigmoid()
    torch.testing.assert_close(product.sqrt(), kept.scores, rtol=1e-9, atol=0)
    assert len(row) > 4


@pytest.mark.parametrize("together", [64, pytest.param(1, marks=pytest.mark.slow)])
def test_concepts_of_a_shared_head_add_up_to_the_whole(together):
    """RetinaNet's classification head runs once per level of the pyramid."""
    layer = "head.classification_head.conv.3.0"
    library = torchvision_network("retinanet_resnet50_fpn", **SMALL).double()
    with attributor(library, layers=[layer]) as one:
        trace = one.forward(picture())
        (prediction,) = one.task.predictions(trace.output)
        explained, _ = one.task.predicted_targets(prediction, sample_of(picture()))
        found = trace.explain([explained[0]])
        relevance = found.relevance[layer]
        assert relevance.shape[:3] == (1, 256, 1)
        whole = trace.conditional(layer, relevance)
        groups = torch.arange(256).split(together)
        parts = sum(trace.conditional(layer, only_concepts(relevance, group)) for group in groups)
    torch.testing.assert_close(whole, found.heatmap, rtol=1e-6, atol=1e-12)
    torch.testing.assert_close(parts, whole, rtol=1e-6, atol=1e-12)


@torch.no_grad()
def test_a_decision_is_found_again_in_another_picture():
    """Rows of anchors stay; of proposals the box that overlaps most counts, in the same picture the very same row."""
    image = picture()
    for name in ("retinanet_resnet50_fpn", "fasterrcnn_resnet50_fpn"):
        with attributor(torchvision_network(name, **SMALL).double()) as one:
            output = one.output(torch.cat((image, image.flip(3), torch.zeros_like(image))))
            prediction, *_ = one.task.predictions(output)
            found, _ = one.task.predicted_targets(prediction, sample_of(image))
            explained = next(target for target in found if area(target.box) > 4)  # random ones may have none
            logits = one.task.logits(output, [explained] * 3, torch.ones(3, SIDE, SIDE + 16))
            (kept, flipped, _) = output.pictures
            column = explained.target.class_id + 1
            torch.testing.assert_close(logits[0], kept.logits[explained.row, column])
            assert logits.isfinite().all()
            assert len(set(logits.tolist())) == 3
            if name.startswith("retinanet"):
                assert logits[1] == flipped.logits[explained.row, column]
            readout = one.task.readout(
                output, torch.full((3,), explained.target.class_id), torch.tensor([explained.box] * 3), None
            )
            assert float(readout[0]) == pytest.approx(explained.score, abs=1e-6)


@torch.no_grad()
def test_class_confidences_hold_the_score_of_the_decision():
    image = picture()
    for name in ("fcos_resnet50_fpn", "fasterrcnn_resnet50_fpn"):
        with attributor(torchvision_network(name, **SMALL).double()) as one:
            (prediction,) = one.task.predictions(one.output(image))
            for explained in one.task.predicted_targets(prediction, sample_of(image))[0][:5]:
                confidences = one.task.class_confidences(prediction, explained)
                assert float(confidences[explained.target.class_id]) == pytest.approx(explained.confidence, rel=1e-5)
                assert len(confidences) == NUM_CLASSES


@torch.no_grad()
def test_items_are_the_boxes_of_a_label_by_score():
    with attributor(torchvision_network("fasterrcnn_resnet50_fpn", **SMALL).double()) as one:
        output = one.output(picture())
        (prediction,) = one.task.predictions(output)
        (kept,) = output.pictures
        for class_id in range(NUM_CLASSES):
            found = one.task.of_class(prediction, sample_of(picture()), class_id)
            scores = [target.score for target in found]
            assert scores == kept.scores[kept.class_ids == class_id].sort(descending=True).values.tolist()


def test_several_pictures_at_once_are_refused_where_regions_would_mix():
    library = torchvision_network("fasterrcnn_resnet50_fpn", **SMALL)
    with attributor(library) as one, pytest.raises(ConfigError, match="explained one picture at a time, not 2"):
        one.forward(torch.rand(2, 3, SIDE, SIDE))


def test_bfloat16_is_refused_as_its_nms_lacks_it():
    library = torchvision_network("retinanet_resnet50_fpn", **SMALL).bfloat16()
    with attributor(library) as one, pytest.raises(ConfigError, match="RetinaNet has no NMS in bfloat16"):
        one.output(picture())


def test_scores_that_come_from_no_logit_are_refused():
    probabilities = torch.rand(3, 4, requires_grad=True)
    noted = [Scored(logits=probabilities, probabilities=probabilities)]
    columns = torch.tensor([1, 2])
    assert rows_of(probabilities[[2, 0], [1, 2]], columns, noted).tolist() == [2, 0]
    for scores in (probabilities[[2, 0], [1, 3]], torch.rand(2), probabilities[:2].sum(dim=1)):
        with pytest.raises(ConfigError, match=r"the way back from . of 2 scores to a class logit was not found"):
            rows_of(scores, columns, noted)


def test_more_scores_than_are_numbered_at_once_find_their_rows_in_bfloat16():
    probabilities = torch.rand(300, 2).bfloat16().requires_grad_()
    order = torch.randperm(300)
    rows = rows_of(
        probabilities[order, 1], torch.ones(300, dtype=torch.int64), [Scored(logits=order, probabilities=probabilities)]
    )
    assert torch.equal(rows, order)


class Regions(nn.Module):
    """A layer that sees a varying number of regions of a picture."""

    def __init__(self, num_regions):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.head = nn.Conv2d(4, 2, 3, padding=1)
        self.num_regions = num_regions

    def forward(self, x):
        features = self.stem(x).relu()
        crops = [features[:, :, start : start + 4, :4] for start in range(self.num_regions)]
        crops.append(features[:0, :, :4, :4])
        return self.head(torch.cat(crops)).sum(dim=0, keepdim=True) + features[:, :2, :4, :4]


@pytest.mark.parametrize("num_regions", [0, 3])
def test_regions_of_a_picture_are_places(num_regions):
    network = Regions(num_regions).double()
    one = Attributor(network, epsilon_plus_flat, task(), layers=["head"], mean=[0] * 3, std=[1] * 3)
    with one:
        trace = one.forward(torch.rand(1, 3, 8, 8))
        found = trace.attribute(trace.output, torch.rand_like(trace.output))
        relevance = found.relevance["head"]
        assert relevance.shape == (1, 2, max(1, num_regions), 16 if num_regions else 1)
        whole = trace.conditional("head", relevance)
        parts = sum(trace.conditional("head", only_concept(relevance, torch.tensor([c]))) for c in range(2))
    torch.testing.assert_close(parts, whole, rtol=1e-9, atol=1e-14)
    assert bool(relevance.any()) == (num_regions > 0)
