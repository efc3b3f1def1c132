"""After its first chunk a pass says what it will cost, and ends at once if the disk cannot hold its file."""

from dataclasses import replace
from pathlib import Path

import noise_world
import pytest
from noise_world import STATISTICS, Noise

from lcrp.errors import StoreError
from lcrp.runs.run import Run
from lcrp.stages.glocal import estimate as module
from lcrp.stages.glocal.estimate import Estimate
from lcrp.stages.glocal.glocal import GlocalSettings, glocal

SUBJECT = noise_world.subject(Noise(length=25))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(folder=tmp_path, output_root=tmp_path)


def test_a_long_pass_tells_its_cost_once(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        glocal(SUBJECT, STATISTICS, GlocalSettings(overwrite=True), run)
        assert "left; " not in caplog.text  # over before one has read it
        monkeypatch.setattr(module, "_TOLD_FROM_SECONDS", 0.0)
        glocal(SUBJECT, STATISTICS, GlocalSettings(overwrite=True), run)
    (line,) = [message for message in caplog.messages if "left; " in message]
    assert line.startswith("glocal: about 0:0")
    assert "at the end; disk about 2" in line  # 200 kB: the arrays of three layers
    assert " free)" in line


def test_what_is_told() -> None:
    cost = Estimate(
        seconds_left=6730,
        peak_memory=812_000_000,
        more_memory=700_000_000,
        file_bytes=248e6,
        disk_bytes=1.4e9,
        free_bytes=20_000_000_000,
    )
    assert str(cost) == (
        "about 1:52:10 left; memory 812 MB so far and about 1.5 GB at the end; disk about 248 MB for the file and "
        "1.4 GB on the way (20 GB free)"
    )
    unknown = replace(cost, peak_memory=None, free_bytes=None)
    assert str(unknown) == "about 1:52:10 left; disk about 248 MB for the file and 1.4 GB on the way"


def test_a_disk_that_cannot_hold_the_file_ends_the_pass_at_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "free_space", lambda _: 50_000)
    heard: list[int] = []
    told = replace(run, on_progress=lambda done, *_: heard.append(done))
    with pytest.raises(StoreError, match=r"will take about 2\d\d kB, but only 50 kB are free") as caught:
        glocal(SUBJECT, STATISTICS, GlocalSettings(), told)
    assert heard[-1] == STATISTICS.batch_size
    assert "statistics.top_n_per_class" in caught.value.mend


def test_a_disk_that_may_be_too_small_is_a_warning(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "free_space", lambda _: 300_000)
    glocal(SUBJECT, STATISTICS, GlocalSettings(), run)
    assert "has 300 kB free, and this pass takes about" in caplog.text
