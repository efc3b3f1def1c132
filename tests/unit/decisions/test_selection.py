"""Which decisions are explained."""

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
        ({"box": (0.0, 0.0, 1.0, 1.0), "class_name": "boat"}, "leave out stage.class_name"),
        ({"box": (5.0, 0.0, 1.0, 1.0)}, r"stage.box \[5.0, 0.0, 1.0, 1.0\] is empty"),
        ({"item": 1}, "set stage.class_name too"),
        ({"max_targets": 0}, "stage.max_targets is 0"),
    ],
)
def test_contradictions_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        selection(**changes)


def test_classes_are_known_by_name_or_id() -> None:
    assert class_id_of(None, NAMES) is None
    assert class_id_of("car", NAMES) == 1
    assert class_id_of(0, NAMES) == 0
    assert class_id_of("1", NAMES) == 1
    assert class_id_of("3", ("x", "3")) == 1  # a name goes before an id


@pytest.mark.parametrize("name", ["cat", 2, "-1"])
def test_unknown_classes_are_told_with_the_choices(name: str | int) -> None:
    with pytest.raises(TargetError, match=rf"class '{name}' is not known .*'car'.*0 to 1.*stage.class_name"):
        class_id_of(name, NAMES)


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
