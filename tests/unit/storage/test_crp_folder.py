"""zennit-crp's folders: what is written comes back, with classes and items; half a folder is none."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lcrp.errors import StoreError
from lcrp.storage.crp_folder import (
    BY_CLASS,
    OVERALL,
    Convention,
    CrpFolder,
)
from lcrp.storage.new_crp_folder import write_class, write_class_list, write_overall
from lcrp.storage.new_folder import new_folder
from lcrp.values.statistics import Entries

PLAIN = Convention()
SHAPE = (2, 3, 3)


def entries(items: list[int] | None = None) -> Entries:
    """Three entries for each of two concepts, all of sample 4 where items tell them apart."""
    sample = np.full((3, 2), 4) if items else np.array([[4, 1], [0, 4], [2, 2]])
    return Entries(
        sample=sample,
        score=np.array([[0.5, 0.5], [0.25, 0.5], [-0.5, 0.0]], dtype=np.float32),
        peak=np.array([[8, 0], [1, 2], [3, 4]]),
        class_id=np.array([[0, 1], [1, 1], [-1, 0]]),
        item=np.array(items or [0, 0, 0])[:, None].repeat(2, axis=1),
    )


def written(path: Path, table: Entries) -> Path:
    with new_folder(path) as folder:
        for score in OVERALL:
            write_overall(folder, score, "a.b", entries(), PLAIN)
            write_class(folder, score, ("a.b", 1), table, PLAIN)
            write_class_list(folder, score, {1}, PLAIN)
    return path


def opened(path: Path) -> CrpFolder:
    return CrpFolder(path, PLAIN, num_samples=5, num_classes=2)


def test_columns_come_back(tmp_path: Path) -> None:
    folder = opened(written(tmp_path / "crp", entries()))
    assert folder.layer_names == ("a.b",)
    assert folder.sizes() == (3, 3)
    found = folder.overall("relevance", "a.b", SHAPE)
    for column in ("sample", "score", "peak", "class_id"):
        np.testing.assert_array_equal(getattr(found, column), getattr(entries(), column))
    assert found.item is None  # all of them are 0
    assert folder.overall("activation", "a.b", SHAPE).class_id is None


def test_items_are_told_apart(tmp_path: Path) -> None:
    path = written(tmp_path / "crp", entries([2, 0, 1]))
    (found,) = opened(path).by_class("relevance", "a.b", SHAPE).values()
    assert found.item is not None
    assert found.item[:, 0].tolist() == [2, 0, 1]
    for file in path.rglob("*_item.npy"):
        file.unlink()
    with pytest.raises(StoreError, match=r"1_data\.npy' names sample 4 twice for one concept"):
        opened(path).by_class("relevance", "a.b", SHAPE)


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("class", 2, r"b_class\.npy' names class 2, there are -1 to 1$"),
        ("class", -2, r"names class -2, there are -1 to 1$"),
        ("data", -1, r"names sample -1, there are 0 to 4; is this the same dataset\?$"),
        ("rf", 9, r"names neuron 9, there are 0 to 8; see model\.input$"),
    ],
)
def test_numbers_out_of_range_are_named(tmp_path: Path, part: str, value: int, message: str) -> None:
    path = written(tmp_path / "crp", entries())
    np.save(path / "RelMax_sum_normed" / f"a.b_{part}.npy", np.full((3, 2), value))
    with pytest.raises(StoreError, match=message):
        opened(path).overall("relevance", "a.b", SHAPE)


def test_files_are_named_and_typed_as_zennit_crps(tmp_path: Path) -> None:
    path = written(tmp_path / "crp", entries())
    names = {str(file.relative_to(path)) for file in path.rglob("*.npy")}
    tables = [f"{OVERALL[score]}/a.b" for score in OVERALL] + [f"{BY_CLASS[score]}/a.b/1" for score in BY_CLASS]
    columns = {f"{table}_{part}.npy" for table in tables for part in ("data", "rel", "rf")}
    lists = {f"{folder}/targets.npy" for folder in BY_CLASS.values()}
    assert names == columns | lists | {"RelMax_sum_normed/a.b_class.npy"}
    dtypes = {part: np.load(path / f"RelMax_sum_normed/a.b_{part}.npy").dtype for part in ("data", "rel", "rf")}
    assert dtypes == {"data": np.int64, "rel": np.float32, "rf": np.int64}
    assert np.load(path / "RelStats_sum_normed/targets.npy").tolist() == ["1"]


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    wrong = replace(entries(), score=None)
    with pytest.raises(AttributeError, match="astype"):
        written(tmp_path / "crp", wrong)
    assert not list(tmp_path.iterdir())


def test_an_empty_folder_may_be_filled(tmp_path: Path) -> None:
    (tmp_path / "crp").mkdir()
    assert opened(written(tmp_path / "crp", entries())).sizes() == (3, 3)


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StoreError, match=r"cannot write '.*'"), new_folder(tmp_path / "file" / "crp"):
        pass
    with pytest.raises(StoreError, match="is there already and is left alone"), new_folder(tmp_path / "file"):
        pass
