"""Evidence files, and the units that long work is kept in."""

import csv

import numpy as np
import pytest

from lcrp.errors import StoreError
from lcrp.storage.evidence import read_evidence, write_evidence
from lcrp.storage.units import Units
from lcrp.values.evidence import Table


def test_tables_come_back_as_they_were_written(tmp_path):
    table = Table(name="areas", columns={"method": ["lrp", "größe"], "area": np.array([0.5, float("nan")])})
    written = write_evidence(tmp_path / "evidence.h5", [table], title="t", settings={"a": 1})
    assert [path.name for path in written] == ["evidence.h5", "areas.csv"]
    found = read_evidence(tmp_path / "evidence.h5")["areas"]
    assert list(found.columns) == ["method", "area"]
    assert found.columns["method"] == ["lrp", "größe"]
    np.testing.assert_array_equal(found.columns["area"], table.columns["area"])
    with (tmp_path / "areas.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["method", "area"], ["lrp", "0.5"], ["größe", "nan"]]


def test_equal_tables_give_equal_bytes(tmp_path):
    table = Table(name="areas", columns={"area": np.array([0.5])})
    files = [
        write_evidence(tmp_path / name / "evidence.h5", [table], title="t", settings={})[0].read_bytes()
        for name in "ab"
    ]
    assert files[0] == files[1]


def test_another_file_is_refused(tmp_path):
    (tmp_path / "evidence.h5").write_text("no")
    with pytest.raises(StoreError, match="cannot be read"):
        read_evidence(tmp_path / "evidence.h5")


def test_units_are_found_again_and_only_by_the_same_settings_and_version(tmp_path):
    units = Units(tmp_path, "evaluate of/it", {"seed": 0}, version=1)
    assert units.read("00000") is None
    units.write("00000", {"readout": np.arange(3.0)})
    again = Units(tmp_path, "evaluate of/it", {"seed": 0}, version=1).read("00000")
    assert again is not None
    np.testing.assert_array_equal(again["readout"], [0.0, 1.0, 2.0])
    assert Units(tmp_path, "evaluate of/it", {"seed": 1}, version=1).read("00000") is None
    assert Units(tmp_path, "evaluate of/it", {"seed": 0}, version=2).read("00000") is None


def test_a_damaged_unit_is_made_again(tmp_path, caplog):
    units = Units(tmp_path, "evaluate", {}, version=1)
    units.write("00000", {"readout": np.arange(300.0)})
    path = units.folder / "00000.npz"
    path.write_bytes(path.read_bytes()[:200])
    assert units.read("00000") is None
    assert "is damaged and made again" in caplog.text
