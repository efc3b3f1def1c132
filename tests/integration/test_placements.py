"""Boxes and relevance lie where the objects are, in photographs of any size, however they become the input.

Of known objects, seen by a detector whose every number is known, and by trained ones.
"""

import logging
from collections.abc import Sequence
from functools import cache

import pytest
from placed_world import COLOURS, Measured, SeesColours, coloured, measured, with_objects

import lcrp
from lcrp.errors import TargetError
from lcrp.values.geometry import Box

SIZES = [(360, 640), (900, 300), (479, 641)]  # height, width
RESIZES = ["letterbox", "stretch", "shorter_crop", "rect"]
FEW = ["letterbox", *(pytest.param(one, marks=pytest.mark.slow) for one in RESIZES[1:])]
INPUT = (256, 320)
LAYERS = {
    "yolo": "model.16.cv2.conv",
    "yolov5": "model.17.cv3.conv",
    "yolov6": "neck.Rep_p3.block.0.rbr_dense.conv",
    "ssd": "backbone.vgg.21",
}
LARGE, TILES = (3000, 4000), {"size": 1024, "overlap": 0.25}


def within_sight(size: tuple[int, int], resize: str, given: tuple[int, int]) -> Box:
    """What an input of a size (height, width) shows of a photograph."""
    height, width = size
    if resize != "shorter_crop":
        return 0, 0, width, height
    ratio = max(given[0] / height, given[1] / width)
    seen_height, seen_width = given[0] / ratio, given[1] / ratio
    left, top = (width - seen_width) / 2, (height - seen_height) / 2
    return left, top, left + seen_width, top + seen_height


def part(of: Box, shares: Sequence[float]) -> Box:
    """A part of a box, by shares of its sides, in whole pixels."""
    left, top, right, bottom = of
    x0, y0, x1, y1 = shares
    width, height = right - left, bottom - top
    return round(left + x0 * width), round(top + y0 * height), round(left + x1 * width), round(top + y1 * height)


def explained(explainer: "lcrp.Explainer", picture: object, boxes: dict[str, Box]) -> dict[str, Measured]:
    """What was measured of every object; each is found."""
    by_name = {one.class_name: one for one in lcrp.explain(explainer, picture)}
    return {name: measured(by_name[name], box) for name, box in boxes.items()}


@cache
def seeing(resize: str, composite: str = "epsilon_plus_flat", *, is_tiled: bool = False) -> "lcrp.Explainer":
    """The detector of known numbers."""
    return lcrp.load(
        SeesColours(),
        task="detection",
        class_names=COLOURS,
        input=(*INPUT, resize),
        layer="read",
        composite=composite,
        tiles=TILES if is_tiled else None,
    )


@cache
def trained(model: str, side: int, resize: str, *, is_tiled: bool = False) -> "lcrp.Explainer":
    """A detector that was trained on the scenes."""
    return lcrp.load(
        f"embedded:{model}_scenes", input=(side, side, resize), layer=LAYERS[model], tiles=TILES if is_tiled else None
    )


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("size", SIZES)
def test_a_known_detector_finds_objects_where_they_are(size: tuple[int, int], resize: str) -> None:
    """In the middle and near two corners of what is seen, none at an edge."""
    places = {"red": (0.05, 0.05, 0.3, 0.25), "green": (0.45, 0.3, 0.7, 0.6), "blue": (0.65, 0.8, 0.95, 0.95)}
    shown = within_sight(size, resize, INPUT)
    boxes = {name: part(shown, place) for name, place in places.items()}
    for found in explained(seeing(resize), coloured(size, boxes), boxes).values():
        assert found.iou >= 0.9
        assert found.spread >= 0.8
        assert found.within >= 0.9
        assert found.in_bars == 0


@pytest.mark.parametrize("composite", ["epsilon_plus", "epsilon_plus_flat"])
@pytest.mark.parametrize("resize", ["letterbox", "rect"])
@pytest.mark.parametrize("size", SIZES)
def test_of_objects_at_the_edge_only_what_the_first_layer_spreads_lies_in_the_bars(
    size: tuple[int, int], resize: str, composite: str
) -> None:
    """A kernel of 3x3 pixels, flat, gives a third of the outermost row or column to the bars beside it."""
    height, width = size
    boxes = {
        "red": part((0, 0, width, height), (0, 0, 0.3, 0.2)),
        "blue": part((0, 0, width, height), (0.7, 0.8, 1, 1)),
    }
    ratio = min(INPUT[0] / height, INPUT[1] / width)
    for name, found in explained(seeing(resize, composite), coloured(size, boxes), boxes).items():
        left, top, right, bottom = boxes[name]
        side = ratio * (bottom - top if width / height > INPUT[1] / INPUT[0] else right - left)  # towards the bars
        assert found.iou >= 0.9
        assert found.within >= 0.9
        if composite == "epsilon_plus":
            assert found.in_bars == 0
        else:
            assert found.in_bars == pytest.approx(1 / (3 * side), rel=0.15)


@pytest.mark.parametrize("resize", FEW)
def test_a_known_detector_finds_objects_of_a_large_photograph_in_tiles(resize: str) -> None:
    """Two in its corners, and one that all tiles cut but one."""
    boxes: dict[str, Box] = {
        "red": (150, 150, 500, 450),
        "green": (1520, 1340, 1970, 1480),
        "blue": (3300, 2550, 3800, 2850),
    }
    explainer = seeing(resize, is_tiled=True)
    for found in explained(explainer, coloured(LARGE, boxes), boxes).values():
        assert found.iou >= 0.9
        assert found.spread >= 0.8
        assert found.within >= 0.9
        assert found.in_bars <= 0.01


def placed(size: tuple[int, int], resize: str, side: int) -> tuple[object, dict[str, Box]]:
    """A photograph whose objects have 0.8 of their own size in a square input.

    A trained detector knows objects as they are: where the input squeezes them, the photograph shows them drawn out.
    """
    down, across = side / size[0], side / size[1]
    if resize != "stretch":
        down = across = max(down, across) if resize == "shorter_crop" else min(down, across)
    return with_objects(size, within_sight(size, resize, (side, side)), (0.8 / down, 0.8 / across))


def check_trained(model: str, size: tuple[int, int], resize: str, least_iou: float) -> None:
    side = 320
    picture, boxes = placed(size, resize, side)
    for name, found in explained(trained(model, side, resize), picture, boxes).items():
        assert found.iou >= least_iou, name
        assert found.within >= 0.9, name
        assert found.in_bars <= 0.01, name


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("size", SIZES)
def test_a_trained_detector_finds_objects_where_they_are(size: tuple[int, int], resize: str) -> None:
    check_trained("yolo", size, resize, 0.8)


@pytest.mark.slow
@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("model", "least_iou"), [("yolov6", 0.8), ("yolov5", 0.7), ("ssd", 0.6)])
def test_other_detectors_find_objects_where_they_are(
    model: str, least_iou: float, size: tuple[int, int], resize: str
) -> None:
    """YOLOv5's boxes and those of SSD are no better in pictures that are the input as they stand."""
    check_trained(model, size, resize, least_iou)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["yolo", "yolov6"])
@pytest.mark.parametrize("resize", RESIZES)
def test_a_trained_detector_finds_objects_of_a_large_photograph_in_tiles(model: str, resize: str) -> None:
    picture, boxes = with_objects(LARGE, (0, 0, LARGE[1], LARGE[0]), (3.2, 3.2))
    explainer = trained(model, 256, resize, is_tiled=True)
    for name, found in explained(explainer, picture, boxes).items():
        assert found.iou >= 0.8, name
        assert found.within >= 0.9, name
        assert found.in_bars <= 0.01, name


def test_what_a_crop_cuts_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """Before, the box of half an object passed for the object's, and objects beside the crop were not there."""
    size = (360, 640)
    boxes: dict[str, Box] = {"red": (20, 100, 250, 200), "green": (300, 150, 400, 250), "blue": (560, 100, 630, 200)}
    picture, explainer = coloured(size, boxes), seeing("shorter_crop")
    with caplog.at_level(logging.INFO):
        found = {one.class_name: one for one in lcrp.explain(explainer, picture)}
    assert sorted(found) == ["green", "red"]
    told = [line for line in caplog.messages if "the input" in line]
    assert "picture: the input shows 70 % of the photograph, the middle (model.input.resize=shorter_crop)" in told
    assert "picture: the box of 'red' ends at the left where the input does, and the object may go on" in told
    assert not any("'green'" in line for line in told)
    with pytest.raises(TargetError, match=r"the input shows 70 % of the photograph, the middle \(input") as refused:
        lcrp.explain(explainer, picture, class_name="blue")
    assert refused.value.mend.startswith("Write model.input.resize=letterbox to show all of it.")
    caplog.clear()
    with caplog.at_level(logging.INFO):
        lcrp.explain(seeing("letterbox"), picture)
    assert not any("the input" in line for line in caplog.messages)


def test_a_photograph_that_is_seen_squeezed_is_told(caplog: pytest.LogCaptureFixture) -> None:
    boxes: dict[str, Box] = {"red": (20, 100, 250, 200)}
    with caplog.at_level(logging.INFO):
        lcrp.explain(seeing("stretch"), coloured((900, 300), boxes))
    squeezed = "the input shows the photograph with its height squeezed 3.8 times (model.input.resize=stretch)"
    assert f"picture: {squeezed}" in caplog.messages
    with pytest.raises(TargetError, match=r"'green'.*; the input shows the photograph with its height squeezed 3\.8"):
        lcrp.explain(seeing("stretch"), coloured((900, 300), boxes), class_name="green")


def test_of_an_object_that_all_tiles_cut_the_one_that_shows_most_answers(caplog: pytest.LogCaptureFixture) -> None:
    """Before, it was any of them: this one with an IoU of 0.57, as both are equally sure."""
    boxes: dict[str, Box] = {"green": (375, 325, 488, 425)}
    explainer = lcrp.load(
        SeesColours(),
        task="detection",
        class_names=COLOURS,
        input=(256, 256),
        layer="read",
        tiles={"size": 256, "overlap": 0.25},
    )
    (found,) = lcrp.explain(explainer, coloured((750, 1000), boxes))
    assert measured(found, boxes["green"]).iou >= 0.9
    assert any(
        "the box of 'green' ends at the bottom where its tile does" in line and "model.input.tiles" in line
        for line in caplog.messages
    )
