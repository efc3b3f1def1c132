"""Candidates before the selection: what survives is what is detected, and what removed the others did remove them."""

import numpy as np
import pytest
import torch
from torch.nn.functional import sigmoid
from torchvision.ops import box_iou
from torchvisions import NUM_CLASSES, SMALL, torchvision_network
from transformers_small import DETECTORS, NAMES, picture, small

import lcrp
from lcrp.attribution.detection import DetectionTask
from lcrp.attribution.engine import Attributor
from lcrp.attribution.kept import KeptDetectionTask
from lcrp.composites.composites import gradient
from lcrp.data.scenes import ScenesDataset
from lcrp.decisions.misses import candidates_in
from lcrp.models.library import LibraryNetwork, opened
from lcrp.models.torchvision import detector_reader
from lcrp.models.transformers_readers import library_network
from lcrp.values.candidates import Fate
from lcrp.values.prediction import DetectorOutput

CLASSES = ("boat", "kite", "dog")
EMBEDDED = ("yolov5", "yolov6", "yolo", "ssd")
TORCHVISION = [
    pytest.param("fasterrcnn_resnet50_fpn", SMALL),
    pytest.param("retinanet_resnet50_fpn", SMALL),
    pytest.param("fcos_resnet50_fpn", SMALL, marks=pytest.mark.slow),
    pytest.param("ssdlite320_mobilenet_v3_large", {}, marks=pytest.mark.slow),
]


def crowd(*, is_one_to_one=False):
    """300 boxes on a few places, of all confidences."""
    generator = torch.Generator().manual_seed(3)
    corners = torch.rand(300, 2, generator=generator) * 60
    boxes = torch.cat([corners, corners + 20 + 10 * torch.rand(300, 2, generator=generator)], dim=1)
    return DetectorOutput(
        boxes=boxes[None].double(),
        class_logits=torch.randn(1, 300, 3, generator=generator).double() * 2,
        objectness_logits=None if is_one_to_one else torch.randn(1, 300, generator=generator).double() * 2,
        is_one_to_one=is_one_to_one,
    )


def assert_kept_is_predicted(found, prediction):
    """Bit for bit, and in the same order."""
    kept = found.is_kept
    for own, other in (
        (found.rows, prediction.rows),
        (found.boxes, prediction.boxes.double()),
        (found.scores, prediction.confidence.double()),
        (found.class_ids, prediction.labels),
    ):
        np.testing.assert_array_equal(own[kept], other.numpy())


@pytest.mark.parametrize("is_one_to_one", [False, True])
@pytest.mark.parametrize("limit", [3, 25])
def test_fates_are_those_of_a_slow_selection(is_one_to_one, limit):
    """Box by box: thresholds first, then the most confident of a class drops those that overlap it."""
    output, iou = crowd(is_one_to_one=is_one_to_one), 0.45
    task = DetectionTask(CLASSES, iou=iou, max_detections=limit)
    (found,) = task.candidates(output, least=0.1)
    assert_kept_is_predicted(found, task.predictions(output)[0])
    probability, label = sigmoid(output.class_logits[0]).max(dim=1)
    objectness = torch.ones(300).double() if is_one_to_one else sigmoid(output.objectness_logits[0])
    score = (probability * objectness).numpy()
    overlap = box_iou(output.boxes[0], output.boxes[0]).numpy()
    expected, dropped_by, survivors = {}, {}, []
    for row in np.argsort(-score, kind="stable"):
        if score[row] <= 0.25 or objectness[row] <= 0.25:
            if score[row] > 0.1:
                expected[row] = Fate.BELOW_THRESHOLD
            continue
        near = [one for one in survivors if label[one] == label[row] and overlap[one, row] > iou]
        if near and not is_one_to_one:
            expected[row], dropped_by[row] = Fate.NMS, near[0]
        else:
            survivors.append(row)
            expected[row] = Fate.KEPT if len(survivors) <= limit else Fate.MAX_DETECTIONS
    assert dict(zip(found.rows.tolist(), found.fates.tolist(), strict=True)) == expected
    assert found.rows.tolist() == list(expected)  # by descending score
    told = {
        int(found.rows[place]): int(found.rows[other]) for place, other in enumerate(found.neighbours) if other >= 0
    }
    assert told == dropped_by
    assert bool(told) != is_one_to_one


def test_a_kept_box_is_a_candidate_whatever_its_score():
    (found,) = DetectionTask(CLASSES, confidence=0.05).candidates(crowd(), least=0.9)
    assert found.is_kept.sum() == 25
    assert found.scores.min() < 0.9


def test_too_many_before_the_nms(monkeypatch):
    monkeypatch.setattr("lcrp.attribution.nms.MAX_CANDIDATES", 10)
    (found,) = DetectionTask(CLASSES).candidates(crowd(), least=0.1)
    fates = found.fates.tolist()
    assert fates.count(Fate.TOP_K) > 10
    assert {Fate.KEPT, Fate.NMS} & set(fates[:10])
    assert not {Fate.KEPT, Fate.NMS} & set(fates[10:])


@pytest.mark.parametrize("name", EMBEDDED)
def test_what_survives_is_what_is_detected(name):
    explainer = lcrp.load(f"embedded:{name}_scenes")
    dataset = ScenesDataset("val", transform=explainer.transform)
    fates = set()
    with explainer.reader() as attributor:
        for index in range(0, 60, 6):
            image = dataset[index].image[None]
            (found,) = candidates_in(attributor, image)
            assert_kept_is_predicted(found, explainer.task.predictions(attributor.output(image))[0])
            assert found.is_complete
            fates |= set(found.fates.tolist())
    assert {Fate.KEPT, Fate.BELOW_THRESHOLD, Fate.NMS} <= fates


@pytest.mark.parametrize(("name", "options"), TORCHVISION)
def test_candidates_of_torchvision(name, options):
    """The library's own selection, at thresholds that random weights reach: what it keeps, and what it does not."""
    library = torchvision_network(name, **options).double()
    selecting = getattr(library, "roi_heads", library)
    image = torch.rand(1, 3, 96, 112, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    names = [str(number) for number in range(NUM_CLASSES)]
    network = LibraryNetwork(library, detector_reader(library, NUM_CLASSES)).eval()
    with torch.no_grad(), opened(network, 0.0):
        scores = network(image[0][None]).pictures[0].scores.sort(descending=True).values[:1000]
    wanted = {"score_thresh": float(scores.quantile(0.6)), "nms_thresh": 0.3, "detections_per_img": 15}
    for key, value in wanted.items():
        setattr(selecting, key, value)
    task = KeptDetectionTask(names, confidence=float(scores.quantile(0.7)), max_detections=10)
    with Attributor(network, gradient, task, layers=(), mean=[0, 0, 0], std=[1, 1, 1]) as attributor:
        (found,) = candidates_in(attributor, image, least=float(scores.quantile(0.4)))
        output = attributor.output(image)
    assert {key: getattr(selecting, key) for key in wanted} == wanted
    assert_kept_is_predicted(found, task.predictions(output)[0])
    own = set(zip(output.pictures[0].rows.tolist(), output.pictures[0].class_ids.tolist(), strict=True))
    assert len(found) == int((scores > scores.quantile(0.4)).sum())
    fates = found.fates.tolist()
    assert {Fate.KEPT, Fate.BELOW_THRESHOLD, Fate.NMS} <= set(fates)
    overlap = box_iou(*[torch.from_numpy(found.boxes)] * 2).numpy()
    for place, fate in enumerate(fates):
        is_own = (int(found.rows[place]), int(found.class_ids[place])) in own
        above = found.scores[place] > max(task.confidence, selecting.score_thresh)
        assert (fate == Fate.KEPT) <= is_own
        assert (fate == Fate.BELOW_THRESHOLD) == (not above)
        other = int(found.neighbours[place])
        assert (other >= 0) == (fate == Fate.NMS)
        if fate == Fate.NMS:
            assert not is_own
            assert overlap[place, other] > 0.3
            assert found.class_ids[other] == found.class_ids[place]
            assert other < place
            stronger = (found.class_ids[:other] == found.class_ids[place]) & (overlap[:other, place] > 0.3)
            survived = np.isin(found.fates[:other], (Fate.KEPT, Fate.MAX_DETECTIONS))
            assert not (stronger & survived).any()  # the most confident one


@pytest.mark.parametrize("architecture", DETECTORS)
def test_candidates_of_transformers(architecture):
    """Every pair of query and class above the least score, or every query's best class."""
    network = library_network(small(architecture), architecture)
    task = KeptDetectionTask(NAMES, confidence=0.3, max_detections=4)
    with Attributor(network, gradient, task, layers=(), mean=[0.45] * 3, std=[1] * 3) as attributor:
        (found,) = candidates_in(attributor, picture()[None], least=0.1)
        (prediction,) = task.predictions(attributor.output(picture()[None]))
    assert_kept_is_predicted(found, prediction)
    assert network.reader.least is None
    strong = found.scores > 0.3
    assert set(found.fates[~strong].tolist()) <= {Fate.BELOW_THRESHOLD}
    assert Fate.BELOW_THRESHOLD not in found.fates[strong]
    assert (found.scores > 0.1).all()
    assert (found.neighbours == -1).all()


def test_a_network_that_nobody_can_open_tells_of_its_own_boxes():
    library = torchvision_network("retinanet_resnet50_fpn", **SMALL).double()
    network = LibraryNetwork(library, detector_reader(library, NUM_CLASSES)).eval()
    task = KeptDetectionTask([str(number) for number in range(NUM_CLASSES)], confidence=0.0, max_detections=5)
    with torch.no_grad():
        output = network(torch.rand(1, 3, 96, 96).double())
    (found,) = task.candidates(output, None, least=0.0)
    assert not found.is_complete
    assert len(found) == len(output.pictures[0].scores) > 5
    assert found.is_kept.sum() == 5
