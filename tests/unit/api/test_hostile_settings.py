"""Settings that would be read otherwise than they were meant are refused in one line; others mean what they say."""

import numpy as np
import pytest
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
