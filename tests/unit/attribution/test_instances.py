"""Masks of single detections: which pixels they hold, and how their logits are explained."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from lcrp.attribution.ablation import ablated_outputs
from lcrp.attribution.detection import DetectionTask
from lcrp.attribution.engine import Attributor
from lcrp.attribution.instances import both_factors, mask_logits, mask_seed, predicted_masks
from lcrp.composites.composites import epsilon_plus_flat
from lcrp.composites.spec import CompositeSpec
from lcrp.errors import ConfigError, TargetError
from lcrp.values.geometry import Geometry
from lcrp.values.prediction import DetectorOutput, ObjectMasks
from lcrp.values.sample import Annotation, Sample
from lcrp.values.target import ExplainedTarget, Target

STRIDE = 4
SIDE = 16  # of the input


def masks_of(*, requires_grad: bool = False) -> ObjectMasks:
    generator = torch.Generator().manual_seed(3)
    coefficients = torch.randn(1, 5, 3, generator=generator).requires_grad_(requires_grad)
    prototypes = torch.randn(1, 3, SIDE // STRIDE, SIDE // STRIDE, generator=generator).requires_grad_(requires_grad)
    return ObjectMasks(coefficients=coefficients, prototypes=prototypes, stride=STRIDE)


def target(row: int, box: tuple[float, float, float, float]) -> ExplainedTarget:
    return ExplainedTarget(
        target=Target(sample=0, class_id=0), key="picture", score=0.9, confidence=0.9, box=box, row=row
    )


def output_of(masks: ObjectMasks | None) -> DetectorOutput:
    """Two rows that are sure, apart from each other, and three that are not."""
    boxes = torch.tensor([[[0.0, 0, 8, 16], [8.0, 0, 16, 16], *[[0.0, 0, 4, 4]] * 3]])
    logits = torch.tensor([[[3.0, -9], [-9, 2], *[[-9, -9]] * 3]])
    return DetectorOutput(boxes=boxes, class_logits=logits, objectness_logits=None, masks=masks)


def sample(annotation: Annotation | None = None) -> Sample:
    image = torch.zeros(3, SIDE, SIDE)
    return Sample(index=0, key="picture", image=image, annotation=annotation, geometry=Geometry.identity((SIDE, SIDE)))


def between(pixel: int) -> tuple[int, float]:
    """The place of the prototypes before a pixel of the input, and the weight of the next one, bilinearly."""
    at = min(max((pixel + 0.5) / STRIDE - 0.5, 0.0), SIDE / STRIDE - 1)
    before = min(int(at), SIDE // STRIDE - 2)
    return before, at - before


def test_a_mask_is_where_its_logit_is_positive_within_its_box() -> None:
    masks = masks_of()
    rows, boxes = torch.tensor([1, 4]), torch.tensor([[2.0, 3.0, 9.4, 16.0], [0.0, 0.0, 16.0, 16.0]])
    found = predicted_masks(masks, 0, rows, boxes)
    assert found.shape == (2, SIDE, SIDE)
    for mask, row, (left, top, right, bottom) in zip(found, rows.tolist(), boxes.tolist(), strict=True):
        logits = sum(masks.coefficients[0, row, p] * masks.prototypes[0, p] for p in range(3))
        for y in range(SIDE):
            for x in range(SIDE):
                (y0, wy), (x0, wx) = (between(at) for at in (y, x))
                value = sum(
                    float(logits[y0 + i, x0 + j]) * (wy if i else 1 - wy) * (wx if j else 1 - wx)
                    for i in (0, 1)
                    for j in (0, 1)
                )
                inside = left <= x + 0.5 < right and top <= y + 0.5 < bottom
                assert bool(mask[y, x]) == (inside and value > 0) or abs(value) < 1e-6


def test_no_detection_has_no_mask() -> None:
    found = predicted_masks(masks_of(), 0, torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4))
    assert found.shape == (0, SIDE, SIDE)


def test_relevance_of_a_mask_is_shared_by_the_factors_of_its_logits() -> None:
    masks = masks_of()
    one = target(2, (4.0, 0.0, 16.0, 16.0))
    seeded, seed = mask_seed(masks, [one], ("boat",))
    assert torch.equal(seeded, both_factors(masks))
    coefficients, prototypes = seed[0, :15].view(5, 3), seed[0, 15:].view(3, 4, 4)
    logits = torch.einsum("p,pyx->yx", masks.coefficients[0, 2], masks.prototypes[0])
    places = [(y, x) for y in range(4) for x in range(1, 4) if logits[y, x] > 0]
    total = sum(float(logits[place]) for place in places)
    for p in range(3):
        parts = {
            (y, x): float(masks.coefficients[0, 2, p] * masks.prototypes[0, p, y, x]) / total / 2 for y, x in places
        }
        assert float(coefficients[2, p]) == pytest.approx(sum(parts.values()), abs=1e-6)
        for y in range(4):
            for x in range(4):
                assert float(prototypes[p, y, x]) == pytest.approx(parts.get((y, x), 0.0), abs=1e-6)
    assert not coefficients[[0, 1, 3, 4]].any()
    assert float(seed.sum()) == pytest.approx(1.0, abs=1e-6)


def test_an_image_without_target_is_not_seeded() -> None:
    masks = masks_of()
    both = ObjectMasks(
        coefficients=masks.coefficients.repeat(2, 1, 1), prototypes=masks.prototypes.repeat(2, 1, 1, 1), stride=STRIDE
    )
    _, seed = mask_seed(both, [None, target(2, (4.0, 0.0, 16.0, 16.0))], ("boat",))
    assert not seed[0].any()
    assert float(seed[1].sum()) == pytest.approx(1.0, abs=1e-6)


def test_a_mask_without_pixels_is_refused() -> None:
    with pytest.raises(TargetError, match=r"the mask of 'boat' in picture holds no pixel"):
        mask_seed(masks_of(), [target(2, (4.1, 4.1, 5.0, 5.0))], ("boat",))


def test_the_mean_logit_is_read_over_the_objects_pixels() -> None:
    masks, one = masks_of(), target(2, (4.0, 0.0, 16.0, 16.0))
    pixels = torch.zeros(1, SIDE, SIDE, dtype=torch.bool)
    pixels[0, 6, 6] = pixels[0, 6, 7] = True  # both between places 1 and 2, of weights 0.125 and 0.375 along x
    logits = torch.einsum("p,pyx->yx", masks.coefficients[0, 2], masks.prototypes[0])
    rows = logits[1] * 0.875 + logits[2] * 0.125
    expected = ((0.875 * rows[1] + 0.125 * rows[2]) + (0.625 * rows[1] + 0.375 * rows[2])) / 2
    assert float(mask_logits(masks, [one], pixels)) == pytest.approx(float(expected), abs=1e-6)


def test_the_mask_is_the_object_of_a_detection() -> None:
    task = DetectionTask(("boat", "kite"))
    output = output_of(masks_of())
    prediction = task.predictions(output)[0]
    explained = task.predicted_targets(prediction, sample())[0]
    assert prediction.masks is not None
    for place, one in enumerate(explained):
        mask = task.object_mask(prediction, one, (SIDE, SIDE))
        assert torch.equal(mask, prediction.masks[place])
        assert one.area == int(mask.sum()) > 0
        assert one.read == ""


def test_a_mask_without_pixels_is_no_mask_but_its_box() -> None:
    """The box's area stood there as that of a mask."""
    task, masks = DetectionTask(("boat", "kite")), masks_of()
    empty = replace(masks, coefficients=torch.zeros_like(masks.coefficients))
    prediction = task.predictions(output_of(empty))[0]
    explained = task.predicted_targets(prediction, sample())[0]
    assert [one.area for one in explained] == [None, None]
    left_half = torch.arange(SIDE) < 8
    assert torch.equal(task.object_mask(prediction, explained[0], (SIDE, SIDE)), left_half.expand(SIDE, SIDE))


class OneMask(nn.Module):
    """A detector whose mask has a branch of its own, which a change elsewhere leaves alone."""

    def __init__(self) -> None:
        super().__init__()
        self.classes, self.prototypes = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 3, 1)

    def forward(self, x: torch.Tensor) -> DetectorOutput:
        logits = self.classes(x).mean(dim=(2, 3))[:, None]
        boxes = x.new_tensor([[[0.0, 0, SIDE, SIDE]]]).expand(len(x), 1, 4)
        prototypes = self.prototypes(x[:, :, ::STRIDE, ::STRIDE])
        masks = ObjectMasks(coefficients=x.new_ones(len(x), 1, 3), prototypes=prototypes, stride=STRIDE)
        return DetectorOutput(boxes=boxes, class_logits=logits, objectness_logits=None, masks=masks)


def test_masks_are_there_for_every_variant_of_a_layer() -> None:
    """Only what the layer leads to has a row per variant by itself."""
    network, task = OneMask().requires_grad_(False), DetectionTask(("boat", "kite"), confidence=0.0)
    composite = CompositeSpec(name="epsilon_plus_flat", build=epsilon_plus_flat)
    image = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    keep = torch.tensor([[True, True], [True, False], [False, False]])
    with Attributor(network, composite, task, layers=["classes"], mean=(0, 0, 0), std=(1, 1, 1)) as attributor:
        plain = task.predictions(attributor.output(image))[0]
        output = ablated_outputs(attributor, image, "classes", keep, torch.zeros(1, 2, 1, 1))
    assert isinstance(output, DetectorOutput)
    found = task.predictions(output)
    assert len(found) == 3
    assert plain.masks is not None
    for one in found:
        assert one.masks is not None
        assert torch.equal(one.masks, plain.masks)


def test_an_annotated_mask_meets_a_mask() -> None:
    task = DetectionTask(("boat", "kite"))
    prediction = task.predictions(output_of(masks_of()))[0]
    own = torch.zeros(1, SIDE, SIDE, dtype=torch.bool)
    own[0, 2:5, 1:3] = True
    annotation = Annotation(boxes=torch.tensor([[0.0, 0, 8, 16]]), labels=torch.tensor([0]), masks=own)
    seen = sample(annotation)
    region = task.region(prediction, task.predicted_targets(prediction, seen)[0][0], seen)
    assert torch.equal(region.inside, own[0])


def test_only_what_is_asked_for_is_seeded() -> None:
    masks = masks_of()
    output = output_of(masks)
    by_class, by_mask = DetectionTask(("boat", "kite")), DetectionTask(("boat", "kite"), read="mask")
    assert "read" not in by_class.identity()
    assert by_mask.identity()["read"] == "mask"
    chosen = by_mask.predicted_targets(by_mask.predictions(output)[0], sample())[0][0]
    assert chosen.read == "mask"
    assert torch.equal(by_class.seed(output, [chosen])[0], output.class_logits)
    assert torch.equal(by_mask.seed(output, [chosen])[0], both_factors(masks))


@pytest.mark.parametrize(("read", "message"), [("mask", "predicts boxes alone"), ("objectness", "has none")])
def test_what_a_detector_has_not_is_not_explained(read: str, message: str) -> None:
    task = DetectionTask(("boat", "kite"), read=read)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=message):
        task.predictions(output_of(None))
