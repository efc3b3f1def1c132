"""Files replace others only when they are whole."""

import json
from pathlib import Path

import pytest

from lcrp.errors import StoreError
from lcrp.storage.atomic import replacing, write_json


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    with replacing(path) as part:
        part.write_text("old")
        assert not path.exists()
        assert part.parent == path.parent
    with replacing(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def write_half(path: Path) -> None:
    with replacing(path) as part:
        part.write_text("half")
        raise RuntimeError("half way")


def test_an_error_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="half way"):
        write_half(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"cannot write '.*x\.json': "):
        write_json(tmp_path / "file" / "x.json", {})


@pytest.mark.parametrize("name", ["x.json", "deep/x.json"])
def test_a_file_where_a_folder_is_to_be_is_named(tmp_path: Path, name: str) -> None:
    """A file `outputs` in the folder where commands are given is easily made by a redirection."""
    (tmp_path / "outputs").write_text("in the way")
    with pytest.raises(StoreError, match=r"x\.json': '.*outputs' is no folder; rename it, or work in another folder$"):
        write_json(tmp_path / "outputs" / name, {})


def test_json_keeps_the_order_and_refuses_nan(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"b": 1, "a": [1.5]})
    assert list(json.loads(path.read_text())) == ["b", "a"]
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text())["b"] == 1
