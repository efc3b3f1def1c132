"""Settings that would be read otherwise than they were meant are refused in one line; others mean what they say."""

from pathlib import Path

import numpy as np
import pytest
import torch
from colour_world import CLASS_NAMES, SIDE
from torch import nn

import lcrp
from lcrp.errors import ConfigError

OWN = {"task": "segmentation", "class_names": CLASS_NAMES, "input": (SIDE, SIDE, "none")}


def test_class_names_by_id_are_taken_in_the_order_of_ids(module: nn.Module) -> None:
    given = {2: "car", 0: "background", 1: "boat"}  # as ultralytics keeps them; iterating gives the ids
    assert lcrp.load(module, **OWN | {"class_names": given}).class_names == CLASS_NAMES


@pytest.mark.parametrize(
    "names",
    [
        "abc",
        {"a", "b", "c"},
        {"a": 0, "b": 1, "c": 2},
        {1: "a", 2: "b", 3: "c"},
        [1, 2, 3],
        [None, "b", "c"],
        ["", "b", "c"],
        ["a", "b", "a"],
        5,
    ],
)
def test_class_names_that_would_be_misread_are_refused(module: nn.Module, names: object) -> None:
    with pytest.raises(ConfigError, match=r"^class_names"):
        lcrp.load(module, **OWN | {"class_names": names})


def test_class_names_of_a_checkpoint_are_no_letters() -> None:
    with pytest.raises(ConfigError, match="class_names='abcdef' is no list"):
        lcrp.load("embedded:yolov6_scenes", class_names="abcdef")  # which has six classes


@pytest.mark.parametrize("size", ["64", 64.0, (64,), (SIDE, SIDE, "none", 1), {}, True])
def test_sizes_that_would_be_misread_are_refused(module: nn.Module, size: object) -> None:
    with pytest.raises(ConfigError, match="is no size"):
        lcrp.load(module, **OWN | {"input": size})


def test_sides_are_whole_numbers_of_any_kind(module: nn.Module) -> None:
    transform = lcrp.load(module, **OWN | {"input": np.int64(SIDE)}).transform
    assert (transform.height, transform.width) == (SIDE, SIDE)


@pytest.mark.parametrize("name", ["mean", "std"])
@pytest.mark.parametrize("values", [0.5, "abc", [None] * 3, [float("nan")] * 3, [0.5, 0.5, float("inf")]])
def test_means_and_deviations_are_finite_numbers(module: nn.Module, name: str, values: object) -> None:
    with pytest.raises(ConfigError, match=rf"^{name}=.*(finite|numbers); write one"):
        lcrp.load(module, **OWN | {name: values})


def test_settings_in_quotes_are_called_as_in_python(module: nn.Module) -> None:
    with pytest.raises(ConfigError, match=r"^'confidence' says nothing"):
        lcrp.load(module, **OWN, confidence=0.5)


def test_messages_are_one_line(module: nn.Module, squares: list[np.ndarray]) -> None:
    with pytest.raises(lcrp.LcrpError, match=r"class 'bo at' is not known"):
        lcrp.explain(lcrp.load(module, **OWN), squares[1], class_name="bo\nat")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"class_name": "boat", "item": "0"}, r"^item='0' is no whole number"),
        ({"class_name": "boat", "item": True}, r"^item=True is no whole number"),
        ({"class_name": "boat", "rank": 0.5}, r"^rank=0.5 is no whole number"),
        ({"max_targets": 1.5}, r"^max_targets=1.5 is no whole number"),
        ({"n_concepts": 2.5}, r"^n_concepts=2.5 is no whole number; write one from 1 to 8"),
        ({"n_concepts": "3"}, r"^n_concepts='3' is no number; write a value from 1 to 8"),
        ({"concepts": 1}, r"^concepts=1 is no list of whole numbers"),
        ({"concepts": [1.0]}, r"^concepts=\[1.0\] is no list of whole numbers"),
        ({"concepts": "12"}, r"^concepts='12' is no list of whole numbers"),
        ({"concepts": [1, 1]}, r"^concepts=\[1, 1\] names one twice"),
        ({"box": 5}, r"^box 5 is no box"),
        ({"box": (0, 0, "a", 5)}, r"^box \(0, 0, 'a', 5\) is no box"),
        ({"box": (0, 0, float("inf"), 5)}, r"^box=\[0.0, 0.0, inf, 5.0\] is no box"),
        ({"box": (float("nan"), 0, 5, 5)}, r"^box=\[nan, 0.0, 5.0, 5.0\] is no box"),
        ({"mode": None}, r"^mode='None' is unknown; nearest: "),
        ({"layer": 5}, r"^layer '5' is not in Sequential"),
        ({"statistics": "statistics.h5"}, r"^a str is no statistics: give what lcrp.statistics returns"),
    ],
)
def test_what_is_asked_of_a_picture_is_refused_in_one_line(
    explainer: lcrp.Explainer, squares: list[np.ndarray], asked: dict[str, object], message: str
) -> None:
    with pytest.raises(lcrp.LcrpError, match=message):
        lcrp.explain(explainer, squares[1], **asked)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"max_detections": 1.5}, r"^max_detections=1.5 is no whole number"),
        ({"confidence": "a"}, r"^confidence='a' is no number; write a value from 0 to 1"),
    ],
)
def test_thresholds_are_numbers(squares: list[np.ndarray], asked: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        lcrp.explain("embedded:yolov6_scenes", squares[1], **asked)


def test_concepts_of_any_kind_of_whole_number_are_stored_as_such(
    explainer: lcrp.Explainer, squares: list[np.ndarray]
) -> None:
    found = lcrp.explain(explainer, squares[1], concepts=torch.tensor([1, 2]))[0]
    assert [(concept.id, type(concept.id)) for concept in found.concepts] == [(1, int), (2, int)]


def test_numbers_of_numpy_are_stored_as_those_of_python(
    explainer: lcrp.Explainer, squares: list[np.ndarray], own_folder: Path
) -> None:
    found = lcrp.explain(explainer, squares[1], class_name=np.int64(1), item=np.int64(0), n_concepts=np.int32(2))[0]
    assert found.save(own_folder / "found.json").is_file()
    plain = lcrp.statistics(explainer, squares, num_samples=3, top_n=4, top_n_per_class=2, batch_size=2)
    numpy = lcrp.statistics(
        explainer,
        squares,
        num_samples=np.int64(3),
        top_n=np.int64(4),
        top_n_per_class=np.int32(2),
        batch_size=np.uint8(2),
    )
    assert numpy.path == plain.path


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"layers": 5}, r"^layers=5 are no names"),
        ({"layers": None}, r"^layers=None are no names"),
        ({"layers": [5]}, r"^layers=\[5\] are no names"),
        ({"top_n": None}, r"^top_n=None is no whole number"),
        ({"batch_size": None}, r"^batch_size=None is no whole number"),
        ({"num_samples": 1.5}, r"^num_samples=1.5 is no whole number"),
    ],
)
def test_what_is_asked_of_statistics_is_refused_in_one_line(
    explainer: lcrp.Explainer, squares: list[np.ndarray], asked: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        lcrp.statistics(explainer, squares, **asked)


def test_what_is_asked_of_found_statistics_is_refused_in_one_line(
    explainer: lcrp.Explainer, squares: list[np.ndarray]
) -> None:
    found = lcrp.statistics(explainer, squares)
    for n in (-1, 1.5):
        with pytest.raises(ConfigError, match=r"^n=.*the least is 1"):
            found.top("boat", n=n)
    for concept in (1.0, "a", None, True):
        with pytest.raises(lcrp.LcrpError, match=r"^concept .* is not in layer"):
            found.concept(explainer.layer, concept)
    with pytest.raises(lcrp.LcrpError, match=r"has no layer '5'"):
        found.concept(5, 0)
