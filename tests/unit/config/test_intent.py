"""Words and misspelt choices become the settings that are meant, or nothing at all."""

from pathlib import Path

import pytest

from lcrp.config.intent import meant, own_folders


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        (["render", "photo.jpg"], ["stage=render", "stage.image=photo.jpg"]),
        (["scan.ppm"], ["stage=render", "stage.image=scan.ppm"]),
        (["photo.JPG"], ["stage=render", "stage.image=photo.JPG"]),
        (["glocal", "yolov6"], ["stage=glocal", "model=yolov6"]),
        (["stage=rendr", "model=unet"], ["stage=render", "model=unet"]),
        (["evaluat", "best.pt"], ["model=auto", "stage=evaluate", "model.checkpoint=best.pt"]),
        (["best.pt", "a.png"], ["stage=render", "model=auto", "model.checkpoint=best.pt", "stage.image=a.png"]),
        (["best.pt", "model=yolov5"], ["model.checkpoint=best.pt", "model=yolov5"]),
        (["gradient"], ["composite=gradient"]),
        (["scenes"], ["dataset=scenes"]),
        (["a b (1).png"], ["stage=render", "stage.image='a b (1).png'"]),
        (["it's.png"], ["stage=render", r"stage.image='it\'s.png'"]),
    ],
)
def test_what_is_meant_is_found(words: list[str], settings: list[str]) -> None:
    assert meant(words) == settings


@pytest.mark.parametrize(
    "words",
    [
        ["xyz"],
        ["stage=render"],
        ["model=yolov7"],  # as near to yolov5 as to yolov6
        ["model.checkpoint=best.pt"],
        ["model=yolov5,yolov6"],
        ["~stage.image"],
        ["statistics.topn=3"],
    ],
)
def test_what_is_right_or_unclear_stays(words: list[str]) -> None:
    assert meant(words) == words


def test_a_persons_own_choices_count(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mobilenet.yaml").touch()
    assert meant(["mobilnet"], [tmp_path]) == ["model=mobilenet"]
    assert meant([str(tmp_path)]) == ["stage=render", f"stage.image={tmp_path}"]  # a folder of pictures


def test_folders_are_named_by_a_flag_or_a_setting() -> None:
    overrides = ["model=x", "hydra.searchpath=['file:///a/conf',file://b]"]
    assert own_folders("mine", overrides) == [Path("mine"), Path("/a/conf"), Path("b")]
    assert own_folders(None, ["model=x"]) == []
