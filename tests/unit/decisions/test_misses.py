"""Why objects are missed: beside a slow restatement over raw outputs, and where a neighbour is in the way."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import lcrp
from lcrp.attribution.detection import DetectionTask
from lcrp.attribution.segmentation import SegmentationTask
from lcrp.data.scenes import ScenesDataset, beside_same_class, occluded_by, smaller
from lcrp.decisions.misses import Filter, candidates_in, judged
from lcrp.errors import ConfigError
from lcrp.evidence.matching import matching, overlaps
from lcrp.values.candidates import Fate
from lcrp.values.geometry import Geometry
from lcrp.values.missed import Alarm, Mechanism
from lcrp.values.prediction import DetectorOutput
from lcrp.values.sample import Annotation, Sample

DETECTORS = ("yolov5", "yolov6", "yolo", "ssd")
NAMES = ("boat", "kite", "dog")


def sample_of(boxes, labels):
    annotation = Annotation(boxes=torch.tensor(boxes).float().reshape(-1, 4), labels=torch.tensor(labels).long())
    geometry = Geometry.identity((64, 64))
    return Sample(index=7, key="val/7", image=torch.zeros(3, 64, 64), annotation=annotation, geometry=geometry)


def judged_rows(rows, objects, *, filtering=None, known=(True,) * 3, **thresholds):
    """One picture of rows (left, top, right, bottom, class, score) and objects (left, top, right, bottom, class)."""
    table = torch.tensor(rows, dtype=torch.float64).reshape(-1, 6)
    probability = torch.full((len(table), 3), 1e-6, dtype=torch.float64)
    probability[torch.arange(len(table)), table[:, 4].long()] = table[:, 5]
    output = DetectorOutput(boxes=table[None, :, :4], class_logits=probability.logit()[None], objectness_logits=None)
    (candidates,) = DetectionTask(NAMES, **thresholds).candidates(output, least=0.05)
    sample = sample_of([one[:4] for one in objects], [one[4] for one in objects])
    return judged(sample, candidates, filtering or Filter(), known)


BOAT = (10, 10, 30, 30, 0)
WELL, NEAR, OFF = (10, 10, 30, 30, 0), (12, 10, 32, 30, 0), (10, 10, 30, 18, 0)
CASES = {
    "below threshold": ([(*WELL, 0.2)], Mechanism.BELOW_THRESHOLD, Fate.BELOW_THRESHOLD),
    "too weak for a candidate": ([(*WELL, 0.04)], Mechanism.NO_CANDIDATE, None),
    "another class": ([(*WELL[:4], 1, 0.9)], Mechanism.OTHER_CLASS, Fate.KEPT),
    "below threshold before another class": ([(*WELL[:4], 1, 0.9), (*NEAR, 0.1)], Mechanism.BELOW_THRESHOLD, None),
    "another class before a box off": ([(*WELL[:4], 1, 0.1), (*OFF, 0.9)], Mechanism.OTHER_CLASS, Fate.BELOW_THRESHOLD),
    "box off": ([(*OFF, 0.9)], Mechanism.BOX_OFF, Fate.KEPT),
    "another class off": ([(*OFF[:4], 1, 0.9)], Mechanism.NO_CANDIDATE, None),
    "elsewhere": ([(40, 40, 60, 60, 0, 0.9)], Mechanism.NO_CANDIDATE, None),
    "nothing": ([], Mechanism.NO_CANDIDATE, None),
}


@pytest.mark.parametrize("name", CASES)
def test_mechanisms(name):
    rows, mechanism, fate = CASES[name]
    (miss,) = judged_rows(rows, [BOAT]).misses()
    assert miss.mechanism == mechanism
    assert (miss.key, miss.number, miss.class_id, miss.box) == ("val/7", 0, 0, (10, 10, 30, 30))
    assert fate is None or miss.candidate.fate == fate
    assert (miss.candidate is None) == (mechanism == Mechanism.NO_CANDIDATE)
    assert miss.neighbour is None


def test_the_best_of_several_candidates_tells():
    """Scores decide, and not overlaps: the lost one is more confident than the weak one that fits better."""
    rows = [(20, 10, 40, 30, 0, 0.9), (14, 10, 34, 30, 0, 0.8), (*WELL, 0.1)]
    found = judged_rows(rows, [BOAT, (22, 10, 42, 30, 0)])
    (miss,) = found.misses()
    assert (miss.number, miss.mechanism) == (0, Mechanism.NEIGHBOUR)
    assert (miss.candidate.score, miss.candidate.row, miss.candidate.fate) == (pytest.approx(0.8), 1, Fate.NMS)
    assert miss.candidate.overlap == pytest.approx(16 / 24)
    assert (miss.neighbour.row, miss.neighbour.fate) == (0, Fate.KEPT)
    assert miss.neighbour.overlap == pytest.approx(14 / 26)


def test_duplicates_of_a_neighbour_are_no_candidates():
    """The second box is one more of the right boat: that it is dropped does not explain why the left one is missed."""
    rows = [(14, 10, 34, 30, 0, 0.9), (14, 11, 34, 31, 0, 0.8)]
    (miss,) = judged_rows(rows, [BOAT, (14, 10, 34, 30, 0)]).misses()
    assert (miss.number, miss.mechanism, miss.candidate) == (0, Mechanism.NO_CANDIDATE, None)
    (miss,) = judged_rows([(14, 10, 34, 30, 1, 0.9)], [BOAT, (14, 10, 34, 30, 1)]).misses()  # nor of another class
    assert (miss.number, miss.mechanism) == (0, Mechanism.NO_CANDIDATE)


def test_too_many_detections():
    rows = [(40, 40, 60, 60, 0, 0.9), (*WELL, 0.8)]
    (miss,) = judged_rows(rows, [BOAT], max_detections=1).misses()
    assert (miss.mechanism, miss.candidate.fate, miss.neighbour) == (Mechanism.NEIGHBOUR, Fate.MAX_DETECTIONS, None)


@pytest.mark.parametrize("filtering", [Filter(class_ids=(1, 2)), Filter(min_area=401.0)])
def test_filtered(filtering):
    found = judged_rows([(*WELL, 0.8)], [BOAT], filtering=filtering)
    (miss,) = found.misses()
    assert (miss.mechanism, miss.candidate.fate) == (Mechanism.FILTERED, Fate.FILTERED)
    assert not list(found.false_alarms())
    assert not list(judged_rows([(*WELL, 0.8)], [BOAT], filtering=Filter(class_ids=(0,), min_area=400.0)).misses())


def test_false_alarms_tell_of_their_object():
    found = judged_rows([(*WELL, 0.9), (40, 40, 60, 60, 0, 0.8), (*OFF[:4], 1, 0.7)], [BOAT])
    first, second = found.false_alarms()
    assert (first.kind, first.object_class, first.overlap) == (Alarm.BACKGROUND, -1, 0)
    assert (second.kind, second.object_class, second.overlap) == (Alarm.BOTH, 0, pytest.approx(0.4))
    assert (second.row, second.class_id, second.score) == (2, 1, pytest.approx(0.7))


def test_detections_of_classes_that_the_data_does_not_annotate_are_no_false_alarms():
    found = judged_rows([(40, 40, 60, 60, 2, 0.8), (*WELL[:4], 2, 0.7)], [BOAT], known=(True, True, False))
    assert not list(found.false_alarms())
    (miss,) = found.misses()
    assert miss.mechanism == Mechanism.OTHER_CLASS


def test_boxes_are_the_photographs():
    """Halved and moved by a letterbox; what lies beside the picture is cut off."""
    found = judged_rows([(*WELL, 0.2)], [BOAT])
    (candidates,) = DetectionTask(NAMES).candidates(
        DetectorOutput(
            boxes=torch.tensor([[[0, 8, 30, 30.0]]]),
            class_logits=torch.tensor([[[-1.2, -9, -9]]]),
            objectness_logits=None,
        ),
        least=0.05,
    )
    geometry = Geometry(picture_size=(88, 128), input_size=(64, 64), scale=(0.5, 0.5), offset=(10.0, 0.0))
    sample = replace(sample_of([[0, 10, 30, 30]], [0]), geometry=geometry)
    (miss,) = judged(sample, candidates, Filter(), (True,) * 3).misses()
    assert miss.box == (0, 0, 60, 40)
    assert miss.candidate.box == (0, 0, 60, 40)
    assert miss.candidate.overlap == 1
    assert found.sample == 7


def test_segmenters_have_no_candidates():
    explainer = lcrp.load("embedded:unet_scenes")
    assert isinstance(explainer.task, SegmentationTask)
    with explainer.reader() as attributor, pytest.raises(ConfigError, match="decides about pixels"):
        candidates_in(attributor, torch.zeros(1, 3, 256, 256))


@pytest.mark.parametrize("name", DETECTORS)
def test_mechanisms_are_those_of_a_slow_restatement(name):
    """Every miss in pictures as they are, and with objects made smaller, hidden, or put beside one of their kind."""
    explainer = lcrp.load(f"embedded:{name}_scenes")
    dataset = ScenesDataset("val", transform=explainer.transform)
    told = []
    with explainer.reader() as attributor:
        for index in range(0, 36, 2):
            scene = dataset.scene(index)
            for one in (scene, smaller(scene, 0, 0.4), occluded_by(scene, 0, "car"), beside_same_class(scene, 0)):
                sample = dataset.sample(one)
                (candidates,) = candidates_in(attributor, sample.image[None])
                found = list(judged(sample, candidates, Filter(), (True,) * 6).misses())
                output = attributor.output(sample.image[None])
                assert [(miss.number, miss.mechanism.value) for miss in found] == slow_misses(explainer, output, sample)
                told += [miss.mechanism for miss in found]
    assert len(told) >= 15
    assert {Mechanism.BELOW_THRESHOLD, Mechanism.NEIGHBOUR, Mechanism.BOX_OFF, Mechanism.NO_CANDIDATE} <= set(told)


def slow_misses(explainer, output, sample):
    """Number and mechanism of every missed object, row by row of the raw output."""
    task, geometry = explainer.task, sample.geometry
    probabilities, objectness = output.class_probabilities()[0].double(), output.objectness()[0].double()
    product = output.objectness()[0] * output.class_probabilities()[0].max(dim=1).values
    rows = [row for row in np.argsort(-product.numpy(), kind="stable").tolist() if float(product[row]) > 0.05]
    raw = {row: output.boxes[0, row].double().tolist() for row in rows}
    box = {row: geometry.box_to_picture(raw[row]) for row in rows}
    label = {row: int(probabilities[row].argmax()) for row in rows}
    kept, why = [], {}
    for row in rows:
        if not (float(product[row]) > task.confidence and float(objectness[row]) > task.confidence):
            why[row] = "below threshold"
        elif any(label[one] == label[row] and slow_iou(raw[one], raw[row]) > task.iou for one in kept):
            why[row] = "lost to a neighbour"
        else:
            kept.append(row)
    for row in kept[task.max_detections :]:
        why[row] = "lost to a neighbour"
    objects = [geometry.box_to_picture(one) for one in sample.annotation.boxes.double().tolist()]
    labels, taken = sample.annotation.labels.tolist(), set()
    for row in kept[: task.max_detections]:
        free = [n for n in range(len(objects)) if n not in taken and labels[n] == label[row]]
        best = max(free, key=lambda n: slow_iou(box[row], objects[n]), default=None)
        if best is not None and slow_iou(box[row], objects[best]) >= 0.5:
            taken.add(best)

    def is_for(row, number, among):
        overlap = [slow_iou(box[row], objects[n]) if n in among else -1 for n in range(len(objects))]
        return int(np.argmax(overlap)) == number

    found = []
    for number in (n for n in range(len(objects)) if n not in taken):
        same = [n for n in range(len(objects)) if labels[n] == labels[number]]
        own = [row for row in rows if label[row] == labels[number] and is_for(row, number, same)]
        others = [row for row in rows if label[row] != labels[number] and is_for(row, number, range(len(objects)))]
        good = [row for row in own if slow_iou(box[row], objects[number]) >= 0.5]
        if good:
            mechanism = why[good[0]]
        elif any(slow_iou(box[row], objects[number]) >= 0.5 for row in others):
            mechanism = "other class"
        elif any(slow_iou(box[row], objects[number]) >= 0.1 for row in own):
            mechanism = "box off"
        else:
            mechanism = "no candidate"
        found.append((number, mechanism))
    return found


def slow_iou(one, other):
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (sum(areas) - width * height)


@pytest.mark.parametrize("name", DETECTORS)
def test_lost_to_a_neighbour_is_what_comes_back_without_it(name):
    """In crowded pairs: without the neighbour and its duplicates the box is kept, and the object found.

    Of all other misses, none is found when some detection is taken away.
    """
    explainer = lcrp.load(f"embedded:{name}_scenes")
    dataset = ScenesDataset("val", transform=explainer.transform)
    num_lost = num_others = 0
    with explainer.reader() as attributor:
        for index in range(24):
            sample = dataset.sample(beside_same_class(dataset.scene(index), 0, shift=0.2))
            (candidates,) = candidates_in(attributor, sample.image[None])
            one = judged(sample, candidates, Filter(), (True,) * 6)
            for miss, cause in zip(one.misses(), one.causes, strict=True):
                if miss.mechanism == Mechanism.NEIGHBOUR and miss.neighbour is not None:
                    num_lost += 1
                    assert comes_back(explainer.task, one, miss.number, cause.candidate)
                else:
                    num_others += 1
                    for place in np.flatnonzero(candidates.is_kept).tolist():
                        assert not is_found(one, kept_without(explainer.task, one, {place}), miss.number)
    assert num_lost >= 2
    assert num_others >= 2


def comes_back(task, one, number, candidate):
    """Whether a candidate and its object are back once all that drop it are away, with what is nearer to these."""
    away = set()
    while candidate not in (kept := kept_without(task, one, away)):
        near = overlaps(one.unplaced, one.unplaced[[candidate]])[:, 0]
        droppers = [
            place
            for place in kept
            if one.candidates.class_ids[place] == one.candidates.class_ids[candidate] and near[place] > task.iou
        ]
        if not away:
            assert droppers[0] == one.candidates.neighbours[candidate]
        away |= set(np.flatnonzero(overlaps(one.unplaced, one.unplaced[[droppers[0]]])[:, 0] > near).tolist())
        assert candidate not in away
    return is_found(one, kept, number)


def kept_without(task, one, away):
    """The selection without some candidates, slowly."""
    found, kept = one.candidates, []
    overlap = overlaps(one.unplaced, one.unplaced)
    for place in range(len(found)):
        if place in away or found.fates[place] == Fate.BELOW_THRESHOLD:
            continue
        if all(found.class_ids[k] != found.class_ids[place] or overlap[k, place] <= task.iou for k in kept):
            kept.append(place)
    return kept[: task.max_detections]


def is_found(one, kept, number):
    found = matching(one.candidates.boxes[kept], one.candidates.class_ids[kept], one.objects, one.labels)
    return found.detections[number] >= 0
