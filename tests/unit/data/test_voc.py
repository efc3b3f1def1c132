import numpy as np
import pytest
import torch
from PIL import Image

from lcrp.data.transforms import InputTransform
from lcrp.data.voc import CLASS_NAMES, voc2012
from lcrp.errors import ConfigError, DataError

TRANSFORM = InputTransform(40, 40, "none")


def official_palette():
    """Colour of class c: bit j of channel k is bit 3 i + k of c, highest first (VOC development kit)."""
    colours = []
    for number in range(21):
        channels = [0, 0, 0]
        for place in range(8):
            for channel in range(3):
                channels[channel] |= ((number >> (3 * place + channel)) & 1) << (7 - place)
        colours.append(tuple(channels))
    return colours


def write(root, names, split="val"):
    base = root / "VOCdevkit/VOC2012"
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (base / folder).mkdir(parents=True, exist_ok=True)
    (base / f"ImageSets/Segmentation/{split}.txt").write_text("".join(f"{name}\n" for name in names))
    for number, name in enumerate(names):
        Image.new("RGB", (40, 40), (10, 20, 30)).save(base / f"JPEGImages/{name}.jpg")
        values = np.full((40, 40), number, dtype=np.uint8)
        values[:5] = 255
        mask = Image.fromarray(values, mode="P")
        mask.putpalette([value for colour in official_palette() for value in colour])
        mask.save(base / f"SegmentationClass/{name}.png")
    return root


@pytest.fixture
def root(tmp_path):
    return write(tmp_path, ["2008_000009", "2007_000033", "2007_000042"])


def test_classes_are_in_the_official_order():
    assert len(CLASS_NAMES) == 21
    assert [CLASS_NAMES.index(name) for name in ("background", "horse", "person", "tvmonitor")] == [0, 13, 15, 20]


def test_samples_follow_the_list(root):
    pictures = voc2012(root, TRANSFORM)
    assert pictures.name == "voc2012 val"
    assert [pictures.key(index) for index in range(3)] == ["2008_000009", "2007_000033", "2007_000042"]
    assert pictures.index_of("2007_000033") == 1
    assert pictures.class_names == CLASS_NAMES
    sample = pictures[2]
    assert sample.annotation.class_mask.dtype == torch.int64
    assert (sample.annotation.class_mask[:5] == 255).all()
    assert (sample.annotation.class_mask[5:] == 2).all()
    assert sample.annotation.boxes.shape == (0, 4)
    assert sample.annotation.masks is None


def test_splits_are_lists_of_their_own(root):
    write(root, ["2007_000042"], split="trainval")
    assert len(voc2012(root, TRANSFORM, split="trainval")) == 1
    with pytest.raises(DataError, match=r"misses .*Segmentation/train\.txt; download http.*VOCtrainval.*\(2\.0 GB\)"):
        voc2012(root, TRANSFORM, split="train")
    with pytest.raises(ConfigError, match=r"^split='test' is unknown; nearest: .*'trainval'"):
        voc2012(root, TRANSFORM, split="test")


@pytest.mark.parametrize("folder", ["JPEGImages", "SegmentationClass"])
def test_missing_folders_say_what_to_download(root, folder):
    (root / "VOCdevkit/VOC2012" / folder).rename(root / "elsewhere")
    with pytest.raises(DataError, match=rf"misses .*{folder}; download .*'lcrp stage=download dataset=voc2012 data"):
        voc2012(root, TRANSFORM)


def test_blank_lines_and_a_mark_are_no_samples(root):
    """They shifted the numbers of all samples behind them, and the first one was lost."""
    path = root / "VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt"
    before = voc2012(root, TRANSFORM)
    path.write_text("\ufeff" + path.read_text().replace("\n", "\r\n\n  \n") + "\n\n", "utf-8")
    assert voc2012(root, TRANSFORM).keys == before.keys
    assert voc2012(root, TRANSFORM).fingerprint() == before.fingerprint()


def test_an_empty_list_is_refused(root):
    write(root, [])
    with pytest.raises(DataError, match=r"val\.txt names no picture"):
        voc2012(root, TRANSFORM)


def test_broken_samples_say_what_is_wrong(root):
    pictures, masks = voc2012(root, TRANSFORM), root / "VOCdevkit/VOC2012/SegmentationClass"
    (masks / "2008_000009.png").unlink()
    Image.new("RGB", (40, 40)).save(masks / "2007_000033.png")
    Image.new("L", (40, 40), 21).save(masks / "2007_000042.png")
    with pytest.raises(DataError, match=r"mask .*2008_000009\.png is missing"):
        pictures[0]
    with pytest.raises(DataError, match=r"2007_000033\.png holds colours \(RGB\), not the class of every pixel"):
        pictures[1]
    with pytest.raises(DataError, match=r"042\.png has the values \[21\], but voc2012 val has the classes 0 to 20"):
        pictures[2]
    Image.new("L", (40, 30)).save(masks / "2007_000042.png")
    with pytest.raises(DataError, match=r"has 30x40 pixels, its picture 40x40"):
        pictures[2]
    (masks / "2007_000042.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(DataError, match=r"mask .* cannot be read"):
        pictures[2]
    (root / "VOCdevkit/VOC2012/JPEGImages/2007_000042.jpg").unlink()
    with pytest.raises(DataError, match=r"picture .* is missing"):
        pictures[2]


def test_fingerprint_knows_split_masks_and_transform(root):
    before = voc2012(root, TRANSFORM).fingerprint()
    assert voc2012(root, TRANSFORM).fingerprint() == before
    assert voc2012(root, InputTransform(20, 20)).fingerprint() != before
    write(root, ["2008_000009", "2007_000033", "2007_000042"], split="train")
    assert voc2012(root, TRANSFORM, split="train").fingerprint() != before
    (root / "VOCdevkit/VOC2012/SegmentationClass/2007_000033.png").write_bytes(b"")
    assert voc2012(root, TRANSFORM).fingerprint() != before


def test_real_masks_are_resized_and_cut_as_the_forerunner_does(shared):
    """Shorter side 513, nearest pixel, centre 513 x 513 (torchvision's Resize and CenterCrop on PIL pictures)."""
    root, side = shared / "data/voc2012", 513
    pictures = voc2012(root, InputTransform(side, side, "shorter_crop"))
    assert len(pictures) == 20
    for index in (0, 7):
        sample = pictures[index]
        raw = Image.open(root / f"VOCdevkit/VOC2012/SegmentationClass/{sample.key}.png")
        width, height = raw.size
        size = (side, int(side * height / width)) if width < height else (int(side * width / height), side)
        left, top = (round((length - side) / 2) for length in size)
        rows = (2 * np.arange(top, top + side) + 1) * height // (2 * size[1])  # the pixel under each centre
        columns = (2 * np.arange(left, left + side) + 1) * width // (2 * size[0])
        mask = sample.annotation.class_mask.numpy()
        np.testing.assert_array_equal(mask, np.array(raw)[np.ix_(rows, columns)])
        cut = (left, top, left + side, top + side)
        nearest = np.array(raw.resize(size, Image.Resampling.NEAREST).crop(cut))
        assert (mask != nearest).mean() < 1e-4  # PIL takes the other one where a centre lies between two pixels
        photo = Image.open(root / f"VOCdevkit/VOC2012/JPEGImages/{sample.key}.jpg").convert("RGB")
        expected = np.array(photo.resize(size, Image.Resampling.BILINEAR).crop(cut), dtype=np.float64) / 255
        assert np.abs(sample.image.permute(1, 2, 0).numpy() - expected).max() < 1.5 / 255
