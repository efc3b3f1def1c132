"""Which classes are there, and how their masks are seeded."""

from dataclasses import replace

import pytest
import torch
from toy import named

from lcrp.attribution.segmentation import SegmentationTask
from lcrp.errors import ConfigError, TargetError
from lcrp.values.geometry import Geometry
from lcrp.values.sample import Annotation, Sample
from lcrp.values.target import ExplainedTarget, Target

NAMES = ("background", "horse", "kite")


def scene():
    """Logits [1, 3, 2, 4]: horse on the left half, kite (negative logits) on the lower right, background elsewhere."""
    logits = torch.full((1, 3, 2, 4), -2.0, dtype=torch.float64)
    logits[0, 0, 0, 2:] = torch.tensor([3.0, 1.0])
    logits[0, 1, :, :2] = torch.tensor([[1.0, 2.0], [4.0, -1.0]])
    logits[0, 2, 1, 2:] = -1.0
    return logits


def sample(class_mask):
    annotation = Annotation(
        boxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.int64), class_mask=torch.tensor(class_mask)
    )
    return Sample(
        index=5, key="val/5", image=torch.zeros(3, 2, 4), annotation=annotation, geometry=Geometry.identity((2, 4))
    )


def target(class_id):
    return ExplainedTarget(target=Target(sample=5, class_id=class_id), key="val/5", score=0.0, confidence=0.0)


def test_predictions():
    (found,) = SegmentationTask(NAMES).predictions(scene())
    assert found.labels.tolist() == [[1, 1, 0, 0], [1, 1, 2, 2]]
    with pytest.raises(ConfigError, match="the segmenter has 3 classes, but 2 class names are given"):
        SegmentationTask(("a", "b")).predictions(scene())


def test_seed_values():
    """Each mode by hand, on the horse's mask of logits 1, 2, 4, -1."""
    probability = scene().softmax(dim=1)[0, 1, :, :2].flatten()
    expected = {
        "positive_logit": [1 / 7, 2 / 7, 4 / 7, 0],
        "ones": [1 / 4] * 4,
        "prob": (probability / probability.sum()).tolist(),
        "logit": [1 / 6, 2 / 6, 4 / 6, -1 / 6],
    }
    for mode, values in expected.items():
        logits, seed = SegmentationTask(NAMES, seed=mode).seed(scene(), [target(1)])
        assert torch.equal(logits, scene())
        assert seed[0, 1, :, :2].flatten().tolist() == pytest.approx(values, rel=1e-9)
        seed[0, 1, :, :2] = 0
        assert not seed.any()


def test_every_image_is_normalised_alone():
    task = SegmentationTask(NAMES)
    logits = scene().repeat(3, 1, 1, 1) * torch.tensor([1.0, 1.0, 5.0])[:, None, None, None]
    _, seed = task.seed(logits, [target(0), None, target(1)])
    assert seed.sum(dim=(1, 2, 3)).tolist() == pytest.approx([1, 0, 1])
    _, alone = task.seed(logits[2:], [target(1)])
    assert torch.equal(seed[2], alone[0])


def test_a_part_restricts_seed_and_mask():
    task = SegmentationTask(NAMES)
    part = replace(target(1), within=(0.0, 0.0, 4.0, 1.0))
    _, seed = task.seed(scene(), [part])
    assert seed[0, 1].flatten().tolist() == pytest.approx([1 / 3, 2 / 3, 0, 0, 0, 0, 0, 0])
    (found,) = task.predictions(scene())
    assert task.object_mask(found, part, (2, 4)).nonzero().tolist() == [[0, 0], [0, 1]]
    with pytest.raises(TargetError, match="nothing of 'horse' in val/5 lies within the box"):
        task.seed(scene(), [replace(target(1), within=(2.0, 0.0, 4.0, 1.0))])


def test_the_same_decision_is_found_again_where_its_class_still_is():
    task = SegmentationTask(NAMES)
    (found,) = task.predictions(scene())
    horse = task.find(found, named(5, "val/5"), 1)
    assert task.again(found, horse) == horse
    assert task.again(found, replace(horse, target=replace(horse.target, class_id=2))) is None  # no positive seed
    assert task.found(found, named(5, "val/5"), 2) is None
    assert task.at_object(found, named(5, "val/5"), 1, (0.0, 0.0, 1.0, 1.0)) == horse  # wherever the box is
    assert task.at_object(found, named(5, "val/5"), 2, (0.0, 0.0, 1.0, 1.0)) is None


def test_background_is_told_by_its_name():
    assert [SegmentationTask(("background", "sky")).is_background(class_id) for class_id in (0, 1)] == [True, False]


def test_annotated_targets():
    """Void is no class; a class without positive seed, without pixels or too small is skipped with its reason."""
    task = SegmentationTask(NAMES)
    (found,) = task.predictions(scene())
    assert task.present_classes(sample([[0, 1, 255, 255]] * 2).annotation) == [0, 1]
    explained, skipped = task.annotated_targets(found, sample([[0, 1, 2, 255]] * 2))
    assert [one.target for one in explained] == [Target(sample=5, class_id=0), Target(sample=5, class_id=1)]
    assert [(one.target.class_id, one.reason) for one in skipped] == [(2, "its mask of 2 pixels has no positive seed")]
    _, skipped = SegmentationTask(NAMES, min_area=3).annotated_targets(found, sample([[0, 1, 1, 1]] * 2))
    assert [one.reason for one in skipped] == ["its mask has 2 pixels, at least 3 are needed"]
    explained, skipped = SegmentationTask(NAMES, seed="ones").predicted_targets(found, sample([[0] * 4] * 2))
    assert [one.target.class_id for one in explained] == [0, 1, 2]
    assert skipped == []


def test_explained_numbers():
    task = SegmentationTask(NAMES)
    (found,) = task.predictions(scene())
    horse = task.find(found, named(5, "val/5"), 1, 0)
    assert horse.score == pytest.approx(6 / 4)
    assert horse.confidence == pytest.approx(scene().softmax(dim=1)[0, 1, :, :2].mean().item())
    assert (horse.area, horse.box, horse.row) == (4, None, -1)
    assert task.object_mask(found, horse, (2, 4)).tolist() == [[True, True, False, False]] * 2


def test_missing_class_says_what_is_there():
    task = SegmentationTask(NAMES)
    (found,) = task.predictions(scene()[..., :2])
    with pytest.raises(
        TargetError, match=r"no 'kite' in val/5 \(its mask has 0 pixels, .*\): predicted are 'horse' 100"
    ):
        task.find(found, named(5, "val/5"), 2, 0)
    with pytest.raises(TargetError, match="class -1 does not exist: there are 0 to 2"):
        task.find(found, named(5, "val/5"), -1, 0)
    with pytest.raises(TargetError, match="a class has one mask, item 0"):
        task.find(found, named(5, "val/5"), 1, 1)


def test_a_box_takes_the_class_that_covers_most_of_it():
    task = SegmentationTask(NAMES)
    (found,) = task.predictions(scene())
    here = sample([[0] * 4] * 2)
    horse = task.match_box(found, here, (0.0, 1.0, 3.0, 2.0))  # two pixels of horse, one of kite
    assert horse.target == Target(sample=5, class_id=1)
    assert horse.area == 2
    assert horse.within == (0.0, 1.0, 3.0, 2.0)
    _, seed = task.seed(scene(), [horse])
    assert seed[0, 1].nonzero().tolist() == [[1, 0]]  # nothing outside of the box; the other logit is negative
    assert horse.score == pytest.approx((4.0 - 1.0) / 2)
    assert task.match_box(found, here, (1.0, 0.0, 4.0, 1.0)).target.class_id == 1  # though background covers more
    assert task.match_box(found, here, (2.0, 0.0, 4.0, 1.0)).target.class_id == 0  # for want of anything else
    with pytest.raises(TargetError, match=r"no 'kite' in val/5: its mask of 2 pixels has no positive seed"):
        task.match_box(found, here, (2.0, 1.0, 4.0, 2.0))
    with pytest.raises(TargetError, match=r"the box \(7, 0, 9, 1\) holds no pixel of val/5"):
        task.match_box(found, here, (7.0, 0.0, 9.0, 1.0))


def test_a_box_that_holds_next_to_nothing_of_a_class_is_refused():
    logits = torch.zeros(1, 3, 10, 10)
    logits[0, 0] = 1.0
    logits[0, 1, 0, :9] = 2.0
    task = SegmentationTask(NAMES)
    (found,) = task.predictions(logits)
    twice = Geometry(picture_size=(20, 20), input_size=(10, 10), scale=(0.5, 0.5), offset=(0.0, 0.0))
    placed = replace(sample([[0] * 10] * 10), geometry=twice)
    with pytest.raises(
        TargetError,
        match=r"no class covers 10% of the box \(0, 0, 20, 20\) in val/5: it holds 'background' 91.0%, 'horse' 9.0%",
    ):
        task.match_box(found, placed, (0.0, 0.0, 20.0, 20.0))
    assert task.match_box(found, placed, (0.0, 0.0, 18.0, 20.0)).target.class_id == 1  # 9 of 90 pixels


def test_decisions_of_a_class_are_its_mask():
    task = SegmentationTask(NAMES)
    (found,) = task.predictions(scene())
    assert task.of_class(found, sample([[0] * 4] * 2), 1) == [task.find(found, named(5, "val/5"), 1, 0)]
    assert task.of_class(found, sample([[0] * 4] * 2), 2) == []  # no positive seed


def test_class_confidences_are_means_over_the_mask():
    task = SegmentationTask(NAMES)
    (found,) = task.predictions(scene())
    horse = task.find(found, named(5, "val/5"), 1, 0)
    expected = scene().softmax(dim=1)[0, :, :, :2].mean(dim=(1, 2)).tolist()
    assert task.class_confidences(found, horse).tolist() == pytest.approx(expected)
    part = replace(horse, within=(0.0, 0.0, 4.0, 1.0))
    expected = scene().softmax(dim=1)[0, :, 0, :2].mean(dim=1).tolist()
    assert task.class_confidences(found, part).tolist() == pytest.approx(expected)


def sigmoids(*, names=("boat",), threshold=None, seed="positive_logit"):
    return SegmentationTask(names, seed=seed, activation="sigmoid", threshold=threshold)


def boat():
    """Logits [1, 1, 2, 4] of one channel: a boat on the left half, but for one pixel."""
    return torch.tensor([[[[1.0, 3.0, -2.0, -4.0], [2.0, -1.0, -2.0, -3.0]]]], dtype=torch.float64)


def test_one_channel_is_the_object_where_its_sigmoid_is_above_the_threshold():
    """argmax over one channel would make it the whole picture, with a probability of 1."""
    task = sigmoids()
    assert task.class_names == ("background", "boat")
    (found,) = task.predictions(boat())
    assert found.labels.tolist() == [[1, 1, 0, 0], [1, 0, 0, 0]]
    ((one,), skipped) = task.predicted_targets(found, named(5, "val/5"))
    assert (one.target.class_id, one.area, skipped) == (1, 3, [])
    assert one.score == pytest.approx(2)
    assert one.confidence == pytest.approx(torch.tensor([1.0, 3.0, 2.0]).sigmoid().mean().item())
    assert task.class_confidences(found, one).tolist() == pytest.approx([1 - one.confidence, one.confidence])
    assert task.object_mask(found, one, (2, 4)).sum() == 3
    logits, seed = task.seed(boat(), [one])
    assert torch.equal(logits, boat())
    assert seed.flatten().tolist() == pytest.approx([1 / 6, 3 / 6, 0, 0, 2 / 6, 0, 0, 0])
    assert task.logits(boat(), [one], found.mask(1)[None]).tolist() == pytest.approx([2])
    assert task.match_box(found, named(5, "val/5"), (0.0, 0.0, 2.0, 2.0)).area == 3


def test_a_background_without_a_logit_is_no_target():
    task = sigmoids()
    (found,) = task.predictions(boat())
    explained, skipped = task.annotated_targets(found, sample([[1, 1, 0, 0]] * 2))
    assert [one.target.class_id for one in explained] == [1]
    assert skipped == []
    with pytest.raises(TargetError, match=r"no 'background' .*no logit of its own .*\): predicted are 'boat' 37\.5%$"):
        task.find(found, named(5, "val/5"), 0)
    masks = torch.ones(1, 2, 4, dtype=torch.bool)
    readouts = [task.readout(boat(), torch.tensor([one]), torch.zeros(1, 4), masks).item() for one in (0, 1)]
    assert sum(readouts) == pytest.approx(1)


def test_a_threshold_of_sigmoids_is_a_setting_and_part_of_the_identity():
    (found,) = sigmoids(threshold=0.9).predictions(boat())
    assert found.mask(1).sum() == 1
    assert sigmoids().identity() == SegmentationTask(NAMES).identity() | {"activation": "sigmoid", "threshold": 0.5}
    with pytest.raises(ConfigError, match="threshold=2 is out of range"):
        sigmoids(threshold=2)
    with pytest.raises(ConfigError, match=r"threshold=0\.5 says nothing to a softmax"):
        SegmentationTask(NAMES, threshold=0.5)
    with pytest.raises(ConfigError, match="activation='tanh' is unknown; nearest: 's"):
        SegmentationTask(NAMES, activation="tanh")
    with pytest.raises(ConfigError, match=r"the segmenter has one channel, .*; write activation=sigmoid"):
        SegmentationTask(("boat",)).predictions(boat())


@pytest.mark.parametrize("names", [("horse", "kite"), ("background", "horse", "kite")])
def test_several_sigmoids_may_overlap(names):
    """A pixel is of both classes, of one or of none; a softmax would give it to one."""
    task = sigmoids(names=names)
    logits = torch.tensor([[[[2.0, 1.0, -1.0]], [[3.0, -1.0, -3.0]]]], dtype=torch.float64)
    (found,) = task.predictions(logits)
    explained, _ = task.predicted_targets(found, named(5, "val/5"))
    assert [(one.target.class_id, one.area) for one in explained] == [(1, 2), (2, 1)]
    assert [found.mask(class_id).flatten().tolist() for class_id in (0, 1, 2)] == [
        *([False, False, True], [True, True, False], [True, False, False]),
    ]
    _, seed = task.seed(logits, explained[:1])
    assert seed[0, :, 0].tolist() == [pytest.approx([2 / 3, 1 / 3, 0]), [0, 0, 0]]


def test_a_background_with_a_sigmoid_of_its_own_is_a_class_like_others():
    task = sigmoids(names=("background", "boat"))
    (found,) = task.predictions(torch.cat([-boat(), boat()], dim=1))
    explained, _ = task.predicted_targets(found, named(5, "val/5"))
    assert [(one.target.class_id, one.area) for one in explained] == [(0, 5), (1, 3)]
