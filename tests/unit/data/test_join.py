"""Classes belong together by name, and what does not is said."""

import labelled_sets as sets
import numpy as np
import pytest

from lcrp.config.samples import joined_dataset
from lcrp.data.labelled.join import join_classes
from lcrp.data.labelled.layouts import masks, yolo
from lcrp.data.transforms import InputTransform
from lcrp.errors import ConfigError
from lcrp.values.sample import VOID

TRANSFORM = InputTransform(48, 64, "none")


@pytest.mark.parametrize(
    ("data", "network", "targets"),
    [
        (("a", "b"), ("b", "a"), (1, 0)),
        (("Person", "TRAFFIC_LIGHT", "cell-phone"), ("person", "traffic light", "cell phone"), (0, 1, 2)),
        (
            ("aeroplane", "motorbike", "diningtable", "pottedplant", "sofa", "tvmonitor"),
            ("airplane", "motorcycle", "dining table", "potted plant", "couch", "tv"),
            (0, 1, 2, 3, 4, 5),
        ),
        (("airplane", "tv"), ("tvmonitor", "aeroplane"), (1, 0)),
        (("car", "tram"), ("Car", "car"), (1, -1)),
        (("CAR",), ("Car", "car"), (-1,)),  # which of the two?
        (("background", "boat"), ("__background__", "boat"), (0, 1)),
    ],
)
def test_names_are_joined(data, network, targets):
    assert join_classes(data, network).targets == targets


def test_a_persons_map_comes_first_and_may_join_several():
    join = join_classes(("Pedestrian", "rider", "car"), ("person", "car"), {"pedestrian": "person", "rider": "Person"})
    assert join.targets == (0, 0, 1)
    assert str(join) == "3 of 3 classes of the data are known to the network"
    with pytest.raises(
        ConfigError, match=r"class_map names 'x', no class of the data; nearest: 'a'; .*'y', no class of"
    ):
        join_classes(("a",), ("b",), {"x": "y"})


def test_what_is_not_known_is_said():
    join = join_classes(("background", "a", "b", "c"), ("background", "c"))
    assert str(join) == "1 of 3 classes of the data are known to the network; not: a, b"


def test_objects_of_other_classes_are_no_targets(tmp_path):
    dataset = yolo(sets.write_yolo(tmp_path), TRANSFORM)
    joined = dataset.joined(join_classes(dataset.class_names, ("dog", "Vest", "boat")))
    assert joined.class_names == ("dog", "Vest", "boat")
    assert joined.annotated_names == ("", "Vest", "boat")  # of dogs nothing is known
    assert joined[joined.index_of("a.png")].annotation.labels.tolist() == [1, 1]
    assert joined[joined.index_of("deep/b.png")].annotation.labels.tolist() == [2]
    assert joined.fingerprint() == dataset.fingerprint()
    assert "2 of 3 classes of the data are known to the network; not: helmet" in joined.reading.text()


@pytest.mark.parametrize(("network", "around"), [(("background", "vest"), 0), (("vest",), VOID)])
def test_class_masks_are_joined(tmp_path, network, around):
    dataset = yolo(sets.write_yolo(tmp_path), TRANSFORM, segmentation=True)
    joined = dataset.joined(join_classes(dataset.class_names, network))
    mask = joined[joined.index_of("a.png")].annotation.class_mask
    assert mask[25, 40] == network.index("vest")
    assert mask[5, 5] == mask[45, 60] == around  # a helmet is what lies around a vest


class Own:
    """A dataset that knows nothing of joining."""

    def __init__(self, dataset, names):
        self.dataset, self.class_names = dataset, names
        self.name, self.transform, self.key, self.index_of = "own", TRANSFORM, dataset.key, dataset.index_of

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, index):
        return self.dataset[index]

    def fingerprint(self):
        return self.dataset.fingerprint()


def test_any_dataset_is_joined(tmp_path):
    """Names that change meant other labels under one fingerprint."""
    plain = yolo(sets.write_yolo(tmp_path), TRANSFORM)
    joined = [
        joined_dataset(Own(plain, names), ("boat", "vest"), {})
        for names in (("helmet", "vest", "boat"), ("vest", "boat", "helmet"))
    ]
    first = plain.index_of("a.png")
    assert [one[first].annotation.labels.tolist() for one in joined] == [[1, 1], [1, 0, 0]]
    assert joined[0].annotated_names == ("boat", "vest")
    assert joined[0][first].annotation.masks.shape == (2, *sets.SIZE)
    assert (len(joined[0]), joined[0].key(first), joined[0].index_of("a.png")) == (3, "a.png", first)
    assert len({one.fingerprint() for one in (plain, *joined)}) == 3
    with_none = Own(plain, ("x", "y", "z"))
    assert joined_dataset(with_none, ("boat",), {}) is with_none


def test_parts_of_masks_are_joined(tmp_path):
    sets.draw(tmp_path / "images")
    pixels = np.zeros(sets.SIZE, dtype=np.uint8)
    pixels[2:12, 2:12], pixels[20:40, 30:50] = 1, 2
    for key in sets.BOXES:
        (tmp_path / "masks" / key).parent.mkdir(parents=True, exist_ok=True)
        sets.Image.fromarray(pixels).save(tmp_path / f"masks/{key}.png")
    dataset = masks(tmp_path / "images", tmp_path / "masks", TRANSFORM, class_names=["background", "helmet", "boat"])
    joined = dataset.joined(join_classes(dataset.class_names, ("car", "boat")))
    assert joined.annotated_names == ("", "boat")
    assert joined[0].annotation.labels.tolist() == [1]
    assert joined[0].annotation.boxes.tolist() == [[30, 20, 50, 40]]
