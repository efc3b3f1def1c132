"""Plans, drawings and interventions of scenes."""

from collections import Counter
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from lcrp.data.scenes import (
    CLASS_NAMES,
    COMPANIONS,
    CONTEXT_NAMES,
    OWN_CONTEXT,
    PARTS,
    Scene,
    draw,
    plan,
    with_context_swapped,
    without_object,
    without_part,
)
from lcrp.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [plan("val", index) for index in range(250)]


def scene_with(class_name: str) -> Scene:
    """The first picture with only objects of this class."""
    for index in range(500):
        scene = plan("val", index)
        if {item.class_name for item in scene.objects} == {class_name}:
            return scene
    raise AssertionError(f"no picture of a {class_name} alone")


def grown(mask: np.ndarray) -> np.ndarray:
    """A mask and the pixels that touch it, which share half covered pixels with it."""
    padded = np.pad(mask, 1)
    height, width = mask.shape
    return np.any([padded[y : y + height, x : x + width] for y in range(3) for x in range(3)], axis=0)


def test_every_context_is_home_to_some_class():
    assert set(OWN_CONTEXT.values()) == set(CONTEXT_NAMES)
    assert set(OWN_CONTEXT) == set(CLASS_NAMES) == set(PARTS)


def own_share(scenes: list[Scene]) -> float:
    """Share of objects that stand in their own context."""
    own = [s.context_of(i) == OWN_CONTEXT[item.class_name] for s in scenes for i, item in enumerate(s.objects)]
    return float(np.mean(own))


def test_most_objects_stand_in_their_own_context(scenes):
    assert own_share(scenes) == pytest.approx(0.95 + 0.05 / 5, abs=0.03)


def test_at_a_low_bias_objects_stand_anywhere():
    scenes = [plan("val", index, context_bias=0.2) for index in range(250)]
    assert own_share(scenes) == pytest.approx(0.2 + 0.8 / 5, abs=0.06)
    pairs = {(item.class_name, scene.context_of(i)) for scene in scenes for i, item in enumerate(scene.objects)}
    assert len(pairs) == len(CLASS_NAMES) * len(CONTEXT_NAMES)


def test_classes_are_about_equally_frequent(scenes):
    counts = Counter(item.class_name for scene in scenes for item in scene.objects)
    shares = np.array([counts[name] for name in CLASS_NAMES]) / counts.total()
    assert np.abs(shares - 1 / 6).max() < 0.03


def test_pictures_hold_one_to_four_objects_of_varied_size(scenes):
    counts = Counter(len(scene.objects) for scene in scenes)
    assert set(counts) == {1, 2, 3, 4}
    sizes = np.array([item.size for scene in scenes for item in scene.objects])
    assert sizes.min() >= 0.08
    assert sizes.max() <= 0.60
    assert np.quantile(sizes, 0.1) < 0.16 < 0.40 < np.quantile(sizes, 0.9)


def test_about_half_of_the_pictures_have_overlapping_boxes(scenes):
    def overlapping(scene: Scene) -> bool:
        boxes = draw(scene).boxes
        return any((np.minimum(a[2:], b[2:]) > np.maximum(a[:2], b[:2])).all() for a, b in combinations(boxes, 2))

    assert 0.4 < np.mean([overlapping(scene) for scene in scenes[:80]]) < 0.7


def test_splits_and_indices_give_different_pictures():
    assert plan("val", 3).objects != plan("train", 3).objects
    assert plan("val", 3).objects != plan("val", 4).objects


def test_object_stands_on_the_context_that_the_plan_says(scenes):
    wrong = 0
    for scene in scenes[:60]:
        bare = draw(replace(scene, objects=()))
        for number, item in enumerate(scene.objects):
            row, column = int(item.foot * scene.size) - 1, int(item.x * scene.size)
            wrong += CONTEXT_NAMES[bare.context[row, column]] != scene.context_of(number)
    assert wrong <= 2  # a bush may stand before a foot


def test_unhidden_object_is_as_large_as_planned(scenes):
    for scene in scenes[:20]:
        for item in scene.objects:
            box = draw(replace(scene, objects=(item,))).boxes[0]
            side = max(box[2] - box[0], box[3] - box[1])
            assert side == pytest.approx(item.size * scene.size, abs=4)


@pytest.mark.parametrize("class_name", CLASS_NAMES)
def test_parts_fill_the_mask_and_companions_lie_outside(class_name):
    drawing = draw(scene_with(class_name))
    mask = drawing.masks.any(0)
    covered = np.zeros_like(mask)
    for part in PARTS[class_name]:
        assert drawing.parts[part].any()
        assert not (drawing.parts[part] & ~mask).any()
        covered |= drawing.parts[part]
    assert (covered == mask).all()
    for part in COMPANIONS.get(class_name, ()):
        assert drawing.parts[part].any()
        assert not (drawing.parts[part] & mask).any()


@pytest.mark.parametrize("class_name", CLASS_NAMES)
def test_removed_part_is_gone_and_nothing_else_moves(class_name):
    scene = scene_with(class_name)
    scene = replace(scene, objects=scene.objects[:1])
    before = draw(scene)
    for part in (*PARTS[class_name], *COMPANIONS.get(class_name, ())):
        after = draw(without_part(scene, 0, part))
        assert part not in after.parts
        near = grown(before.parts[part])
        for name in set(before.parts) - {part}:
            stayed = before.parts[name] & ~near
            assert not (stayed & ~after.parts[name]).any()
            assert (before.image[stayed] == after.image[stayed]).all()
        if part in COMPANIONS.get(class_name, ()):
            assert (before.masks <= after.masks).all()
        else:
            assert not (after.masks & ~before.masks).any()
        assert (after.context == before.context).all()


def test_removed_object_leaves_the_picture_behind_it():
    scene = scene_with("boat")
    empty = without_object(replace(scene, objects=scene.objects[:1]), 0)
    drawing = draw(empty)
    assert drawing.masks.shape == (0, 256, 256)
    assert drawing.boxes.shape == (0, 4)
    assert drawing.labels.shape == (0,)
    assert not drawing.class_mask.any()
    assert not drawing.parts


def test_swapping_one_context_leaves_the_other_bands_alone():
    scene = next(s for s in (plan("val", i) for i in range(100)) if len({o.band for o in s.objects}) > 1)
    swapped = with_context_swapped(scene, "grass", number=0)
    band = scene.objects[0].band
    assert swapped.context_of(0) == "grass"
    assert all(a == b for i, (a, b) in enumerate(zip(scene.bands, swapped.bands, strict=True)) if i != band)
    assert swapped.objects == scene.objects


def test_swapped_context_fills_the_picture():
    scene = plan("val", 0)
    for context in CONTEXT_NAMES:
        assert (draw(with_context_swapped(scene, context)).context == CONTEXT_NAMES.index(context)).all()


def test_contexts_look_different():
    scene = replace(plan("val", 0), objects=())
    means = [draw(with_context_swapped(scene, context)).image.mean((0, 1)) for context in CONTEXT_NAMES]
    assert min(np.abs(a - b).max() for a, b in combinations(means, 2)) > 12


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plan("test", 0), r"^split='test' is unknown; nearest: .*'train'"),
        (lambda: plan("val", 500), r"no picture 500 in split 'val'.*0 to 499"),
        (lambda: plan("val", -1), r"no picture -1"),
        (lambda: plan("val", 0, context_bias=1.5), r"^context_bias=1.5 is out of range; write a value from 0 to 1"),
        (lambda: with_context_swapped(plan("val", 0), "snow"), r"context 'snow' is unknown.*'sand'"),
        (lambda: without_part(scene_with("boat"), 0, "car.body"), r"'car.body' does not belong to a boat.*'boat.sail'"),
        (lambda: without_object(plan("val", 0), 9), r"object 9 is not in picture 'val/00000'"),
    ],
)
def test_errors_name_the_value_and_the_choices(call, message):
    with pytest.raises((ConfigError, DataError), match=message):
        call()
