"""Which pixels are the object, and what replaces the others."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lcrp.attribution.detection import DetectionTask
from lcrp.attribution.segmentation import SegmentationTask
from lcrp.decisions.regions import outside_shares
from lcrp.evidence.context import pair_means
from lcrp.stages.context.backgrounds import replacements, sensitivity_terms, variants, without_background
from lcrp.stages.context.case_study import flipped_groups
from lcrp.stages.context.pairs import LayerPairs
from lcrp.stages.context.scores import Found, found_target
from lcrp.values.geometry import Geometry
from lcrp.values.prediction import ClassMap, Detections
from lcrp.values.region import Region
from lcrp.values.sample import Annotation, Sample
from lcrp.values.target import ExplainedTarget, Target

SIZE = 12
GEOMETRY = Geometry(picture_size=(8, 12), input_size=(12, 12), scale=(1.0, 1.0), offset=(2.0, 0.0))  # rows 2 to 9
TASK = DetectionTask(("boat", "car"))
DETECTION = ExplainedTarget(
    target=Target(sample=0, class_id=0), key="a", score=0.9, confidence=0.9, box=(1.0, 3.0, 5.0, 7.0)
)
PAIRS = LayerPairs(
    layer="0",
    num_concepts=4,
    class_id=np.array([0, 0, 0, 0, 2]),
    concept=np.array([3, 0, 2, 1, 3]),
    relevance=np.array([0.5, 0.3, 0.2, 0.1, 0.9]),
    references=((), (), (), (), ()),
)


def mask(rows: slice, columns: slice) -> torch.Tensor:
    found = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    found[rows, columns] = True
    return found


BOXES_ALONE = Detections(
    rows=torch.zeros(0, dtype=torch.int64),
    boxes=torch.zeros(0, 4),
    confidence=torch.zeros(0),
    labels=torch.zeros(0, dtype=torch.int64),
    probabilities=torch.zeros(0, 2),
    objectness=torch.zeros(0),
)


def sample(annotation: Annotation | None) -> Sample:
    image = torch.rand(3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    return Sample(index=0, key="a", image=image, annotation=annotation, geometry=GEOMETRY)


def boxes(*corners: tuple[float, float, float, float]) -> Annotation:
    return Annotation(boxes=torch.tensor(corners).reshape(-1, 4), labels=torch.zeros(len(corners), dtype=torch.int64))


def inside(annotation: Annotation | None, *, is_exact: bool = False) -> torch.Tensor:
    return TASK.region(BOXES_ALONE, DETECTION, sample(annotation), is_exact=is_exact).inside


def test_the_object_of_a_detection_is_the_annotated_box_that_overlaps_most() -> None:
    annotation = boxes((0, 3, 2, 7), (2, 3, 6, 7), (8, 8, 10, 10))
    assert torch.equal(inside(annotation), mask(slice(3, 7), slice(2, 6)))
    masks = torch.stack([mask(slice(0, 1), slice(0, 1)), mask(slice(4, 6), slice(3, 5)), mask(slice(0), slice(0))])
    annotated = replace(annotation, masks=masks)
    assert torch.equal(inside(annotated), mask(slice(3, 7), slice(2, 6)))
    assert torch.equal(inside(annotated, is_exact=True), masks[1])


@pytest.mark.parametrize("annotation", [None, boxes(), boxes((8, 8, 10, 10))])
def test_without_an_annotated_object_it_is_the_explained_box(annotation: Annotation | None) -> None:
    assert torch.equal(inside(annotation, is_exact=True), mask(slice(3, 7), slice(1, 5)))


def test_the_object_of_a_mask_is_the_annotated_class_without_void() -> None:
    task = SegmentationTask(("background", "boat"))
    predicted = mask(slice(3, 6), slice(0, 4))
    prediction = ClassMap(labels=predicted.long(), logits=torch.zeros(2, SIZE, SIZE))
    explained = replace(DETECTION, target=Target(sample=0, class_id=1), box=None)
    classes = mask(slice(3, 5), slice(0, 3)).long()
    classes[5] = 255
    empty = torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)
    annotation = Annotation(boxes=empty[0], labels=empty[1], class_mask=classes)
    region = task.region(prediction, explained, sample(annotation))
    assert torch.equal(region.inside, classes == 1)
    assert region.num_pixels == 6
    assert int(region.counted.sum()) == 7 * SIZE  # rows 2 to 9 without row 5
    assert region.outside_area == pytest.approx(1 - 6 / 84)
    other = Annotation(boxes=empty[0], labels=empty[1], class_mask=torch.zeros_like(classes))
    assert torch.equal(task.region(prediction, explained, sample(other)).inside, predicted)
    assert torch.equal(task.region(prediction, explained, sample(None)).inside, predicted)


def test_shares_outside_count_positive_relevance_within_the_picture() -> None:
    region = TASK.region(BOXES_ALONE, DETECTION, sample(None))
    maps = torch.zeros(3, SIZE, SIZE)
    maps[0, 3, 1], maps[0, 9, 11], maps[0, 4, 9] = 3.0, 1.0, -5.0  # inside, outside, against
    maps[0, 0, 0], maps[0, 11, 11] = 7.0, 7.0  # padding
    maps[1, 6, 4] = 2.0
    np.testing.assert_allclose(outside_shares(maps, [region] * 3), [0.25, 0.0, np.nan])


def test_scores_and_backgrounds_mean_the_same_object() -> None:
    """Scores took the box of a detected object whose mask is annotated, and backgrounds the mask."""
    one = replace(
        BOXES_ALONE,
        rows=torch.tensor([4]),
        boxes=torch.tensor([[1.0, 3.0, 5.0, 7.0]]),
        confidence=torch.tensor([0.9]),
        labels=torch.tensor([0]),
        probabilities=torch.tensor([[0.9, 0.1]]),
        objectness=torch.tensor([1.0]),
    )
    object_mask = mask(slice(4, 6), slice(2, 4))
    annotated = sample(replace(boxes((1, 3, 5, 7)), masks=object_mask[None]))
    found = found_target(TASK, one, annotated, DETECTION.target)
    assert found is not None
    assert torch.equal(found.region.inside, object_mask)
    assert found_target(TASK, BOXES_ALONE, annotated, DETECTION.target) is None


def test_only_the_background_is_replaced() -> None:
    found = Found(sample=sample(None), explained=DETECTION, region=region_of_a_square())
    pictures = variants(found, seed=3)
    assert pictures.shape == (8, 3, SIZE, SIZE)
    kept = found.region.inside | ~found.region.counted
    image = found.sample.image
    assert torch.equal(pictures[:, :, kept], image[:, kept].expand(8, -1, -1))
    changed = ~kept
    assert not pictures[6][:, changed].any()  # black in full
    torch.testing.assert_close(pictures[2][:, changed], image[:, changed] / 2)  # and by half
    grey, colours, plain = pictures[4], pictures[5], pictures[7]
    assert torch.equal(grey[0][changed], grey[2][changed])
    assert not torch.equal(colours[0][changed], colours[2][changed])
    assert len(plain[:, changed].unique(dim=1)[0]) == 1
    torch.testing.assert_close(pictures[:4][:, :, changed], (image[:, changed] + pictures[4:][:, :, changed]) / 2)
    assert torch.equal(without_background(found, seed=3), grey)


def test_noise_belongs_to_the_decision_and_the_seed() -> None:
    found = Found(sample=sample(None), explained=DETECTION, region=region_of_a_square())
    other = replace(found, explained=replace(DETECTION, target=Target(sample=0, class_id=1)))
    assert torch.equal(variants(found, 0), variants(found, 0))
    assert not torch.equal(variants(found, 0), variants(found, 1))
    assert not torch.equal(variants(found, 0), variants(other, 0))
    noise = replacements(np.random.default_rng(0), (SIZE, SIZE))
    assert 0 <= float(noise.min()) < float(noise.max()) <= 1


def region_of_a_square() -> Region:
    return TASK.region(BOXES_ALONE, DETECTION, sample(None))


def test_terms_of_sensitivities_are_those_of_the_classs_concepts() -> None:
    """Two decisions for class 0, in images 4 and 6: concept 3 changes by 0.2 and 0.8, with relevance 1 and 3."""
    part = {
        "class_id": np.array([0, 0]),
        "sample": np.array([4, 6]),
        "before_0": np.array([[9.0, 9.0, -1.0, 1.0], [0.0, 9.0, 2.0, 3.0]]),
        "change_0": np.array([[0.5, 0.0, 0.9, 0.2], [1.0, 0.0, 0.4, 0.8]]),
    }
    empty = {"class_id": np.zeros(0, dtype=np.int64), "sample": np.zeros(0, dtype=np.int64)}
    terms = sensitivity_terms([empty, part], 0, PAIRS)
    assert terms.image.tolist() == [4] * 4 + [6] * 4
    # (0.2 * 1 + 0.8 * 3) / 4; concept 0: 0.5 alone counts; concept 2: 0.4 alone, it spoke against the other
    np.testing.assert_allclose(pair_means(terms, 5), [0.65, 0.5, 0.4, 0.0, np.nan])
    assert len(sensitivity_terms([], 0, PAIRS).pair) == 0


def test_groups_of_a_case_study_never_overlap() -> None:
    scores = np.array([0.1, 0.9, 0.5, 0.3, 1.0])
    context, control = flipped_groups(PAIRS, 0, scores, 3)
    assert (context.concepts, control.concepts) == ((0, 2), (3, 1))
    assert (context.context, control.context) == (pytest.approx(0.7), pytest.approx(0.2))
    assert flipped_groups(PAIRS, 2, scores, 3) == []
    # concept 1 has the lowest score, but 0 and 2 alone carry more than 80 % of what is left without concept 3
    assert [one.concepts for one in flipped_groups(PAIRS, 0, np.array([np.nan, 0.9, 0.5, 0.3, 1.0]), 1)] == [(0,), (2,)]
