"""Which boxes are kept, what is a target, and what is seeded."""

import logging
from dataclasses import replace

import pytest
import torch
from toy import named

from lcrp.attribution.detection import DetectionTask
from lcrp.errors import ConfigError, TargetError
from lcrp.models.yolov5 import YOLOv5
from lcrp.models.yolov6 import YOLOv6
from lcrp.values.geometry import Geometry
from lcrp.values.prediction import DetectorOutput
from lcrp.values.sample import Annotation, Sample
from lcrp.values.target import Target

NAMES = ("boat", "kite", "dog")


def output(*rows, num_classes=3, objectness=True):
    """One image of rows (left, top, right, bottom, objectness, *class probabilities)."""
    table = torch.tensor(rows, dtype=torch.float64)
    return DetectorOutput(
        boxes=table[None, :, :4],
        class_logits=table[None, :, 5 : 5 + num_classes].logit(),
        objectness_logits=table[None, :, 4].logit() if objectness else None,
    )


def sample(labels, index=3, key="val/00003"):
    annotation = Annotation(boxes=torch.zeros(len(labels), 4), labels=torch.tensor(labels, dtype=torch.int64))
    return Sample(
        index=index, key=key, image=torch.zeros(3, 64, 64), annotation=annotation, geometry=Geometry.identity((64, 64))
    )


SCENE = (
    (0, 0, 10, 10, 0.9, 0.8, 0.1, 0.1),  # 0 boat 0.72
    (1, 0, 11, 10, 0.9, 0.7, 0.3, 0.1),  # 1 overlaps row 0
    (1, 0, 11, 10, 0.9, 0.1, 0.6, 0.1),  # 2 kite 0.54, on the same place, another class
    (30, 30, 40, 40, 0.95, 0.6, 0.4, 0.1),  # 3 boat 0.57
    (50, 50, 60, 60, 0.2, 0.99, 0.1, 0.1),  # 4 too little objectness
    (50, 0, 60, 10, 0.5, 0.49, 0.1, 0.1),  # 5 confidence 0.245
)


def test_kept_boxes():
    (kept,) = DetectionTask(NAMES).predictions(output(*SCENE))
    assert kept.rows.tolist() == [0, 3, 2]
    assert kept.labels.tolist() == [0, 0, 1]
    torch.testing.assert_close(kept.confidence, torch.tensor([0.72, 0.57, 0.54], dtype=torch.float64))
    torch.testing.assert_close(kept.objectness, torch.tensor([0.9, 0.95, 0.9], dtype=torch.float64))
    assert not kept.probabilities.requires_grad


def test_classes_are_kept_apart_by_the_nms_only():
    """Two classes on one place: both stay; one class on one place: the better one stays, whatever the order."""
    boxes = [(0, 0, 10, 10, 0.9, 0.5, 0.1, 0.1), (0, 0, 10, 10, 0.9, 0.9, 0.1, 0.1), (0, 0, 10, 10, 0.9, 0.1, 0.1, 0.6)]
    (kept,) = DetectionTask(NAMES).predictions(output(*boxes))
    assert kept.rows.tolist() == [1, 2]


def test_at_most_so_many_and_thresholds():
    task = DetectionTask(NAMES, max_detections=1)
    assert task.predictions(output(*SCENE))[0].rows.tolist() == [0]
    assert DetectionTask(NAMES, confidence=0.6).predictions(output(*SCENE))[0].rows.tolist() == [0]
    assert DetectionTask(NAMES, iou=0.99).predictions(output(*SCENE))[0].rows.tolist() == [0, 1, 3, 2]


def test_no_detection():
    (kept,) = DetectionTask(NAMES).predictions(output((0, 0, 1, 1, 0.1, 0.1, 0.1, 0.1)))
    assert len(kept.rows) == 0
    assert kept.boxes.shape == (0, 4)
    assert kept.probabilities.shape == (0, 3)
    assert DetectionTask(NAMES).predicted_targets(kept, sample([])) == ([], [])


def test_items_rank_all_boxes_by_the_class_probability():
    """The kite's second item is row 3: its best class is boat, but its probability of kite is above the threshold."""
    task = DetectionTask(NAMES)
    (kept,) = task.predictions(output(*SCENE))
    best, second = (task.find(kept, named(3, "k"), 1, item) for item in (0, 1))
    assert (best.row, second.row) == (2, 3)
    assert second.score == pytest.approx(0.4)
    assert second.confidence == pytest.approx(0.95 * 0.4)
    assert second.box == (30, 30, 40, 40)
    assert second.target == Target(sample=3, class_id=1, item=1)
    with pytest.raises(TargetError, match=r"no item 2 of 'kite' \(there are 2\) in k: detected are 'boat' 0.72"):
        task.find(kept, named(3, "k"), 1, 2)


def test_ties_go_to_the_more_confident_then_to_the_lower_row():
    task = DetectionTask(NAMES)
    (kept,) = task.predictions(
        output(
            (0, 0, 10, 10, 0.5, 0.75, 0.1, 0.1),
            (20, 0, 30, 10, 0.75, 0.75, 0.1, 0.1),
            (40, 0, 50, 10, 0.5, 0.75, 0.1, 0.1),
        )
    )
    assert [task.find(kept, named(0, "k"), 0, item).row for item in range(3)] == [1, 0, 2]


def test_annotated_targets_are_the_best_items_and_skips_have_reasons():
    task = DetectionTask(NAMES)
    (kept,) = task.predictions(output(*SCENE))
    explained, skipped = task.annotated_targets(kept, sample([2, 0, 0, 1]))
    assert [(one.target.class_id, one.target.item, one.row) for one in explained] == [(0, 0, 0), (1, 0, 2)]
    assert [one.target for one in skipped] == [Target(sample=3, class_id=2)]
    assert "not detected" in skipped[0].reason
    assert skipped[0].key == "val/00003"


def test_predicted_targets_are_what_find_finds():
    task = DetectionTask(NAMES)
    (kept,) = task.predictions(output(*SCENE))
    explained, skipped = task.predicted_targets(kept, sample([]))
    assert skipped == []
    assert [one.row for one in explained] == [0, 3, 2]
    assert [(one.target.class_id, one.target.item) for one in explained] == [(0, 0), (0, 1), (1, 0)]
    for one in explained:
        assert task.find(kept, named(3, "val/00003"), one.target.class_id, one.target.item) == one


def test_missing_class_says_what_is_there():
    task = DetectionTask(NAMES)
    (kept,) = task.predictions(output(*SCENE))
    expected = r"^no 'dog' in val/00003: detected are 'boat' 0\.72, 'boat' 0\.57, 'kite' 0\.54$"
    with pytest.raises(TargetError, match=expected):
        task.find(kept, named(3, "val/00003"), 2, 0)
    with pytest.raises(TargetError, match="class 3 does not exist: there are 0 to 2"):
        task.find(kept, named(3, "val/00003"), 3, 0)
    (nothing,) = task.predictions(output((0, 0, 1, 1, 0.1, 0.1, 0.1, 0.1)))
    with pytest.raises(TargetError, match="no 'dog' in k: nothing is detected with a confidence above"):
        task.find(nothing, named(3, "k"), 2, 0)


def test_annotation_is_needed_for_annotated_targets():
    task = DetectionTask(NAMES)
    (kept,) = task.predictions(output(*SCENE))
    bare = Sample(index=0, key="a.jpg", image=torch.zeros(3, 4, 4), annotation=None, geometry=Geometry.identity((4, 4)))
    with pytest.raises(TargetError, match=r"a\.jpg has no annotation"):
        task.annotated_targets(kept, bare)


def test_match_box():
    task = DetectionTask(NAMES)
    (kept,) = task.predictions(output(*SCENE))
    found = task.match_box(kept, sample([]), (28.0, 31.0, 41.0, 40.0))
    assert (found.row, found.target) == (3, Target(sample=3, class_id=0, item=1))
    with pytest.raises(
        TargetError,
        match=r"no detection overlaps the box \(50, 50, 60, 60\) in val/00003: nearest are "
        r"'boat' 0.72 at \(0, 0, 10, 10\), IoU 0.00; 'boat' 0.57 at",
    ):
        task.match_box(kept, sample([]), (50.0, 50.0, 60.0, 60.0))
    (nothing,) = task.predictions(output((0, 0, 1, 1, 0.1, 0.1, 0.1, 0.1)))
    with pytest.raises(TargetError, match=r"overlaps the box .*: nothing is detected"):
        task.match_box(nothing, sample([]), (50.0, 50.0, 60.0, 60.0))


def test_a_box_that_fits_badly_is_refused_with_what_is_near():
    """The input is twice the picture, 10 pixels down: boxes are compared, and told, in pixels of the picture."""
    task = DetectionTask(NAMES)
    (kept,) = task.predictions(output(*SCENE))
    geometry = Geometry(picture_size=(20, 32), input_size=(64, 64), scale=(2.0, 2.0), offset=(10.0, 0.0))
    placed = replace(sample([]), geometry=geometry)
    box = (15.0, 10.0, 20.0, 20.0)  # row 3 is its upper half
    assert task.match_box(kept, placed, box, 0.5).row == 3
    with pytest.raises(
        TargetError,
        match=r"no detection overlaps the box \(15, 10, 20, 20\) by an IoU of at least 0.6 in val/00003: "
        r"nearest are 'boat' 0.57 at \(15, 10, 20, 15\), IoU 0.50; 'boat' 0.72 at \(0, 0, 5, 0\), IoU 0.00",
    ):
        task.match_box(kept, placed, box, 0.6)


def test_boxes_are_compared_within_the_picture():
    """Half of the detection lies beside the picture, where nobody can draw."""
    task = DetectionTask(NAMES)
    (kept,) = task.predictions(output((0, 0, 10, 20, 0.9, 0.8, 0.1, 0.1)))
    geometry = Geometry(picture_size=(50, 64), input_size=(64, 64), scale=(1.0, 1.0), offset=(14.0, 0.0))
    placed = replace(sample([]), geometry=geometry)
    assert geometry.box_to_picture((0.0, 0.0, 10.0, 20.0)) == (0.0, 0.0, 10.0, 6.0)
    assert task.match_box(kept, placed, (0.0, 0.0, 10.0, 6.0), 1.0).row == 0


def test_decisions_of_a_class_are_its_items():
    task = DetectionTask(NAMES)
    (kept,) = task.predictions(output(*SCENE))
    found = task.of_class(kept, sample([]), 1)
    assert [(one.row, one.target.item) for one in found] == [(2, 0), (3, 1)]
    assert found == [task.find(kept, named(3, "val/00003"), 1, item) for item in (0, 1)]
    assert task.of_class(kept, sample([]), 2) == []


def test_class_confidences_are_those_of_the_row():
    task = DetectionTask(NAMES)
    (kept,) = task.predictions(output(*SCENE))
    found = task.class_confidences(kept, task.find(kept, named(3, "k"), 1, 1))
    assert found.tolist() == pytest.approx([0.57, 0.38, 0.095])


def test_seed_is_one_at_the_chosen_logit_of_every_image():
    task = DetectionTask(NAMES)
    one = output(*SCENE)
    raw = DetectorOutput(
        boxes=one.boxes.repeat(3, 1, 1),
        class_logits=one.class_logits.repeat(3, 1, 1),
        objectness_logits=one.objectness_logits.repeat(3, 1),
    )
    kept = task.predictions(raw)
    explained = [task.find(kept[0], named(0, "k"), 0, 0), None, task.find(kept[2], named(2, "k"), 1, 1)]
    logits, seed = task.seed(raw, explained)
    assert logits is raw.class_logits
    expected = torch.zeros_like(logits)
    expected[0, 0, 0] = expected[2, 3, 1] = 1
    assert torch.equal(seed, expected)
    assert task.seeded(raw) is raw.class_logits


def test_what_is_not_found_is_none():
    task = DetectionTask(NAMES)
    (kept,) = task.predictions(output(*SCENE))
    here = sample([])
    first = task.find(kept, here, 1)
    assert task.found(kept, here, 1) == first
    assert task.found(kept, here, 2) is None
    assert task.found(kept, here, 1, 7) is None
    assert not any(task.is_background(class_id) for class_id in range(len(NAMES)))


def test_a_decision_is_made_again_by_the_box_of_its_class_at_the_same_place():
    """The same row counted, whatever it said: relevance was read of detections that were gone."""
    task = DetectionTask(NAMES)
    (kept,) = task.predictions(output(*SCENE))
    second = task.find(kept, sample([]), 0, 1)  # row 3, 10 pixels wide

    def again(*rows):
        (changed,) = task.predictions(output(*rows))
        return task.again(changed, second)

    far = (30, 43, 40, 53, 0.9, 0.9, 0.1, 0.1)  # more confident
    found = again(far, (33, 30, 43, 40, 0.9, 0.5, 0.1, 0.1))  # IoU 7 / 13
    assert (found.row, found.score, found.target) == (1, pytest.approx(0.5), second.target)
    assert again(far, (34, 30, 44, 40, 0.9, 0.5, 0.1, 0.1)) is None  # 6 / 14
    assert again((30, 30, 40, 40, 0.9, 0.2, 0.9, 0.1)) is None  # a kite
    assert again((30, 30, 40, 40, 0.2, 0.9, 0.1, 0.1)) is None  # too little objectness


def test_the_decision_for_an_object_is_of_its_class_and_touches_its_box():
    task = DetectionTask(NAMES)
    (kept,) = task.predictions(output(*SCENE))
    here, box = sample([]), (28.0, 31.0, 41.0, 40.0)
    matched = task.match_box(kept, here, box)
    class_id = matched.target.class_id
    assert task.at_object(kept, here, class_id, box) == matched
    assert task.at_object(kept, here, (class_id + 1) % len(NAMES), box) is None
    assert task.at_object(kept, here, class_id, (50.0, 50.0, 60.0, 60.0)) is None


def test_objectness_is_explained_and_ranks():
    task = DetectionTask(NAMES, score="objectness")
    raw = output(*SCENE)
    (kept,) = task.predictions(raw)
    best = task.find(kept, named(0, "k"), 0, 0)
    assert (best.row, best.score) == (3, pytest.approx(0.95))
    assert best.confidence == pytest.approx(0.95 * 0.6)
    logits, seed = task.seed(raw, [best])
    assert logits is raw.objectness_logits
    assert seed.nonzero().tolist() == [[0, 3]]


def test_a_class_score_that_is_untrained_gives_way_to_objectness_which_is_said_once(caplog):
    task = DetectionTask(["face"])
    rows = [(0, 0, 10, 10, 0.6, 0.9), (20, 20, 30, 30, 0.8, 0.1)]
    raw = replace(output(*rows, num_classes=1), is_class_trained=False)
    with caplog.at_level(logging.INFO):
        (kept,) = task.predictions(raw)
        task.predictions(raw)
    assert [record.message for record in caplog.records] == [
        "one class: the class score is untrained, objectness is explained"
    ]
    assert kept.rows.tolist() == [1, 0]
    torch.testing.assert_close(kept.confidence, torch.tensor([0.8, 0.6], dtype=torch.float64))
    found = [task.find(kept, named(0, "k"), 0, item) for item in (0, 1)]
    assert [(one.row, round(one.score, 6), round(one.confidence, 6)) for one in found] == [(1, 0.8, 0.8), (0, 0.6, 0.6)]
    logits, seed = task.seed(raw, [found[1]])
    assert logits is raw.objectness_logits
    assert seed.nonzero().tolist() == [[0, 0]]


def test_one_class_whose_score_is_trained_is_explained_like_any_other():
    """YOLOv6 trains it on the boxes' overlap, and reports objectness times it."""
    task = DetectionTask(["face"])
    raw = output((0, 0, 10, 10, 0.6, 0.9), (20, 20, 30, 30, 0.8, 0.5), num_classes=1)
    (kept,) = task.predictions(raw)
    assert kept.rows.tolist() == [0, 1]
    torch.testing.assert_close(kept.confidence, torch.tensor([0.54, 0.4], dtype=torch.float64))
    logits, seed = task.seed(raw, [task.find(kept, named(0, "k"), 0, 1)])
    assert logits is raw.class_logits
    assert seed.nonzero().tolist() == [[0, 1, 0]]
    logits, _ = DetectionTask(["face"], score="objectness").seed(raw, [None])
    assert logits is raw.objectness_logits


@pytest.mark.parametrize(("network", "is_trained"), [(YOLOv5, False), (YOLOv6, True)])
def test_detectors_say_whether_the_score_of_their_one_class_is_trained(network, is_trained):
    one = network(num_classes=1, width=0.0625).eval()(torch.rand(1, 3, 64, 64))
    assert one.is_class_trained == is_trained
    assert bool((one.class_probabilities() == 1).all()) is not is_trained
    assert network(num_classes=2, width=0.0625).eval()(torch.rand(1, 3, 64, 64)).is_class_trained


def test_softmax_detector_with_a_background_column():
    """SSD: the softmax selects, the raw logit of column class + 1 is explained."""
    task = DetectionTask(("boat", "kite"))
    logits = torch.tensor([[[5.0, 0.0, 0.0], [0.0, 3.0, 1.0], [0.0, 1.0, 4.0]]])
    boxes = torch.tensor([[[0.0, 0, 9, 9], [20, 20, 30, 30], [40, 40, 50, 50]]])
    raw = DetectorOutput(boxes=boxes, class_logits=logits, objectness_logits=None, has_background=True)
    (kept,) = task.predictions(raw)
    assert kept.rows.tolist() == [2, 1]
    assert kept.labels.tolist() == [1, 0]
    torch.testing.assert_close(kept.probabilities[0], logits[0, 2].softmax(0)[1:])
    assert torch.equal(kept.objectness, torch.ones(2))
    _, seed = task.seed(raw, [task.find(kept, named(0, "k"), 1, 0)])
    assert seed.nonzero().tolist() == [[0, 2, 2]]
    with pytest.raises(ConfigError, match="the detector has none; choose 'class'"):
        DetectionTask(("boat", "kite"), score="objectness").predictions(raw)


def test_class_names_must_fit():
    with pytest.raises(ConfigError, match="the detector has 3 classes, but 5 class names are given"):
        DetectionTask(tuple("abcde")).predictions(output(*SCENE))


def test_object_mask_is_the_filled_box_within_the_picture():
    task = DetectionTask(NAMES)
    (kept,) = task.predictions(output((-3.5, 1.2, 2.1, 3.4, 0.9, 0.9, 0.1, 0.1)))
    mask = task.object_mask(kept, task.find(kept, named(0, "k"), 0, 0), (6, 5))
    expected = torch.zeros(6, 5, dtype=torch.bool)
    expected[1:4, :3] = True
    assert torch.equal(mask, expected)
