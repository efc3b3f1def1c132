"""Where nothing is decided, the best score there is is said, and the threshold that takes it."""

import pytest
import torch

from lcrp.attribution.detection import DetectionTask
from lcrp.attribution.kept import KeptDetectionTask
from lcrp.attribution.segmentation import SegmentationTask
from lcrp.attribution.task import NetworkOutput, Task
from lcrp.decisions.selection import Selection, chosen_targets
from lcrp.decisions.weaker import with_best
from lcrp.errors import TargetError
from lcrp.values.geometry import Geometry
from lcrp.values.prediction import DetectorOutput, KeptBoxes, KeptOutput
from lcrp.values.sample import Sample

NAMES = ("boat", "car")
SAMPLE = Sample(index=4, key="k", image=torch.zeros(3, 64, 64), annotation=None, geometry=Geometry.identity((64, 64)))


def output(*probabilities: tuple[float, float]) -> DetectorOutput:
    """Boxes beside each other with these class probabilities, sure that there is something."""
    count = len(probabilities)
    left = 20.0 * torch.arange(count)
    boxes = torch.stack([left, torch.zeros(count), left + 10.0, torch.full((count,), 10.0)], dim=1)
    return DetectorOutput(
        boxes=boxes[None],
        class_logits=torch.tensor(probabilities).logit()[None],
        objectness_logits=torch.full((1, count), 20.0),
        has_background=False,
    )


def refused(task: Task, given: NetworkOutput, class_id: int | None = None, **changes: object) -> TargetError:
    settings = {"class_name": None, "item": None, "box": None, "max_targets": 5} | changes
    selection = Selection(image=None, samples=None, **settings)  # type: ignore[arg-type]
    with pytest.raises(TargetError) as raised:
        chosen_targets(task, task.predictions(given)[0], SAMPLE, selection, class_id)
    return with_best(raised.value, task, given, class_id, is_placed="box" in changes)


def test_the_best_score_below_the_threshold_is_said() -> None:
    error = refused(DetectionTask(NAMES), output((0.12, 0.02), (0.05, 0.07)))
    assert str(error) == (
        "nothing to explain in k: the model predicts nothing above 0.25; the best score there is: 'boat' 0.12"
    )
    assert error.mend == "Write stage.confidence=0.05 to take weaker decisions, too."


def test_the_best_score_of_a_class_is_said() -> None:
    error = refused(DetectionTask(NAMES), output((0.6, 0.02), (0.01, 0.013)), 1, class_name="car")
    assert str(error).endswith("; the best score there is: 'car' 0.013")
    assert error.mend == "Write stage.confidence=0.012 to take weaker decisions, too."


def test_an_item_that_is_not_there_has_the_threshold_alone() -> None:
    error = refused(DetectionTask(NAMES, confidence=0.5), output((0.9, 0.02)), 0, class_name="boat", item=5)
    assert "best score" not in str(error)
    assert error.mend == "Write stage.confidence=0.1 to take weaker decisions, too."
    missed = refused(DetectionTask(NAMES, confidence=0.5), output((0.9, 0.02)), box=(40.0, 40.0, 50.0, 50.0))
    assert "best score" not in str(missed)
    assert missed.mend == "Write stage.confidence=0.1 to take weaker decisions, too."


def test_a_network_that_keeps_no_box_is_no_matter_of_our_threshold() -> None:
    none = KeptBoxes(
        boxes=torch.zeros(0, 4),
        class_ids=torch.zeros(0, dtype=torch.int64),
        scores=torch.zeros(0),
        rows=torch.zeros(0, dtype=torch.int64),
        logits=torch.zeros(3, 2),
        columns=torch.arange(2),
        probabilities=torch.full((3, 2), 0.5),
        places=None,
    )
    error = refused(KeptDetectionTask(NAMES), KeptOutput(pictures=(none,)))
    assert str(error).endswith("above 0.25; the network itself keeps no such box, whatever its score")
    assert not error.mend


def test_a_segmenter_says_why_no_class_is_explained() -> None:
    """It said that nothing was predicted above 0."""
    task = SegmentationTask(NAMES, min_area=2000)
    logits = torch.zeros(1, 2, 8, 8)
    logits[:, 1] = 1.0
    assert str(refused(task, logits)) == (
        "nothing to explain in k: the model predicts nothing that can be explained ('car': its mask has 64 pixels, at "
        "least 2000 are needed)."
    )
