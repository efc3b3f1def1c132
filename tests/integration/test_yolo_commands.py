"""YOLO files by the command line: masks, heads, rectangles, classes of pixels."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import lcrp as door
from conftest import Outcome
from lcrp.models.checkpoint import save_checkpoint
from lcrp.models.yolo.family import yolo

SMALL = (
    "model=yolo",
    "model.checkpoint=own.pt",
    "model.input.height=64",
    "model.input.width=64",
    "model.layer=model.6.cv2.conv",
    "stage=render",
    "stage.image=wide.png",
    "stage.n_references=0",
    "stage.max_targets=1",
)
SURE = ("model.confidence=0.0001", "model.max_detections=1")

Run = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def own_files(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    Image.fromarray(generator.integers(0, 255, (40, 100, 3), dtype=np.uint8)).save(tmp_path / "wide.png")


def write(folder: Path, **given: str) -> None:
    network = yolo(num_classes=3, **given)  # type: ignore[arg-type]
    network.initialise(torch.Generator().manual_seed(0))
    save_checkpoint(folder / "own.pt", network, class_names=("boat", "kite", "car"))


def numbers(outcome: Outcome) -> dict[str, object]:
    """The JSON of the one figure that was drawn."""
    assert outcome.code == 0, outcome.err
    found: dict[str, object] = json.loads(Path(outcome.out[-1]).with_suffix(".json").read_text(encoding="utf-8"))
    return found


def test_masks_are_objects_and_are_explained(lcrp: Run, tmp_path: Path) -> None:
    write(tmp_path, version="11", scale="p", task="segment")
    by_class, by_mask = (numbers(lcrp(*SMALL, *SURE, *more)) for more in ([], ["stage.read=mask"]))
    assert (by_class["read"], by_mask["read"]) == (None, "mask")
    for one in (by_class, by_mask):
        assert one["box"] is not None
        assert isinstance(one["area"], int)
        assert one["ledger"]["missing"] == pytest.approx(0, abs=1e-3)  # type: ignore[index]
    assert by_class["area"] == by_mask["area"]
    assert by_class["ledger"] != by_mask["ledger"]


def test_a_side_of_a_box_is_told_to_be_linearised(lcrp: Run, tmp_path: Path) -> None:
    write(tmp_path, version="11", scale="p", task="segment")
    outcome = lcrp(*SMALL, *SURE, "stage.read=right", "stage.layer=auto")
    found = numbers(outcome)
    assert (found["read"], found["is_linearised"], found["layer_share"]) == ("right", True, None)
    assert found["ledger"]["missing"] == pytest.approx(0, abs=1e-3)  # type: ignore[index]
    said = [line for line in outcome.out if "softmax held constant" in line or "move the side most" in line]
    assert len(said) == 2


def test_a_picture_of_ones_own_needs_no_statistics(lcrp: Run, tmp_path: Path) -> None:
    write(tmp_path, version="11", scale="p")
    given = [one for one in SMALL if not one.startswith("stage.n_references")]
    outcome = lcrp(*given, *SURE)
    assert numbers(outcome)["concepts"]
    (told,) = [line for line in outcome.out if "no samples" in line]
    assert "there are no statistics in 'outputs/statistics/yolo_folder_epsilon_gamma_flat'. Make them: " in told
    asked_for = lcrp(*given, *SURE, "stage.image=null", "stage.samples=[0]")
    assert asked_for.code == 1
    assert "there are no statistics" in asked_for.err[-1]


def test_what_boxes_alone_have_not_is_said(lcrp: Run, tmp_path: Path) -> None:
    write(tmp_path, version="11", scale="p")
    outcome = lcrp(*SMALL, *SURE, "stage.read=mask")
    assert outcome.code == 1
    assert "read 'mask' cannot be explained: the detector predicts boxes alone" in outcome.err[-1]


def test_the_head_that_answers_is_a_setting_and_is_said(lcrp: Run, tmp_path: Path) -> None:
    write(tmp_path, version="26")
    usual = numbers(lcrp(*SMALL, *SURE))
    other = numbers(lcrp(*SMALL, *SURE, "model.head=many"))
    assert "head one2one" in str(usual["title"])
    assert "head many" in str(other["title"])
    assert usual["confidence"] != other["confidence"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("model.head=both",), "model.head='both' is unknown; nearest: 'one2one', 'many'"),
        (("model.head=one2one",), "model.head='one2one' is not in this network: its only head is 'many'"),
        (("model.network.task=semantic",), "'own.pt' was trained for; write model.network.task=detect"),
        (("stage.rectangle=true", "stage.image=null"), "rectangle=true is for pictures of your own"),
        (("model.input.resize=rectangle",), "model.input.resize='rectangle'"),
        (("model.input.resize=stretch", "stage.rectangle=true"), "rectangle=true needs letterboxed pictures"),
    ],
)
def test_settings_that_do_not_fit_are_refused(lcrp: Run, tmp_path: Path, given: tuple[str, ...], message: str) -> None:
    write(tmp_path, version="11", scale="p")
    outcome = lcrp(*SMALL, *given)
    assert outcome.code == 1
    assert message in " ".join(outcome.err)


def test_other_families_have_no_choice_of_heads(lcrp: Run) -> None:
    outcome = lcrp("stage=render", "model=unet", "model.head=many", "stage.n_references=0")
    assert outcome.code == 1
    assert "model.head=many says nothing to model 'unet'; leave it out" in outcome.err[-1]


def test_a_rectangle_has_no_bars(lcrp: Run, tmp_path: Path) -> None:
    write(tmp_path, version="11", scale="p")
    square = numbers(lcrp(*SMALL, *SURE))["input"]
    rectangle = numbers(lcrp(*SMALL, *SURE, "stage.rectangle=true"))["input"]
    assert (square["height"], square["width"], square["resize"]) == (64, 64, "letterbox")  # type: ignore[index]
    assert (rectangle["height"], rectangle["width"], rectangle["resize"]) == (32, 64, "rect")  # type: ignore[index]


def test_python_shows_rectangles_and_masks_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, version="11", scale="p", task="segment")
    explainer = door.load("yolo", checkpoint="own.pt", input=(64, 64, "letterbox"), layer="model.6.cv2.conv")
    (found,) = door.explain(explainer, "wide.png", confidence=1e-4, max_targets=1, rectangle=True, read="mask")
    assert found.heatmap.shape == (32, 64)
    assert found.value.explained.read == "mask"


def test_classes_of_pixels_are_explained(lcrp: Run, tmp_path: Path) -> None:
    write(tmp_path, version="26", task="semantic")
    found = numbers(lcrp(*SMALL, "model.network.task=semantic"))
    assert found["box"] is None
    assert found["class"] in ("boat", "kite", "car")
    outcome = lcrp(*SMALL)
    assert outcome.code == 1
    assert "'own.pt' is YOLO26n-sem" in outcome.err[-1]
    assert "model.network.task=semantic" in outcome.err[-1].partition("Write: ")[2]


def test_the_layer_is_chosen_by_what_is_explained(lcrp: Run, tmp_path: Path) -> None:
    """Masks pass other layers than classes, and the log told of classes."""
    write(tmp_path, version="11", scale="p", task="segment")
    given = [*(one for one in SMALL if not one.startswith("model.layer")), *SURE]
    told = []
    for more in ([], ["stage.read=mask"]):
        outcome = lcrp(*given, *more)
        assert outcome.code == 0, outcome.err
        told += [line.partition("layer auto: ")[2] for line in outcome.out if "layer auto: " in line]
    assert len(told) == 2
    assert told[0] != told[1]
