"""What holds for every scene."""

import hashlib
import subprocess
import sys
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lcrp.data.scenes import CLASS_NAMES, COMPANIONS, CONTEXT_NAMES, Scene, draw, plan, with_context_swapped

COMPANION_PARTS = {part for parts in COMPANIONS.values() for part in parts}
scenes = st.builds(
    lambda split, index, bias: plan(split, index, context_bias=bias),
    st.sampled_from(("train", "val")),
    st.integers(0, 499),
    st.sampled_from((0.95, 0.2)),
)
few = settings(max_examples=15, deadline=None, derandomize=True)


@few
@given(scenes)
def test_boxes_masks_and_class_mask_agree(scene: Scene):
    drawing = draw(scene)
    assert drawing.numbers == tuple(range(len(scene.objects)))
    assert drawing.masks.sum(0).max() <= 1
    expected = np.zeros((scene.size, scene.size), dtype=np.int64)
    for number, box, label, mask in zip(drawing.numbers, drawing.boxes, drawing.labels, drawing.masks, strict=True):
        assert CLASS_NAMES[label] == scene.objects[number].class_name
        rows, columns = np.nonzero(mask)
        assert len(rows) >= 40
        assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        expected[mask] = label + 1
    assert (drawing.class_mask == expected).all()


@few
@given(scenes)
def test_parts_are_disjoint_and_inside_their_objects(scene: Scene):
    drawing = draw(scene)
    assert sum(mask.astype(int) for mask in drawing.parts.values()).max() <= 1
    for part, mask in drawing.parts.items():
        label = CLASS_NAMES.index(part.split(".")[0])
        inside = drawing.class_mask[mask] == label + 1
        assert not inside.any() if part in COMPANION_PARTS else inside.all()


@few
@given(scenes, st.sampled_from(CONTEXT_NAMES))
def test_objects_keep_their_pixels_when_the_context_is_swapped(scene: Scene, context: str):
    before, after = draw(scene), draw(with_context_swapped(scene, context))
    owned = before.masks.any(0)
    for part in COMPANION_PARTS & set(before.parts):
        owned |= before.parts[part]
    assert (before.image[owned] == after.image[owned]).all()
    assert (before.masks == after.masks).all()
    assert (before.boxes == after.boxes).all()
    assert all((before.parts[part] == after.parts[part]).all() for part in before.parts)


@few
@given(scenes)
def test_objects_stay_visible_and_inside_the_picture(scene: Scene):
    full = []
    for item in scene.objects:
        alone = draw(replace(scene, objects=(item,)))
        left, top, right, bottom = alone.boxes[0]
        assert 0 < left < right < 256
        assert 0 < top < bottom < 256
        full.append(alone.masks[0].sum())
    assert (draw(scene).masks.sum((1, 2)) >= 0.25 * np.array(full)).all()


def test_another_process_draws_the_same_bytes():
    """Guards against hashes, sets or caches that differ between processes, and against the order of drawing."""
    code = (
        "import hashlib; from lcrp.data.scenes import draw, plan; digest = hashlib.sha256(); "
        "[digest.update(draw(plan('val', i)).image.tobytes()) for i in (7, 3, 11)]; "
        "import sys; sys.stdout.write(digest.hexdigest())"
    )
    other = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    images = {index: draw(plan("val", index)).image.tobytes() for index in (11, 7, 3)}
    assert other == hashlib.sha256(images[7] + images[3] + images[11]).hexdigest()
