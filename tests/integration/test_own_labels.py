"""One set of labelled pictures through the stages, from the same settings: dataset=auto and an embedded network."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from lcrp.data.scenes.dataset import ScenesDataset
from lcrp.storage.evidence import read_evidence

pytestmark = pytest.mark.slow

CommandLine = Callable[..., Any]
LAYER = "model.6.cv2.conv"
GIVEN = (
    "model=auto",
    "model.checkpoint=embedded:yolo_scenes",
    "dataset=auto",
    "dataset.path='my harbour/data.yaml'",
    "dataset.class_map={vessel: boat}",
    "model.input={height: 128, width: 128}",
    f"model.layer={LAYER}",
    f"statistics.layers=[{LAYER}]",
    "statistics.num_samples=2",
)


@pytest.fixture
def harbour(tmp_path: Path) -> tuple[str, ...]:
    """Six embedded pictures as a YOLO set, its classes in another order and one called otherwise; their names."""
    scenes = ScenesDataset("val")
    names = tuple("vessel" if name == "boat" else name for name in scenes.class_names)[::-1]
    root = tmp_path / "my harbour"
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    for index in range(6):
        sample = scenes[index]
        assert sample.annotation is not None
        pixels = (sample.image.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
        Image.fromarray(pixels).save(root / f"images/{index}.png")
        lines = []
        for label, box in zip(sample.annotation.labels.tolist(), sample.annotation.boxes.tolist(), strict=True):
            left, top, right, bottom = (side / 256 for side in box)
            place = f"{(left + right) / 2} {(top + bottom) / 2} {right - left} {bottom - top}"
            lines.append(f"{len(names) - 1 - label} {place}")
        (root / f"labels/{index}.txt").write_text("\n".join(lines))
    (root / "data.yaml").write_text(f"train: images\nval: images\nnames: [{', '.join(names)}]\n")
    return names


@pytest.mark.usefixtures("harbour")
def test_all_stages_take_the_same_settings(lcrp: CommandLine, tmp_path: Path) -> None:
    looked = lcrp("stage=inspect", *GIVEN)
    assert looked.code == 0, looked.err
    assert all("_inspect_my-harbour/data." in line for line in looked.out[-2:])
    made = lcrp("-m", "stage=glocal", *GIVEN, "composite=epsilon_plus_flat,epsilon_gamma_flat")
    assert made.code == 0, made.err
    files = sorted((tmp_path / "outputs/statistics").rglob("*.h5"))
    assert len(files) == 2
    with h5py.File(files[0]) as file:
        assert "6 of 6 classes of the data are known to the network" in file.attrs["data"]
    assert [path.name for path in sorted(tmp_path.glob("multirun/*/[0-9]*"))] == [
        f"{number}_glocal_yolo_my-harbour" for number in range(2)
    ]
    shown = lcrp("stage=render", *GIVEN, "stage.samples=[0]", "stage.n_concepts=1", "stage.n_references=2")
    assert shown.code == 0, shown.err
    assert "_render_yolo_my-harbour/" in shown.out[-1]
    few = ("stage.n_concepts=2", "stage.n_references=1", "stage.num_samples_per_class=1", "hydra.run.dir=run")
    leaning = lcrp("stage=context", *GIVEN, *few)
    assert leaning.code == 0, leaning.err
    assert len(read_evidence(tmp_path / "run/context.h5")["classes"].columns["class"]) > 0
    few = ("stage.num_targets=2", "stage.num_steps=3", "stage.num_layers=1", "hydra.run.dir=measured")
    methods = "stage.methods=[epsilon_gamma_flat,random]"
    measured = lcrp("stage=evaluate", *GIVEN, *few, methods, "stage.checks=true")
    assert measured.code == 0, measured.err
    assert np.asarray(read_evidence(tmp_path / "measured/evaluate.h5")["checks"].columns["holds"]).all()


@pytest.mark.usefixtures("harbour")
def test_what_a_stage_cannot_do_with_own_pictures_is_one_line(lcrp: CommandLine) -> None:
    refused = lcrp("stage=truth", *GIVEN)
    assert refused.code == 1
    assert refused.err[-1] == (
        "lcrp: error: stage=truth draws pictures anew, which my harbour cannot; use dataset=scenes"
    )
