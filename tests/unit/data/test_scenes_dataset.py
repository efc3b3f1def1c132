"""Scenes as a dataset."""

import numpy as np
import pytest
import torch

from lcrp.data.scenes import CLASS_NAMES, ScenesDataset, draw, with_context_swapped
from lcrp.data.transforms import InputTransform
from lcrp.errors import ConfigError, DataError


def test_sample_carries_the_drawing():
    dataset = ScenesDataset("val")
    sample, drawing = dataset[12], draw(dataset.scene(12))
    assert (sample.index, sample.key) == (12, "val/00012")
    assert sample.image.dtype == torch.float32
    assert np.allclose(sample.image.permute(1, 2, 0).numpy() * 255, drawing.image, atol=1e-3)
    annotation = sample.annotation
    assert annotation is not None
    assert annotation.boxes.dtype == torch.float32
    assert annotation.boxes.tolist() == drawing.boxes.tolist()
    assert annotation.labels.tolist() == drawing.labels.tolist()
    assert annotation.masks is not None
    assert annotation.class_mask is not None
    assert annotation.context is not None
    assert annotation.masks.dtype == torch.bool
    assert (annotation.masks.numpy() == drawing.masks).all()
    assert (annotation.class_mask.numpy() == drawing.class_mask).all()
    assert (annotation.context.numpy() == drawing.context).all()
    assert set(annotation.parts) == set(drawing.parts)


def test_segmentation_counts_the_background():
    detection, segmentation = ScenesDataset("val"), ScenesDataset("val", segmentation=True)
    assert detection.class_names == CLASS_NAMES
    assert segmentation.class_names == ("background", *CLASS_NAMES)
    first, second = detection[5].annotation, segmentation[5].annotation
    assert first is not None
    assert second is not None
    assert (second.labels - first.labels).tolist() == [1] * len(first.labels)
    assert second.class_mask is not None
    assert set(second.labels.tolist()) == set(second.class_mask.unique().tolist()) - {0}
    assert segmentation[5].image.equal(detection[5].image)


def test_intervention_is_drawn_as_a_sample():
    dataset = ScenesDataset("val")
    before, after = dataset[2], dataset.sample(with_context_swapped(dataset.scene(2), "sand"))
    assert before.annotation is not None
    assert before.annotation.masks is not None
    mask = before.annotation.masks.any(0)
    assert after.key == before.key
    assert after.image[:, mask].equal(before.image[:, mask])
    assert not after.image.equal(before.image)


def test_transform_moves_picture_and_boxes():
    plain, small = ScenesDataset("val")[0], ScenesDataset("val", transform=InputTransform(128, 128, "stretch"))[0]
    assert small.image.shape == (3, 128, 128)
    assert small.geometry.scale == (0.5, 0.5)
    assert plain.annotation is not None
    assert small.annotation is not None
    assert torch.allclose(small.annotation.boxes, plain.annotation.boxes / 2)


def test_lengths_keys_and_indices():
    train, val = ScenesDataset("train"), ScenesDataset("val")
    assert (len(train), len(val)) == (5000, 500)
    assert val.index_of(val.key(499)) == 499
    with pytest.raises(DataError, match="val/00500"):
        val.index_of("val/00500")
    with pytest.raises(DataError, match="no sample 500"):
        val[500]


def test_fingerprint_covers_what_alters_the_samples():
    variants = [
        ScenesDataset("val"),
        ScenesDataset("train"),
        ScenesDataset("val", context_bias=0.2),
        ScenesDataset("val", segmentation=True),
        ScenesDataset("val", transform=InputTransform(128, 128, "stretch")),
    ]
    assert len({dataset.fingerprint() for dataset in variants}) == len(variants)
    assert ScenesDataset("val").fingerprint() == variants[0].fingerprint()


def test_errors_name_the_choices():
    with pytest.raises(ConfigError, match=r"^split='test' is unknown; nearest: .*'val'"):
        ScenesDataset("test")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="context_bias=-1 is out of range"):
        ScenesDataset("val", context_bias=-1)
