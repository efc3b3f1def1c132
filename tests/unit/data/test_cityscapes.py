import numpy as np
import pytest
import torch
from PIL import Image

from lcrp.data.cityscapes import CLASS_NAMES, cityscapes, read_label_ids
from lcrp.data.transforms import InputTransform
from lcrp.errors import ConfigError, DataError

TRANSFORM = InputTransform(8, 16, "stretch")
# class by label id, written out; every other id is class 19
CLASS_OF = {7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10}
CLASS_OF |= {24: 11, 25: 12, 26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18}
NAMES = "road,sidewalk,building,wall,fence,pole,traffic light,traffic sign,vegetation,terrain,sky,person,rider,car,"
NAMES += "truck,bus,train,motorcycle,bicycle,ground"
KEYS = ("munster_000001_000019", "frankfurt_000001_000019", "frankfurt_000000_000294")


@pytest.fixture
def root(tmp_path):
    for number, key in enumerate(KEYS):
        city = key.partition("_")[0]
        picture, mask = (tmp_path / part / "val" / city for part in ("leftImg8bit", "gtFine"))
        picture.mkdir(parents=True, exist_ok=True)
        mask.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 16), (9, 9, 9)).save(picture / f"{key}_leftImg8bit.png")
        Image.new("L", (32, 16), 24 + number).save(mask / f"{key}_gtFine_labelIds.png")
        Image.new("L", (32, 16), 0).save(mask / f"{key}_gtFine_instanceIds.png")
    return tmp_path


def test_label_ids_become_classes(tmp_path):
    Image.fromarray(np.arange(256, dtype=np.uint8)[None]).save(tmp_path / "mask.png")
    expected = [CLASS_OF.get(number, 19) for number in range(256)]
    assert read_label_ids(tmp_path / "mask.png").tolist() == [expected]


def test_classes_have_their_names():
    assert ",".join(CLASS_NAMES) == NAMES


def test_samples_are_sorted_by_city_and_name(root):
    pictures = cityscapes(root, TRANSFORM)
    assert [pictures.key(index) for index in range(len(pictures))] == sorted(KEYS)
    assert [int(pictures[index].annotation.class_mask.unique()) for index in range(3)] == [13, 12, 11]
    sample = pictures[0]
    assert (sample.image.shape, sample.annotation.class_mask.shape) == ((3, 8, 16), (8, 16))
    assert pictures.class_names == CLASS_NAMES


def test_the_forerunners_label_folder(root):
    folder = root / "meta/label_imgs"
    folder.mkdir(parents=True)
    for number, key in enumerate(sorted(KEYS)):
        Image.new("L", (32, 16), 17 + number).save(folder / f"{key}.png")
    pictures = cityscapes(root, TRANSFORM, labels="meta/label_imgs")
    assert [int(pictures[index].annotation.class_mask.unique()) for index in range(3)] == [17, 18, 19]
    assert pictures.fingerprint() != cityscapes(root, TRANSFORM).fingerprint()
    Image.new("L", (32, 16), 33).save(folder / f"{KEYS[0]}.png")  # a label id, not a class
    with pytest.raises(DataError, match=r"has the values \[33\], but cityscapes val has the classes 0 to 19"):
        pictures[pictures.index_of(KEYS[0])]
    with pytest.raises(DataError, match=r"meta/labels is not there$"):
        cityscapes(root, TRANSFORM, labels="meta/labels")


@pytest.mark.parametrize("folder", ["leftImg8bit", "gtFine"])
def test_missing_folders_say_that_an_account_is_needed(root, folder):
    (root / folder).rename(root / "elsewhere")
    with pytest.raises(DataError, match=rf"misses .*{folder}/val; Cityscapes needs an account: .* into {root}, or set"):
        cityscapes(root, TRANSFORM)


def test_other_splits_and_empty_folders(root):
    with pytest.raises(ConfigError, match=r"^split='test' is unknown; nearest: 'train', 'val'"):
        cityscapes(root, TRANSFORM, split="test")
    for part in ("leftImg8bit", "gtFine"):
        (root / part / "train").mkdir()
    with pytest.raises(DataError, match=r"leftImg8bit/train holds no pictures called CITY/\*_leftImg8bit\.png"):
        cityscapes(root, TRANSFORM, split="train")


def test_a_missing_mask_is_a_broken_sample(root):
    (root / f"gtFine/val/munster/{KEYS[0]}_gtFine_labelIds.png").unlink()
    with pytest.raises(DataError, match=r"mask .*munster.*labelIds\.png is missing"):
        cityscapes(root, TRANSFORM)[2]


def test_real_masks(shared):
    """Each pixel of the input shows the class at its centre in the raw file."""
    root = shared / "data/cityscapes"
    pictures = cityscapes(root, InputTransform(256, 512, "stretch"))
    assert len(pictures) == 8
    for index in (0, 5):
        sample = pictures[index]
        raw = np.array(Image.open(root / f"gtFine/val/frankfurt/{sample.key}_gtFine_labelIds.png"))
        height, width = raw.shape
        rows = ((np.arange(256) + 0.5) * height / 256).astype(int)
        columns = ((np.arange(512) + 0.5) * width / 512).astype(int)
        expected = np.vectorize(lambda number: CLASS_OF.get(number, 19))(raw[np.ix_(rows, columns)])
        np.testing.assert_array_equal(sample.annotation.class_mask.numpy(), expected)
        assert sample.image.shape == (3, 256, 512)
        assert torch.isfinite(sample.image).all()
