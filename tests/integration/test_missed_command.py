"""stage=missed as a command: in parts, and where it has nothing to say."""

from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Outcome

CommandLine = Callable[..., Outcome]

FEW = ("stage=missed", "statistics.num_samples=12", "statistics.batch_size=4", "stage.explained=2")


def tables(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.glob("*.csv")}


def made(root: Path) -> Path:
    return max((root / "outputs" / "runs").iterdir())


def test_parts_of_a_pass_are_put_together(lcrp: CommandLine, tmp_path: Path) -> None:
    assert lcrp(*FEW).code == 0
    whole = tables(made(tmp_path))
    assert set(whole) == {
        *("alarm_kinds.csv", "classes.csv", "detections.csv", "false_alarms.csv", "mechanisms.csv"),
        *("misses.csv", "tide.csv"),
        *("absent.csv", "examples.csv", "lacking.csv", "returned.csv", "things.csv"),
    }
    figures = sorted(path.name for path in made(tmp_path).glob("missed_*.png"))
    assert len(figures) == len(whole["lacking.csv"].splitlines()) - 1 == 2
    for path in (tmp_path / "outputs" / "evidence").glob("*/*.npz"):
        path.unlink()
    explained = []
    for index, said in ((0, "once more explains its part"), (1, "without shard"), (0, "without shard")):
        part = lcrp(*FEW, "shard.count=2", f"shard.index={index}")
        assert part.code == 0
        assert any(f"the same command {said}" in line for line in part.out)
        assert not tables(made(tmp_path))
        explained.append(len(list((tmp_path / "outputs" / "evidence").glob("*/lacking_*.npz"))))
    assert explained == [0, 1, 2]
    again = lcrp(*FEW)
    assert any("going on with what is kept" in line for line in again.out)
    assert tables(made(tmp_path)) == whole


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("stage.class_names=[boot]",), "class 'boot' is not known to the model; nearest: 'boat'"),
        (("model=unet", "stage.confidence=0.3"), "stage.confidence=0.3 says nothing to segmentation; leave it out"),
        (("model=unet", "stage.class_names=[boat]"), "class_names says nothing to a network that decides about pixels"),
        (("stage.least_score=2",), "stage.least_score=2.0 is out of range"),
    ],
)
def test_what_cannot_be_meant_is_one_line(lcrp: CommandLine, arguments: tuple[str, ...], message: str) -> None:
    outcome = lcrp("stage=missed", "statistics.num_samples=4", *arguments)
    assert outcome.code == 1
    (line,) = outcome.err
    assert message in line


def test_pictures_without_annotation(lcrp: CommandLine, tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "photos").mkdir()
    Image.new("RGB", (64, 64)).save(tmp_path / "photos" / "one.png")
    outcome = lcrp("stage=missed", "dataset=folder", "dataset.path=photos", "model.checkpoint=embedded:yolov6_scenes")
    (line,) = outcome.err
    assert "none of the 1 pictures of photos is annotated with boxes" in line
