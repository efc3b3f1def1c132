"""Which decisions are explained."""

import re

import pytest
import torch
from colour_world import Squares

from lcrp.attribution.detection import DetectionTask
from lcrp.attribution.segmentation import SegmentationTask
from lcrp.decisions.selection import Selection, chosen_targets, class_id_of, sample_indices
from lcrp.errors import ConfigError, DataError, TargetError
from lcrp.values.geometry import Geometry
from lcrp.values.prediction import ClassMap, Detections
from lcrp.values.sample import Sample

NAMES = ("boat", "car")


def selection(**changes: object) -> Selection:
    settings: dict[str, object] = {
        "image": None,
        "samples": None,
        "class_name": None,
        "item": None,
        "box": None,
        "max_targets": 5,
    }
    return Selection(**(settings | changes))  # type: ignore[arg-type]


def detections() -> Detections:
    """Two boats and a car, most confident first."""
    return Detections(
        rows=torch.tensor([7, 3, 5]),
        boxes=torch.tensor([[0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 30.0, 30.0], [40.0, 0.0, 60.0, 10.0]]),
        confidence=torch.tensor([0.9, 0.8, 0.7]),
        labels=torch.tensor([0, 1, 0]),
        probabilities=torch.tensor([[0.9, 0.1], [0.0, 0.8], [0.7, 0.2]]),
        objectness=torch.ones(3),
    )


def sample(geometry: Geometry | None = None) -> Sample:
    image = torch.zeros(3, 64, 64)
    return Sample(index=4, key="k", image=image, annotation=None, geometry=geometry or Geometry.identity((64, 64)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"box": (0.0, 0.0, 1.0, 1.0), "class_name": "boat"}, r"^box finds its own decision; leave out class_name"),
        ({"box": (0.0, 0.0, 1.0, 1.0), "rank": 0}, r"^box finds its own decision; .*rank"),
        ({"box": (5.0, 0.0, 1.0, 1.0)}, r"^box=\[5.0, 0.0, 1.0, 1.0\] is no box; write \[left,top,"),
        ({"box": (0.0, 0.0, 1.0)}, r"^box=\[0.0, 0.0, 1.0\] is no box"),
        ({"item": 1}, r"^item=1 counts decisions of one class; write class_name too"),
        ({"rank": 1}, r"^rank=1 counts decisions of one class; write class_name too"),
        ({"class_name": "boat", "item": 0, "rank": 1}, r"^item=0 goes by .* rank=1 by confidence; give one"),
        ({"class_name": "boat", "rank": -1}, r"^rank=-1 is too small; the least is 0"),
        ({"class_name": "boat", "item": -1}, r"^item=-1 is too small; the least is 0"),
        ({"samples": (1.5,)}, r"^samples: 1.5 is neither an index nor a key"),
        ({"max_targets": 0}, r"^max_targets=0 is too small; the least is 1"),
        ({"min_iou": 1.5}, r"^min_iou=1.5 is out of range"),
    ],
)
def test_contradictions_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        selection(**changes)
    assert re.search(message, refused.value.with_mend())


def test_classes_are_known_by_name_or_id() -> None:
    assert class_id_of(None, NAMES) is None
    assert class_id_of("car", NAMES) == 1
    assert class_id_of(0, NAMES) == 0
    assert class_id_of("1", NAMES) == 1
    assert class_id_of("3", ("x", "3")) == 1  # a name goes before an id


@pytest.mark.parametrize("name", ["cat", 2, "-1"])
def test_unknown_classes_are_told_with_the_choices(name: str | int) -> None:
    with pytest.raises(TargetError, match=rf"class '{name}' is not known .*'car'.*0 to 1") as refused:
        class_id_of(name, NAMES)
    assert refused.value.mend == "Set stage.class_name."


def test_samples_are_known_by_index_or_key() -> None:
    assert sample_indices(Squares(), [2, "squares/03", "4"]) == [2, 3, 4]
    with pytest.raises(DataError, match=r"squares has no sample 6: it has 6, from 0 to 5.*squares/00"):
        sample_indices(Squares(), [6])
    with pytest.raises(DataError, match="no sample -1"):
        sample_indices(Squares(), [-1])
    with pytest.raises(DataError, match="no sample 'squares/9'; nearest: 'squares/0"):
        sample_indices(Squares(), ["squares/9"])


def test_everything_detected_is_explained_most_confident_first() -> None:
    task = DetectionTask(NAMES)
    chosen = chosen_targets(task, detections(), sample(), selection(), None)
    assert [(one.target.class_id, one.target.item) for one in chosen] == [(0, 0), (1, 0), (0, 1)]
    assert all(one.target.sample == 4 for one in chosen)
    assert len(chosen_targets(task, detections(), sample(), selection(max_targets=2), None)) == 2


def test_class_and_item_choose_one_detection() -> None:
    task = DetectionTask(NAMES)
    (first,) = chosen_targets(task, detections(), sample(), selection(class_name="boat"), 0)
    (second,) = chosen_targets(task, detections(), sample(), selection(class_name="boat", item=1), 0)
    assert (first.row, second.row) == (7, 5)
    with pytest.raises(TargetError, match="no item 2 of 'boat'"):
        chosen_targets(task, detections(), sample(), selection(class_name="boat", item=2), 0)


def test_rank_goes_by_confidence_and_item_by_class_probability() -> None:
    """Row 5 is the surer boat by class, row 7 by confidence; rows 2 and 3 tie in both."""
    found = Detections(
        rows=torch.tensor([7, 2, 3, 5]),
        boxes=torch.tensor([[0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0], [40, 0, 50, 9.0], [0, 20, 9, 30]]),
        confidence=torch.tensor([0.72, 0.6, 0.6, 0.45]),
        labels=torch.tensor([0, 0, 0, 0]),
        probabilities=torch.tensor([[0.8, 0.1], [0.75, 0.1], [0.75, 0.1], [0.9, 0.1]]),
        objectness=torch.tensor([0.9, 0.8, 0.8, 0.5]),
    )
    task = DetectionTask(NAMES)

    def row(**changes: object) -> int:
        (chosen,) = chosen_targets(task, found, sample(), selection(class_name="boat", **changes), 0)
        return chosen.row

    assert [row(item=place) for place in range(4)] == [5, 7, 2, 3]
    assert [row(rank=place) for place in range(4)] == [7, 2, 3, 5]
    with pytest.raises(TargetError, match=r"no rank 4 of 'boat' in k: there are 4, of confidence 0.72, 0.60, 0.60"):
        row(rank=4)
    with pytest.raises(TargetError, match=r"no 'car' in k: detected are 'boat' 0.72"):
        chosen_targets(task, found, sample(), selection(class_name="car", rank=0), 1)


def test_boxes_need_the_overlap_that_is_asked_for() -> None:
    task = DetectionTask(NAMES)
    box = (0.0, 0.0, 10.0, 25.0)  # IoU 0.4 with the first boat
    with pytest.raises(TargetError, match=r"an IoU of at least 0.5 in k: nearest are 'boat' 0.90 at \(0, 0, 10, 10\)"):
        chosen_targets(task, detections(), sample(), selection(box=box), None)
    (chosen,) = chosen_targets(task, detections(), sample(), selection(box=box, min_iou=0.3), None)
    assert chosen.row == 7


def test_boxes_are_given_in_pixels_of_the_picture_on_disk() -> None:
    # the picture lies at twice its scale and 12 pixels down in the input
    geometry = Geometry(picture_size=(20, 32), input_size=(64, 64), scale=(2.0, 2.0), offset=(12.0, 0.0))
    (chosen,) = chosen_targets(
        DetectionTask(NAMES), detections(), sample(geometry), selection(box=(10.0, 4.0, 15.0, 9.0)), None
    )
    assert chosen.row == 3


def test_background_is_explained_only_where_there_is_nothing_else() -> None:
    task = SegmentationTask(("background", "boat"))
    logits = torch.zeros(2, 8, 8)
    logits[0] = 5.0
    only_background = ClassMap(labels=logits.argmax(dim=0), logits=logits)
    (chosen,) = chosen_targets(task, only_background, sample(), selection(), None)
    assert chosen.target.class_id == 0
    logits = logits.clone()
    logits[1, 2:4] = 6.0
    both = ClassMap(labels=logits.argmax(dim=0), logits=logits)
    (chosen,) = chosen_targets(task, both, sample(), selection(), None)
    assert chosen.target.class_id == 1
    (chosen,) = chosen_targets(task, both, sample(), selection(class_name="background"), 0)
    assert chosen.target.class_id == 0


def test_a_picture_without_detections_says_so() -> None:
    empty = Detections(
        rows=torch.zeros(0, dtype=torch.int64),
        boxes=torch.zeros(0, 4),
        confidence=torch.zeros(0),
        labels=torch.zeros(0, dtype=torch.int64),
        probabilities=torch.zeros(0, 2),
        objectness=torch.zeros(0),
    )
    with pytest.raises(TargetError, match="nothing to explain in k"):
        chosen_targets(DetectionTask(NAMES), empty, sample(), selection(), None)
