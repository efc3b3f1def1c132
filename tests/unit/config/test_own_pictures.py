"""Pictures and a network of a person's own, and no dataset: the pictures' folder, and the network's own size."""

from pathlib import Path

import pytest

from lcrp.config.compose import composed_node, composition
from lcrp.config.own_pictures import of_own_pictures
from lcrp.errors import DataError

OWN = ["stage=render", "model=yolov5", "model.checkpoint=best.pt"]
FOLDER = ["dataset=folder"]


@pytest.fixture(autouse=True)
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("photo.jpg", "a b/it's, (1).jpg", "holiday/1.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()


@pytest.mark.parametrize(
    ("image", "path"),
    [
        ("photo.jpg", "."),
        ("holiday/1.jpg", "holiday"),
        ("holiday", "holiday"),
        ("'holiday/*.jpg'", "holiday/*.jpg"),
        (r"'a b/it\'s, (1).jpg'", "a b"),
        ("holiday/1.jpg,'a b'", "${stage.image}"),
        ("holiday/1.jpg,holiday", "holiday"),
    ],
)
def test_their_folder_is_the_dataset(image: str, path: str) -> None:
    given = [*OWN, f"stage.image={image}"]
    assert of_own_pictures(given) == [*given, *FOLDER, f"dataset.path={path}"]


@pytest.mark.parametrize(
    "more",
    [
        ["stage.image=photo.jpg", "dataset=coco2017"],
        ["stage.image=photo.jpg", "dataset.root=coco"],
        ["stage.image=photo.jpg", "+experiment=yolov6_person"],
        ["stage.image=photo.jpg", "model.checkpoint=random"],
        ["stage.image=photo.jpg", "model.checkpoint=best.pt,embedded:yolov5_scenes"],
        ["stage.image=phot.jpg,photo.jpg"],
        ["stage.image=["],
        ["stage.image=null"],
        ["stage.samples=[3]"],
    ],
)
def test_what_is_not_both_ones_own_stays(more: list[str]) -> None:
    assert of_own_pictures([*OWN, *more]) == [*OWN, *more]


def test_a_picture_that_is_not_there_is_told_at_once() -> None:
    with pytest.raises(DataError, match=r"'phot.jpg' is not there; .* Nearest in '.*': 'photo.jpg'"):
        of_own_pictures([*OWN, "stage.image=phot.jpg"])


def test_the_networks_own_input_and_layer_count() -> None:
    """Those of the embedded network are of another, for pictures of 256 pixels."""
    with composition():
        found = composed_node(of_own_pictures([*OWN, "stage.image=photo.jpg"])).model
        published = composed_node(["model=yolov5", *FOLDER, "dataset.path=."]).model
    assert (found.input.height, found.layer) == (640, published.layer)
