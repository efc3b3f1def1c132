"""A photograph much larger than the input: its objects are found in tiles, each once, and explained where they are."""

import numpy as np
import pytest
import torch
from matplotlib.text import Text
from PIL import Image
from torchvision.ops import box_iou

import lcrp
from lcrp.data.scenes.draw import draw
from lcrp.data.scenes.names import CLASS_NAMES
from lcrp.data.scenes.plan import plan
from lcrp.errors import ConfigError, TargetError

TILES = {"size": 256, "overlap": 0.5}
MARGIN = 20  # pixels around an object
PLACES = {"car": (82, (60, 40)), "boat": (51, (520, 330))}


@pytest.fixture(scope="module")
def photograph() -> tuple[Image.Image, dict[str, list[float]]]:
    """Of 800x560 pixels, and where its objects are."""
    canvas, boxes = Image.new("RGB", (800, 560), (122, 130, 112)), {}
    for name, (index, (x, y)) in PLACES.items():
        drawing = draw(plan("val", index))
        (box,) = drawing.boxes[drawing.labels == CLASS_NAMES.index(name)]
        corners = np.concatenate([box[:2] - MARGIN, box[2:] + MARGIN]).clip(0, 256).astype(int)
        canvas.paste(Image.fromarray(drawing.image).crop(tuple(corners.tolist())), (x, y))
        boxes[name] = (box - [*corners[:2], *corners[:2]] + [x, y, x, y]).tolist()
    return canvas, boxes


@pytest.fixture(scope="module")
def explainer() -> "lcrp.Explainer":
    return lcrp.load("embedded:yolov6_scenes", input=256, tiles=TILES)


def test_every_object_is_found_once_and_explained_where_it_is(photograph, explainer) -> None:
    picture, boxes = photograph
    found = lcrp.explain(explainer, picture)
    assert sorted(one.class_name for one in found) == ["boat", "car"]
    assert [one.confidence for one in found] == sorted((one.confidence for one in found), reverse=True)
    for one in found:
        true = boxes[one.class_name]
        assert float(box_iou(torch.tensor([one.box]), torch.tensor([true]))) >= 0.8
        assert one.picture_size == (560, 800)
        heat = one.on_picture().values.clip(0)
        assert heat.shape == (560, 800)
        left, top, right, bottom = (round(edge) for edge in true)
        assert heat[top:bottom, left:right].sum() >= 0.9 * heat.sum()


def test_a_class_a_rank_and_a_box_mean_the_decision_in_the_photograph(photograph, explainer) -> None:
    picture, boxes = photograph
    (boat,) = lcrp.explain(explainer, picture, class_name="boat", rank=0)
    (again,) = lcrp.explain(explainer, picture, box=boxes["boat"])
    assert boat.to_dict() == again.to_dict()
    with pytest.raises(TargetError, match=r"no number 1 of 'boat' in all tiles: there are 1; found are boat, car"):
        lcrp.explain(explainer, picture, class_name="boat", rank=1)
    with pytest.raises(TargetError, match=r"no detection overlaps box .* by an IoU of 0.5; nearest: 'car' at \["):
        lcrp.explain(explainer, picture, box=(10, 10, 90, 60))


def test_places_count_in_the_whole_photograph_and_areas_in_the_tile(photograph, explainer) -> None:
    """Each boat is the only one on its tile."""
    picture, boxes = photograph
    left, top, right, bottom = (round(edge) for edge in boxes["boat"])
    boat = picture.crop((left - MARGIN, top - MARGIN, right + MARGIN, bottom + MARGIN))
    two = picture.copy()
    two.paste(boat, (80, 330))
    found = [one for one in lcrp.explain(explainer, two) if one.class_name == "boat"]
    assert [one.rank for one in found] == [0, 1]
    assert sorted(one.item for one in found) == [0, 1]
    assert found[0].geometry.tile != found[1].geometry.tile
    for one in found:
        (again,) = lcrp.explain(explainer, two, class_name="boat", item=one.item)
        assert again.to_dict() == one.to_dict()
    texts = " ".join(text.get_text() for text in found[1].plot().findobj(Text))
    assert "2nd most confident boat" in texts
    assert "% of the tile)" in texts


def test_tiles_are_written_as_size_and_overlap() -> None:
    for given in ({"overlap": 0.2}, {"size": "big"}, {"size": 256, "stride": 2}, 256):
        with pytest.raises(ConfigError, match=r"is no tiling: give \{\"size\": PIXELS, \"overlap\": SHARE\}"):
            lcrp.load("embedded:yolov6_scenes", tiles=given)
    with pytest.raises(ConfigError, match=r"tiles.size=16"):
        lcrp.load("embedded:yolov6_scenes", tiles={"size": 16})
