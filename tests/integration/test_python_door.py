"""From Python and from the command line: the same numbers and files; every example runs as it is printed."""

import doctest
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import lcrp as door
from conftest import Outcome
from lcrp.data.scenes.dataset import ScenesDataset
from lcrp.models.checkpoint import embedded_checkpoint

PROJECT = Path(__file__).parents[2]
BOAT = 8  # of the embedded pictures: one boat, well seen
FEW = ("statistics.num_samples=4", "threads=1")
MODELS = ("yolov5", "yolov6", "yolo", "ssd", "unet", "deeplabv3plus")


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Holds a picture and a checkpoint, as examples name them."""
    monkeypatch.chdir(tmp_path)
    pixels = (ScenesDataset("val")[BOAT].image.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "boat.png")
    shutil.copy(tmp_path / "boat.png", tmp_path / "photo.jpg")  # told by its content
    shutil.copy(embedded_checkpoint("ssd_scenes"), tmp_path / "best.pt")
    return tmp_path


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("model", MODELS)
def test_heatmaps_are_those_of_the_command_line(model: str, folder: Path, lcrp: Callable[..., Outcome]) -> None:
    outcome = lcrp("stage=render", f"model={model}", "stage.image=boat.png", "stage.n_references=0", *FEW)
    assert outcome.code == 0, outcome.err
    written = [read(path) for path in sorted(folder.glob("outputs/runs/*/*.h5"))]
    mine = door.explain(f"embedded:{model}_scenes", "boat.png")
    assert len(mine) == len(written)
    for one in mine:
        (other,) = [two for two in written if (two.class_name, two.item) == (one.class_name, one.item)]
        assert np.array_equal(one.heatmap, other.heatmap)
        assert [concept.id for concept in one.concepts] == [concept.id for concept in other.concepts]
        for pair in zip(one.concepts, other.concepts, strict=True):
            assert np.array_equal(pair[0].heatmap, pair[1].heatmap)
        assert one.to_dict() == other.to_dict()


def read(path: Path) -> door.Explanation:
    return door.read_explanation(path)


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_statistics_are_found_by_both(folder: Path, lcrp: Callable[..., Outcome]) -> None:
    explainer = door.load("embedded:yolov6_scenes")
    made = door.statistics(explainer, "scenes", num_samples=4, layers=explainer.layer)
    content = made.path.read_bytes()
    few = (*FEW, f"statistics.layers=[{explainer.layer}]")
    assert Path(lcrp("stage=glocal", *few).out[-1]).resolve() == made.path
    assert made.path.read_bytes() == content
    assert lcrp("stage=glocal", "stage.overwrite=true", *few).code == 0
    assert made.path.read_bytes() == content
    (one,) = door.explain(explainer, "boat.png", class_name="boat", statistics=made, n_references=2)
    outcome = lcrp("stage=render", "stage.image=boat.png", "stage.class_name=boat", "stage.n_references=2", *few)
    assert outcome.code == 0, outcome.err
    (written,) = [read(path) for path in folder.glob("outputs/runs/*render*/*.h5")]
    for pair in zip(one.concepts, written.concepts, strict=True):
        for references in zip(pair[0].references, pair[1].references, strict=True):
            assert np.array_equal(references[0].heatmap, references[1].heatmap)
            assert references[0].key == references[1].key
    assert one.to_dict() == written.to_dict()


@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "docs/how-to/python.md", "docs/how-to/explore.md"])
def test_examples_of_pages_run(page: str, folder: Path) -> None:
    text = (PROJECT / page).read_text(encoding="utf-8")
    names: dict[str, object] = {}
    for block in re.findall(r"^```python\n(.*?)^```", text, re.M | re.S):
        exec(compile(block, page, "exec"), names)
        if "enumerate(" in block:  # every decision has a figure of its own
            assert len(list(folder.glob("decision_*.png"))) == 1 + int(str(names["number"]))


@pytest.mark.slow
def test_examples_of_docstrings_run(folder: Path) -> None:  # noqa: ARG001
    explainer = door.load("embedded:yolov6_scenes")
    found = door.statistics(explainer, "scenes", num_samples=24, layers=explainer.layer)
    (explanation,) = door.explain(explainer, "boat.png", class_name="boat")
    explanation.save("boat.h5")
    names = {"lcrp": door, "explainer": explainer, "found": found, "explanation": explanation}
    finder = doctest.DocTestFinder(recurse=False)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    num_examples = 0
    for name in door.__all__:
        for test in finder.find(getattr(door, name), name, globs=dict(names), module=False):
            num_examples += len(test.examples)
            runner.run(test)
    assert runner.failures == 0
    assert num_examples >= 10


def test_every_public_function_has_an_example() -> None:
    functions = [name for name in door.__all__ if callable(getattr(door, name)) and name.islower()]
    assert len(functions) >= 7
    for name in functions:
        assert ">>>" in (getattr(door, name).__doc__ or ""), name
