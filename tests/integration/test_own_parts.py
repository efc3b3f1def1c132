"""The examples of docs/examples, as their pages say to run them."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torchvision.ops import box_iou

from conftest import TINY, Outcome
from lcrp.data.scenes import CLASS_NAMES, draw, plan

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"

MADE = ("stage=render", "stage.make_statistics=true")

pytestmark = pytest.mark.slow


@pytest.fixture
def own(lcrp: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """Runs a command with the example of the given name beside it."""

    def run(example: str, *arguments: str) -> Outcome:
        monkeypatch.syspath_prepend(str(EXAMPLES / example))
        return lcrp("--config-dir", str(EXAMPLES / example / "conf"), *arguments)

    return run


def python_blocks(page: str) -> list[str]:
    text = (EXAMPLES.parent / "how-to" / f"{page}.md").read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)


def test_a_network_from_elsewhere_is_explained(own: Callable[..., Outcome]) -> None:
    common = ("own_network", "model=mobile_deeplab", "statistics.targets=predicted")
    few = ("statistics.num_samples=2", "statistics.batch_size=2", "statistics.layers=[network.backbone.12.*]")
    assert own(*common, *few, "stage=glocal").code == 0
    outcome = own(*common, *few, "stage=render", "stage.n_references=2")
    assert (outcome.code, outcome.err) == (0, [])
    assert any(line.endswith("network.backbone.12.block.0.0.png") for line in outcome.out)


@pytest.mark.parametrize("model", ["dense", "two_stage"])
def test_a_detector_from_elsewhere_is_explained(own: Callable[..., Outcome], model: str) -> None:
    few = ("statistics.num_samples=2", "statistics.batch_size=2", "model.max_detections=2", "stage.n_references=1")
    outcome = own("own_network", f"model={model}", "statistics.targets=predicted", *few, *MADE)
    assert (outcome.code, outcome.err) == (0, [])
    assert "backbone." in outcome.out[-1]
    assert outcome.out[-1].endswith(".png")


def test_the_examples_of_the_page_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES / "own_network"))
    monkeypatch.chdir(tmp_path)
    Image.fromarray(draw(plan("val", 8)).image).save("photo.jpg")
    names: dict[str, object] = {}
    torch.manual_seed(0)
    for block in python_blocks("own_network"):
        exec(compile(block, "own_network.md", "exec"), names)
        assert "of the relevance lies outside" in capsys.readouterr().out


def test_a_foreign_detector_finds_what_is_annotated(own: Callable[..., Outcome], shared: Path, tmp_path: Path) -> None:
    checkpoint, coco = shared / "checkpoints" / "fastestdet_coco.pth", shared / "data" / "coco2017"
    if not checkpoint.exists():
        pytest.skip("FastestDet's checkpoint is not here")
    photograph = coco / "val2017" / "000000011760.jpg"
    shutil.copy(photograph, tmp_path / "photo.jpg")
    shutil.copy(checkpoint, tmp_path)
    settings = ("model=fastestdet", "model.checkpoint=fastestdet_coco.pth", "dataset=folder", "dataset.path=.")
    outcome = own("fastestdet", *settings, "stage=render", "stage.image=photo.jpg", "stage.n_references=0")
    assert (outcome.code, outcome.err) == (0, [])
    annotations = json.loads((coco / "annotations" / "instances_val2017.json").read_text(encoding="utf-8"))
    zebras = [one["bbox"] for one in annotations["annotations"] if one["image_id"] == 11760]
    annotated = torch.tensor([[x, y, x + width, y + height] for x, y, width, height in zebras])
    found = [
        json.loads(path.read_text(encoding="utf-8")) for path in sorted(tmp_path.glob("outputs/runs/*/photo*.json"))
    ]
    assert len(found) == len(annotated) == 3
    assert {one["class"] for one in found} == {"zebra"}
    overlap = box_iou(torch.tensor([one["box"] for one in found]), annotated)
    assert overlap.amax(dim=1).min() > 0.7, "boxes sit on the animals"
    assert overlap.argmax(dim=1).unique().numel() == 3
    (block,) = python_blocks("fastestdet")
    names: dict[str, Any] = {}
    exec(compile(block, "fastestdet.md", "exec"), names)
    assert (tmp_path / "decision.png").exists()
    assert names["explanation"].box == pytest.approx(max(found, key=lambda one: one["confidence"])["box"], abs=0.01)


def test_a_dataset_from_elsewhere_is_read(own: Callable[..., Outcome], tmp_path: Path) -> None:
    rows = []
    for index in range(2):
        drawing = draw(plan("val", index))
        Image.fromarray(drawing.image).save(tmp_path / f"{index}.png")
        for label, box in zip(drawing.labels, drawing.boxes, strict=True):
            rows.append(",".join([f"{index}.png", CLASS_NAMES[label], *(f"{side:.1f}" for side in box)]))
    (tmp_path / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    common = ("own_dataset", "dataset=csv_boxes", "dataset.path=labels.csv", "model.checkpoint=embedded:yolov6_scenes")
    size = ("model.input.height=256", "model.input.width=256", "model.layer=backbone.ERBlock_4.0.rbr_dense.conv")
    few = ("statistics.layers=[backbone.ERBlock_4.0.rbr_dense.conv]", "statistics.batch_size=2")
    outcome = own(*common, *size, *few, "stage=render", "stage.make_statistics=true", "stage.n_references=1")
    assert (outcome.code, outcome.err) == (0, [])
    assert any(line.endswith(".png") for line in outcome.out)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0.png,car,1,2,30", "row 2: ['0.png', 'car', '1', '2', '30'] is not picture,class,left,top,right,bottom"),
        ("0.png,car,1,2,30,wide", "is not picture,class,left,top,right,bottom, sides as numbers"),
    ],
)
def test_a_line_that_the_dataset_cannot_mean_is_named(
    own: Callable[..., Outcome], tmp_path: Path, line: str, message: str
) -> None:
    (tmp_path / "labels.csv").write_text(f"0.png,car,1,2,30,40\n{line}\n", encoding="utf-8")
    settings = ("dataset=csv_boxes", "dataset.path=labels.csv")
    outcome = own("own_dataset", *settings, "model=yolov6", "model.checkpoint=embedded:yolov6_scenes", "stage=glocal")
    assert (outcome.code, len(outcome.err)) == (1, 1)
    assert message in outcome.err[0]


def test_a_composite_from_elsewhere_explains(own: Callable[..., Outcome]) -> None:
    small = ("model.input.height=64", "model.input.width=64", "stage.samples=[0]", "stage.n_references=0")
    common = ("own_composite", *TINY, *small, "composite=strong_gamma", "stage=render")
    gammas = []
    for gamma in ("0.5", "4"):
        outcome = own(*common, f"composite.gamma={gamma}")
        assert (outcome.code, outcome.err) == (0, [])
        gammas.append(Path(outcome.out[-1]).with_suffix(".json").read_text(encoding="utf-8"))
    assert gammas[0] != gammas[1], "the setting reaches the rule"


def test_a_stage_from_elsewhere_runs(own: Callable[..., Outcome]) -> None:
    layers = "stage.layers=[backbone.ERBlock_4.0.rbr_dense.conv,neck.Rep_p3.block.0.rbr_dense.conv]"
    outcome = own("own_stage", "stage=layer_flow", "stage.num_pictures=1", layers)
    assert (outcome.code, outcome.err) == (0, [])
    header, *rows = Path(outcome.out[-1]).read_text(encoding="utf-8").splitlines()
    assert header.split(",")[:3] == ["picture", "class", "confidence"]
    assert [row.split(",")[:3] for row in rows[:2]] == [["val/00000", "horse", "0.59"], ["val/00000", "boat", "0.55"]]
    assert [round(float(share), 2) for share in rows[0].split(",")[3:]] == [0.0, 0.59]
