"""``lcrp.explain``: what it takes, what it gives, and that nothing else changes."""

import logging
import random
from collections.abc import Iterator
from pathlib import Path

import forked
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import lcrp
from lcrp.errors import ConfigError, DataError, LayerError, StoreError, TargetError

RED_BOX = (3.0, 6.0, 11.0, 14.0)  # of the square in picture 1


class Detections:
    """As supervision calls what it returns."""

    def __init__(self, boxes: list[tuple[float, ...]]) -> None:
        self.xyxy = np.array(boxes, dtype=np.float32).reshape(-1, 4)


class Boxes:
    """As ultralytics calls the boxes of its results."""

    def __init__(self, boxes: list[tuple[float, ...]]) -> None:
        self.xyxy = torch.tensor(boxes, requires_grad=True)


class Results:
    """As ultralytics calls what it returns."""

    def __init__(self, boxes: list[tuple[float, ...]]) -> None:
        self.boxes = Boxes(boxes)


def test_a_picture_gives_its_decisions_best_first(explainer: lcrp.Explainer, squares: list[np.ndarray]) -> None:
    found = lcrp.explain(explainer, squares[1])
    assert isinstance(found, tuple)
    assert [one.class_name for one in found] == ["boat"]  # the background is none where there is something else
    assert (found[0].layer, found[0].concepts[0].id) == ("2", 0)  # red
    assert found[0].source == "picture"


def test_module_and_explainer_say_the_same(
    module: nn.Module, explainer: lcrp.Explainer, squares: list[np.ndarray]
) -> None:
    again = lcrp.load(module, task="segmentation", class_names=explainer.class_names, input=(24, 24, "none"))
    pair = [lcrp.explain(one, squares[1])[0] for one in (explainer, again)]
    assert np.array_equal(pair[0].heatmap, pair[1].heatmap)


def test_a_list_gives_a_list(explainer: lcrp.Explainer, squares: list[np.ndarray]) -> None:
    found = lcrp.explain(explainer, squares[:3], class_name="boat")
    assert isinstance(found, list)
    assert [[one.class_name for one in some] for some in found] == [[], ["boat"], []]
    assert found[1][0].source == "picture 1"
    assert lcrp.explain(explainer, []) == []


def test_a_generator_gives_a_generator_that_draws_one_by_one(
    explainer: lcrp.Explainer, squares: list[np.ndarray]
) -> None:
    drawn: list[int] = []

    def frames() -> Iterator[np.ndarray]:
        for number, square in enumerate(squares[:3]):
            drawn.append(number)
            yield square

    found = lcrp.explain(explainer, frames(), class_name="boat")
    assert drawn == []
    assert next(found) == ()
    assert drawn == [0]
    assert not any(one._forward_hooks or one._forward_pre_hooks for one in explainer.network.modules())
    assert [len(some) for some in found] == [1, 0]


def test_a_folder_and_a_pattern_give_one_flat_tuple(
    explainer: lcrp.Explainer, squares: list[np.ndarray], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in (1, 2, 3):
        Image.fromarray(squares[number]).save(folder / f"{number}.png")
    (folder / "4.png").write_bytes(b"no picture")
    for image in (folder, str(folder), f"{folder}/*.png"):
        found = lcrp.explain(explainer, image, class_name="boat")
        assert [one.source for one in found] == ["1.png", "3.png"]
    assert "4.png" in caplog.text
    with pytest.raises(TargetError, match=r"nothing to explain in 2 pictures; the first: no 'car' in 1.png"):
        lcrp.explain(explainer, f"{folder}/[13].png", class_name="car")


def test_one_picture_without_the_decision_says_what_is_there(
    explainer: lcrp.Explainer, squares: list[np.ndarray]
) -> None:
    with pytest.raises(TargetError, match=r"no 'car' in picture .*predicted are 'background'"):
        lcrp.explain(explainer, squares[1], class_name="car")


@pytest.mark.parametrize("kind", [Detections, Results, Boxes])
def test_boxes_of_other_tools_are_targets(kind: type, explainer: lcrp.Explainer, squares: list[np.ndarray]) -> None:
    by_target = lcrp.explain(explainer, squares[1], target=kind([RED_BOX, RED_BOX]))
    by_box = lcrp.explain(explainer, squares[1], box=RED_BOX)
    assert len(by_target) == 2
    assert np.array_equal(by_target[1].heatmap, by_box[0].heatmap)
    listed = lcrp.explain(explainer, squares[1:3], target=[kind([RED_BOX]), None])
    assert [len(some) for some in listed] == [1, 1]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (Detections([]), r"the Detections hold no box"),
        (Boxes([(1.0, 2.0)]), r"the Boxes hold boxes of shape \[1, 2\], not \[N, 4\]"),
        ("boat", r"a str is no target: give Detections of supervision"),
    ],
)
def test_other_targets_are_refused(
    target: object, message: str, explainer: lcrp.Explainer, squares: list[np.ndarray]
) -> None:
    with pytest.raises(TargetError, match=message):
        lcrp.explain(explainer, squares[1], target=target)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"class_name": "bot"}, TargetError, r"class 'bot' is not known to the model; nearest: 'boat'"),
        ({"item": 0}, ConfigError, r"class"),
        ({"box": (1, 2, 3)}, ConfigError, r"box \(1, 2, 3\) is no box"),
        ({"box": (3, 3, 3, 5)}, ConfigError, r"box=.* is no box"),
        ({"layer": "3"}, LayerError, r"layer '3' is not in Sequential; nearest: "),
        ({"composite": "flat"}, ConfigError, r"composite 'flat' does not exist"),
        ({"mode": "relevanc"}, ConfigError, r"mode='relevanc' is unknown"),
        ({"n_concepts": 0}, ConfigError, r"n_concepts=0 is out of range; write a value from 1 to 8"),
        ({"concepts": [9]}, LayerError, r"concept 9 is not in layer '2'"),
        ({"confidence": 0.5}, ConfigError, r"confidence=0.5 says nothing to segmentation"),
        ({"max_targets": 0}, ConfigError, r"max_targets=0 is too small; the least is 1"),
        ({"target": Detections([RED_BOX]), "box": RED_BOX}, ConfigError, r"target finds its own decisions"),
    ],
)
def test_wrong_settings_are_told_in_words_of_python(
    settings: dict[str, object],
    error: type[Exception],
    message: str,
    explainer: lcrp.Explainer,
    squares: list[np.ndarray],
) -> None:
    with pytest.raises(error, match=message) as caught:
        lcrp.explain(explainer, squares[1], **settings)  # type: ignore[call-overload]
    assert "stage" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_list_needs_as_many_targets_and_a_generator_none(
    explainer: lcrp.Explainer, squares: list[np.ndarray]
) -> None:
    with pytest.raises(ConfigError, match=r"2 pictures need a list of as many targets"):
        lcrp.explain(explainer, squares[:2], target=Detections([RED_BOX]))
    with pytest.raises(ConfigError, match=r"call explain for every picture"):
        lcrp.explain(explainer, iter(squares), target=[])


def test_what_is_no_picture_is_refused(explainer: lcrp.Explainer) -> None:
    with pytest.raises(DataError, match=r"array of float64 is no picture"):
        lcrp.explain(explainer, [np.zeros((24, 24, 3))])
    with pytest.raises(DataError, match=r"is not there; give a picture"):
        lcrp.explain(explainer, "photo.jpg")


def test_thresholds_select_decisions_without_being_part_of_the_network() -> None:
    explainer = lcrp.load("embedded:yolov5_scenes")
    before = explainer.task.identity()
    picture = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    many = lcrp.explain(explainer, picture, confidence=1e-6, max_detections=7, max_targets=9)
    assert len(many) == 7
    assert lcrp.explain(explainer, [picture], confidence=0.999) == [()]
    assert explainer.task.identity() == before


def test_progress_is_told_to_whoever_asks(explainer: lcrp.Explainer, squares: list[np.ndarray]) -> None:
    told: list[tuple[int, int, str, str]] = []
    lcrp.explain(explainer, squares[1:4], progress=lambda *what: told.append(what))
    told = [one for one in told if one[2] != "choosing the layer"]
    assert told[0] == (0, 3, "explain", "pictures")
    assert told[-1] == (3, 3, "explain", "pictures")


@pytest.fixture
def odd_flags() -> Iterator[None]:
    """Flags of torch as no call of lcrp would set them."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32, cudnn.deterministic
    matmul.allow_tf32, cudnn.allow_tf32, cudnn.deterministic = True, True, False
    yield
    matmul.allow_tf32, cudnn.allow_tf32, cudnn.deterministic = before


def global_state() -> tuple[object, ...]:
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    flags = matmul.allow_tf32, cudnn.allow_tf32, cudnn.deterministic, torch.is_grad_enabled(), torch.get_num_threads()
    return *flags, random.getstate(), str(np.random.get_state()), str(torch.get_rng_state().tolist())


@pytest.mark.usefixtures("odd_flags")
def test_nothing_global_changes_and_nothing_is_printed(
    explainer: lcrp.Explainer, squares: list[np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    before = global_state()
    lcrp.explain(explainer, squares[1])
    lcrp.load("embedded:unet_scenes")
    with pytest.raises(TargetError):
        lcrp.explain(explainer, squares[1], class_name="car")
    assert global_state() == before
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("odd_flags")
def test_the_precision_holds_within_a_call_alone(explainer: lcrp.Explainer, squares: list[np.ndarray]) -> None:
    seen: list[bool] = []
    network = explainer.network
    handle = network.register_forward_hook(lambda *_: seen.append(torch.backends.cudnn.allow_tf32))
    lcrp.explain(explainer, squares[1])
    handle.remove()
    assert set(seen) == {False}
    assert torch.backends.cudnn.allow_tf32


def test_statistics_of_another_network_are_refused(
    explainer: lcrp.Explainer, module: nn.Module, squares: list[np.ndarray]
) -> None:
    found = lcrp.statistics(explainer, squares, layers="2")
    assert lcrp.explain(explainer, squares[1], statistics=found, n_references=2)[0].concepts[0].references
    with torch.no_grad():
        module[0].weight[0, 0, 1, 1] *= 1.01  # type: ignore[index]
    with pytest.raises(StoreError, match=r"the statistics are those of another network: model.checkpoint_sha256"):
        lcrp.explain(explainer, squares[1], statistics=found)


def own_forked(**settings: object) -> lcrp.Explainer:
    own = {"task": "segmentation", "class_names": forked.CLASS_NAMES, "input": (forked.SIDE, forked.SIDE, "none")}
    return lcrp.load(forked.Forked(), **own, **settings)  # type: ignore[arg-type]


def test_the_layer_is_chosen_by_the_pictures_where_there_are_no_data(
    squares: list[np.ndarray], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    explainer = own_forked()
    (one,) = lcrp.explain(explainer, squares[1], class_name="boat")
    assert (one.layer, explainer.layer) == ("strong", "auto")
    assert one.layer_share == pytest.approx(1 - forked.FAINT, abs=1e-4)
    assert "layer auto: 'strong', through which 97% of the relevance of the decision passes" in caplog.messages
    assert {found.layer for several in lcrp.explain(explainer, squares[:3]) for found in several} == {"strong"}
    assert {found.layer for several in lcrp.explain(explainer, iter(squares[:3])) for found in several} == {"strong"}
    (named,) = lcrp.explain(explainer, squares[1], class_name="boat", layer="wide")
    assert (named.layer, round(named.layer_share, 2)) == ("wide", forked.FAINT)
    (again,) = lcrp.explain(own_forked(layer="wide"), squares[1], class_name="boat", layer="auto")
    assert again.layer == "strong"
    told = "picture: 3.0% of the relevance of 'boat' passes through layer 'wide', the rest takes other ways; "
    assert any(line.startswith(told) for line in caplog.messages)


def test_statistics_know_the_layer_that_explanations_take(
    squares: list[np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    explainer = own_forked()
    found = lcrp.statistics(explainer, squares, layers=explainer.layer)
    assert found.layers == ("strong",)
    assert found.top("boat", n=1)[0].layer == "strong"
    assert found.concept("auto", 0).layer == "strong"
    assert lcrp.explain(explainer, squares[1], class_name="boat", statistics=found)[0].layer == "strong"


def test_a_class_that_is_not_there_ends_in_one_error() -> None:
    """An error that was raised from itself kept those who read its causes busy for ever."""
    with pytest.raises(lcrp.LcrpError, match="kite") as caught:
        lcrp.explain("embedded:unet_scenes", np.zeros((64, 64, 3), dtype=np.uint8), class_name="kite")
    assert caught.value.__cause__ is not caught.value
