"""What would have carried a missed object: beside derivatives taken by hand, and passes altered by hand."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.ops import box_iou

import lcrp
from lcrp.attribution.ablation import outputs_with
from lcrp.composites.spec import GRADIENT
from lcrp.data.scenes import ScenesDataset
from lcrp.decisions.explainer import Explainer
from lcrp.decisions.lacking import GIVEN_BACK, NUM_RANDOM, lacking, searches
from lcrp.decisions.misses import Filter, Judged, candidates_in, judged
from lcrp.decisions.seen import Seen, cells, fallen, found_object, missed_object, with_signs, without_detail
from lcrp.values.missed import Lacking, Mechanism, Miss

LAYER = "neck.Rep_p3.conv1.rbr_dense.conv"
PICTURES = range(24)


@pytest.fixture(scope="module")
def explainer() -> Explainer:
    return lcrp.load("yolov6")


@pytest.fixture(scope="module")
def dataset(explainer: Explainer) -> ScenesDataset:
    return ScenesDataset("val", transform=explainer.transform)


@pytest.fixture(scope="module")
def pictures(explainer: Explainer, dataset: ScenesDataset) -> list[Judged]:
    with explainer.reader() as attributor:
        samples = [dataset[index] for index in PICTURES]
        return [judged(one, candidates_in(attributor, one.image[None])[0], Filter(), [True] * 6) for one in samples]


@pytest.fixture(scope="module")
def miss(pictures: list[Judged]) -> Miss:
    """One whose box fits, and scores too low."""
    weak = [one for picture in pictures for one in picture.misses() if one.mechanism == Mechanism.BELOW_THRESHOLD]
    return max(weak, key=lambda one: one.candidate.score)


@pytest.fixture(scope="module")
def found(explainer: Explainer, dataset: ScenesDataset, pictures: list[Judged], miss: Miss) -> list[Seen]:
    with explainer.attributor([LAYER]) as attributor:
        return [
            found_object(attributor, dataset[picture.sample], box, miss.class_id, row, dataset.class_names)
            for picture in pictures
            for box, row in _found(picture, miss.class_id, dataset)
        ]


def _found(picture: Judged, class_id: int, dataset: ScenesDataset) -> Iterator[tuple[tuple[float, ...], int]]:
    boxes = dataset[picture.sample].annotation.boxes
    for number, by in enumerate(picture.matching.detections.tolist()):
        if by >= 0 and picture.labels[number] == class_id:
            yield tuple(boxes[number].tolist()), int(picture.candidates.rows[picture.detections[by]])


@pytest.fixture(scope="module")
def here(explainer: Explainer, dataset: ScenesDataset, miss: Miss) -> Seen:
    with explainer.attributor([LAYER]) as attributor:
        return missed_object(attributor, dataset[miss.sample], miss, dataset.class_names)


@pytest.fixture(scope="module")
def told(explainer: Explainer, dataset: ScenesDataset, miss: Miss, here: Seen, found: list[Seen]) -> Lacking:
    return lacking(explainer, dataset[miss.sample], miss, here, found, [LAYER])


def most_alike(here: Seen, found: list[Seen]) -> Seen:
    """The found object whose box is most like another in width and height, of those that the layer carries."""

    def unlike(one: Seen) -> float:
        sides = [(box[2] - box[0] + 1, box[3] - box[1] + 1) for box in (one.box, here.box)]
        return sum(abs(math.log(sides[0][axis] / sides[1][axis])) for axis in (0, 1))

    carried = [one for one in found if abs(one.layer_shares[LAYER]) >= 0.5]
    return min(carried, key=unlike)


def test_its_best_box_is_the_candidate_that_was_dropped(miss: Miss, here: Seen) -> None:
    assert here.explained.row == miss.candidate.row
    assert here.explained.confidence == pytest.approx(miss.candidate.score)
    assert 1 / (1 + math.exp(-here.logit)) >= here.explained.confidence


def test_the_best_box_of_a_class_is_that_of_all_rows(explainer: Explainer, dataset: ScenesDataset, miss: Miss) -> None:
    sample = dataset[miss.sample]
    with explainer.reader() as attributor:
        output = attributor.output(sample.image[None])
    for class_id in range(6):
        scores = output.class_probabilities()[0, :, class_id] * output.objectness()[0]
        overlap = box_iou(output.boxes[0].double(), torch.tensor([miss.box], dtype=torch.float64))[:, 0]
        fitting = [row for row in range(len(scores)) if overlap[row] >= 0.5]
        best = explainer.task.best_at(output, class_id, miss.box)
        assert int(best.rows[0]) == max(fitting, key=lambda row: float(scores[row]))
        assert best.labels.tolist() == [class_id]


def test_the_gain_is_the_derivative_along_what_is_given_back(
    explainer: Explainer, dataset: ScenesDataset, told: Lacking, here: Seen, found: list[Seen]
) -> None:
    donor = most_alike(here, found)
    own = here.patches[LAYER]
    given = nn.functional.interpolate(donor.patches[LAYER][None], size=own.shape[1:], mode="bilinear")[0]
    sample = dataset[told.miss.sample]
    for one in told.concepts[:3]:
        change = torch.zeros_like(own)
        change[one.concept] = 1e-3 * (given - own)[one.concept]
        with explainer.reader() as attributor:
            steps = torch.stack([own + change, own - change])
            output = outputs_with(attributor, sample.image[None], LAYER, here.places[LAYER], steps)
        logits = output.class_logits[:, told.row, told.miss.class_id].double()
        assert float(logits[0] - logits[1]) / 2e-3 == pytest.approx(one.gain, rel=0.05, abs=5e-3)


def test_concepts_are_told_by_what_their_return_adds(told: Lacking, here: Seen, found: list[Seen]) -> None:
    gains = [one.gain for one in told.concepts]
    assert gains == sorted(gains, reverse=True)
    assert min(gains) > 0
    passing = [one for one in found if abs(one.layer_shares[LAYER]) >= 0.5]
    assert told.num_found == len(passing) > 0
    for one in told.concepts:
        assert one.found == pytest.approx(np.mean([float(seen.added[LAYER][one.concept]) for seen in passing]))
        assert one.found > max(one.here, 0)
        assert one.here == pytest.approx(float(here.added[LAYER][one.concept]))


def test_relevance_of_a_layer_adds_up_to_the_logit_it_carries(here: Seen, dataset: ScenesDataset) -> None:
    whole = (0.0, 0.0, *reversed(dataset[0].image.shape[1:]))
    assert cells(whole, dataset[0].image.shape[1:], (8, 8)) == (slice(0, 8), slice(0, 8))
    assert sum(here.scores[LAYER].abs().tolist()) == pytest.approx(1.0, abs=1e-5)
    assert here.layer_shares[LAYER] != 0


def test_giving_back_nothing_changes_nothing(explainer: Explainer, dataset: ScenesDataset, here: Seen) -> None:
    image = dataset[here.sample].image[None]
    with explainer.reader() as attributor:
        own = here.patches[LAYER][None].repeat(2, 1, 1, 1)
        altered = outputs_with(attributor, image, LAYER, here.places[LAYER], own)
        plain = attributor.output(image)
    assert torch.allclose(altered.class_logits[1], plain.class_logits[0], atol=1e-5)
    assert torch.allclose(altered.boxes[0], plain.boxes[0], atol=1e-3)


def test_what_is_given_back_is_what_a_hook_gives(
    explainer: Explainer, dataset: ScenesDataset, told: Lacking, here: Seen, found: list[Seen]
) -> None:
    donor = most_alike(here, found)
    assert donor.key == told.donor
    own = here.patches[LAYER]
    given = nn.functional.interpolate(donor.patches[LAYER][None], size=own.shape[1:], mode="bilinear")[0]
    rows, columns = here.places[LAYER]
    with explainer.attributor([LAYER], composite=GRADIENT) as attributor:

        def give(_: nn.Module, __: object, output: torch.Tensor) -> torch.Tensor:
            output = output.clone()
            output[0, :, rows, columns] = given
            return output

        norm = f"{LAYER.rpartition('.')[0]}.bn"  # the layer is its convolution with it
        handle = dict(attributor.network.named_modules())[norm].register_forward_hook(give)
        try:
            output = attributor.network(attributor.normalised(dataset[here.sample].image[None]))
        finally:
            handle.remove()
    whole = told.returned[-1]
    best = explainer.task.best_at(output, told.miss.class_id, here.box)
    assert whole.num_concepts == 0
    assert float(best.confidence[0]) == pytest.approx(whole.score, abs=1e-4)


def test_random_changes_are_as_many_and_the_same_again(
    explainer: Explainer, dataset: ScenesDataset, told: Lacking, here: Seen, found: list[Seen], miss: Miss
) -> None:
    assert [one.num_concepts for one in told.returned] == [*GIVEN_BACK, 0]
    assert all(one.num_random == NUM_RANDOM for one in told.returned[:-1])
    assert repr(lacking(explainer, dataset[miss.sample], miss, here, found, [LAYER])) == repr(told)


def test_objects_that_a_layer_carries_in_part_are_compared_last(
    explainer: Explainer, dataset: ScenesDataset, miss: Miss, here: Seen, found: list[Seen]
) -> None:
    layers = [f"layer{number}" for number in range(8)]
    (deep, most), (wide, same), (again, part) = searches(layers)
    assert (deep, wide, again) == (tuple(layers[4:]), tuple(layers[2:]), tuple(layers[2:]))
    assert most == same > part > 0
    assert searches(["only"]) == [(("only",), most), (("only",), part)]

    shares = [0.3, -0.25, 0.1]
    partly = [replace(one, layer_shares={LAYER: share}) for one, share in zip(found, shares, strict=False)]
    sample = dataset[miss.sample]
    assert lacking(explainer, sample, miss, here, partly, [LAYER]).num_found == 0
    assert lacking(explainer, sample, miss, here, partly, [LAYER], least=part).num_found == 2


def test_nothing_is_compared_where_none_is_found(
    explainer: Explainer, dataset: ScenesDataset, here: Seen, miss: Miss
) -> None:
    alone = lacking(explainer, dataset[miss.sample], miss, here, [], [LAYER])
    assert alone.num_found == 0
    assert not alone.concepts
    assert not alone.returned
    assert alone.layer == LAYER


def test_things_that_are_not_there_come_before_those_that_fall() -> None:
    found = [{"water": 0.2, "sail": 0.5, "kite": 0.01}, {"water": 0.3, "sail": 0.3, "road": 0.1}]
    here = {"sail": 0.1}
    names = [name for name, *_ in fallen(found, here)]
    assert names == ["water", "road", "sail", "kite"]
    assert fallen(found, here)[0][1:2] == (0.25,)
    assert math.isnan(fallen(found, here)[0][2])
    assert fallen([], here) == ()


def test_patches_of_found_objects_stay_small(here: Seen) -> None:
    small = without_detail(here)
    assert max(max(patch.shape[1:]) for patch in small.patches.values()) <= 16


@pytest.mark.parametrize(
    ("name", "composite"), [("yolov6", "epsilon_gamma_flat"), ("embedded:yolov5_scenes", "epsilon_gamma_flat")]
)
def test_parts_of_a_logit_are_told_by_rules_that_look_at_its_sign(name: str, composite: str) -> None:
    """By z+ a negative logit's relevance is positive, and a miss would be carried by what is absent."""
    network = lcrp.load(name)
    sample = ScenesDataset("val", transform=network.transform)[0]
    told = with_signs(network, sample)
    assert told.composite.name == composite
    assert (told is network) == (network.composite.name == composite)
    assert with_signs(told, sample) is told
