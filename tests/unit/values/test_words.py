"""Sizes and paths as a person reads them."""

from pathlib import Path

import pytest

from lcrp.values.chosen_layer import ChosenLayer
from lcrp.values.paths import shown, without_current_folder
from lcrp.values.shares import with_sign
from lcrp.values.sizes import size_text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (9_960, "10 kB"),
        (248_000_000, "248 MB"),
        (999_600_000, "1.0 GB"),
        (3e15, "3000 TB"),
    ],
)
def test_sizes(size: float, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(0.256, 2, "+0.26"), (-0.256, 2, "-0.26"), (-0.004, 2, "0.00"), (0.004, 2, "0.00"), (0.004, 3, "+0.004")],
)
def test_a_difference_that_rounds_to_zero_has_no_sign(value: float, digits: int, text: str) -> None:
    assert with_sign(value, digits) == text


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown(tmp_path / "a" / "b") == str(Path("a", "b"))
    assert shown(tmp_path.parent) == str(tmp_path.parent)
    assert shown(Path("a", "b")) == str(Path("a", "b"))
    assert shown(tmp_path / "a" / "b", tmp_path / "a") == "b"


def test_messages_name_paths_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = f"'{tmp_path / 'a.h5'}' is not in '{tmp_path}'; nor is '{tmp_path.parent / 'b'}'"
    assert without_current_folder(text) == f"'a.h5' is not in '{tmp_path}'; nor is '{tmp_path.parent / 'b'}'"
    monkeypatch.chdir("/")
    assert without_current_folder("'/a/b'") == "'/a/b'"


def test_a_chosen_layer_of_next_to_nothing_is_not_said_to_carry_0_per_cent() -> None:
    moved = ChosenLayer(name="head", share=float("nan"), num_decisions=1)
    assert str(moved) == "'head', whose concepts move the side most in the decision"
    assert "through which less than 1% of the" in str(ChosenLayer(name="head", share=1e-8, num_decisions=16))
