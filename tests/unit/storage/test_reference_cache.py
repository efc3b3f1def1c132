"""Heatmaps kept between runs."""

from pathlib import Path

import numpy as np
import pytest

from lcrp.storage.reference_cache import NeuronKey, ReferenceCache

ONE, TWO = NeuronKey(3, 1, 0, 17), NeuronKey(4, 0, 2, 5)


def cache(folder: Path, **changes: str) -> ReferenceCache:
    return ReferenceCache(
        **({"folder": folder / "references", "config_hash": "abc", "layer": "a/b", "mode": "relevance"} | changes)
    )  # type: ignore[arg-type]


def heatmap(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(6, 8)).astype(np.float32)


def test_what_is_written_is_read_and_added_to(tmp_path: Path) -> None:
    stored = cache(tmp_path)
    assert stored.read(7) == {}
    stored.write(7, {ONE: heatmap(0)})
    stored.write(7, {TWO: heatmap(1)})
    found = stored.read(7)
    assert list(found) == [ONE, TWO]
    np.testing.assert_array_equal(found[ONE], heatmap(0))
    np.testing.assert_array_equal(found[TWO], heatmap(1))
    assert stored.read(8) == {}


@pytest.mark.parametrize("changes", [{"config_hash": "abd"}, {"layer": "a/c"}, {"mode": "activation"}])
def test_nothing_is_found_under_another_configuration(tmp_path: Path, changes: dict[str, str]) -> None:
    cache(tmp_path).write(7, {ONE: heatmap(0)})
    assert cache(tmp_path, **changes).read(7) == {}


def test_a_damaged_file_counts_as_absent_and_is_replaced(tmp_path: Path) -> None:
    stored = cache(tmp_path)
    stored.write(7, {ONE: heatmap(0)})
    stored.path(7).write_bytes(stored.path(7).read_bytes()[:100])
    assert stored.read(7) == {}
    stored.write(7, {TWO: heatmap(1)})
    assert list(stored.read(7)) == [TWO]


def test_a_folder_that_cannot_be_made_is_only_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "references").write_text("in the way")
    cache(tmp_path).write(7, {ONE: heatmap(0)})
    assert "are not kept for the next run" in caplog.text


def test_nothing_to_write_leaves_no_file(tmp_path: Path) -> None:
    cache(tmp_path).write(7, {})
    assert not (tmp_path / "references").exists()
