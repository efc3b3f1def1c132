"""What is left is listed with its state; deleted is what is named, below outputs/ and multirun/, and not in use."""

import json
import os
from dataclasses import replace
from pathlib import Path

import noise_world
import pytest
from noise_world import STATISTICS

import lcrp
from lcrp.errors import StoreError
from lcrp.runs.run import Run
from lcrp.stages.clean.clean import CleanSettings, clean
from lcrp.stages.clean.kept import Kept, kept
from lcrp.stages.glocal.glocal import GlocalSettings, glocal
from lcrp.storage.location import checkpoint_path, final_path
from lcrp.storage.lock import in_use, sole_writer


def made_run(folder: Path, version: str | None = lcrp.__version__) -> Path:
    (folder / ".hydra").mkdir(parents=True)
    (folder / "lcrp.log").write_text("x" * 1000)
    if version is not None:
        record = {"command": {"folder": "there", "overrides": []}, "versions": {"lcrp": version}}
        (folder / "provenance.json").write_text(json.dumps(record))
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """The run that cleans, in a folder where others ran before."""
    outputs = tmp_path / "outputs"
    return Run(folder=made_run(outputs / "runs" / "own", None), output_root=outputs)


@pytest.fixture
def statistics(run: Run) -> Path:
    return glocal(noise_world.subject(), STATISTICS, GlocalSettings(), run)


def states(run: Run) -> dict[str, tuple[str, str]]:
    origin = run.output_root.parent
    return {one.path.relative_to(origin).as_posix(): (one.kind, one.state) for one in kept(origin)}


def delete(run: Run, *patterns: str) -> None:
    assert clean(CleanSettings(delete=patterns), run) == []


def test_everything_is_listed_with_its_state(run: Run, statistics: Path) -> None:
    place = statistics.parent.relative_to(run.output_root.parent).as_posix()
    checkpoint = checkpoint_path(statistics)
    checkpoint.write_bytes(statistics.read_bytes()[:100])
    other = statistics.with_name("00000000-00000000.h5")
    other.write_bytes(statistics.read_bytes())
    (statistics.parent / ".x.h5.abc.part").write_bytes(b"12")
    for folder in ("statistics/toy/references", "evidence/truth_toy_abc"):
        (run.output_root / folder).mkdir(parents=True)
    for file in ("training/unet_abc.pt", "cache/pictures_abc.npz", "evidence/truth_toy_abc/000.npz"):
        (run.output_root / file).parent.mkdir(exist_ok=True)
        (run.output_root / file).write_bytes(bytes(500))
    made_run(run.output_root / "runs" / "old", "0.0.1")
    made_run(run.output_root / "runs" / "broken", None)
    made_run(run.output_root.parent / "multirun" / "monday" / "0_render")
    with in_use(run.folder / "provenance.json"):
        found = states(run)
    assert found == {
        f"{place}/{statistics.name}": ("statistics", "complete"),
        f"{place}/{checkpoint.name}": ("checkpoint", "damaged"),
        f"{place}/{other.name}": ("statistics", "its name does not fit its content: nothing finds it"),
        f"{place}/.x.h5.abc.part": ("rest", "left by a process that was killed"),
        "outputs/statistics/toy/references": ("cache", "maps of reference samples; made again where they are missing"),
        "outputs/evidence/truth_toy_abc": ("parts", "of work that goes on from them with the same command"),
        "outputs/training/unet_abc.pt": ("training", "that goes on with the same command"),
        "outputs/cache/pictures_abc.npz": ("cache", "pictures of a training; drawn again where they are missing"),
        "outputs/runs/old": ("run", "ended well, by lcrp 0.0.1"),
        "outputs/runs/own": ("run", "runs now"),
        "outputs/runs/broken": ("run", "did not end well"),
        "multirun/monday": ("sweep", "1 jobs: ended well"),
    }


def test_a_file_that_is_being_written_says_so(run: Run, statistics: Path) -> None:
    with sole_writer(statistics):
        assert set(states(run).values()) == {("statistics", "being written now"), ("run", "did not end well")}


def test_the_listing_has_sizes_and_leaves_the_own_run_out(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (run.output_root / "cache").mkdir()
    (run.output_root / "cache" / "pictures_abc.npz").write_bytes(bytes(2500))
    os.utime(run.output_root / "cache" / "pictures_abc.npz", (0, 0))
    before = sorted(tmp_path.rglob("*"))
    with caplog.at_level("INFO"):
        delete(run)
    assert sorted(tmp_path.rglob("*")) == before
    first, last = caplog.messages
    assert first.split()[:3] == ["cache", "2.5", "kB"]
    assert " days  outputs/cache/pictures_abc.npz: pictures of a training" in first.replace(os.sep, "/")
    assert last.startswith("1 things, 2.5 kB; stage.delete=")


@pytest.mark.parametrize(("age", "text"), [(5, "now"), (90, "1 minute"), (7300, "2 hours"), (86400, "1 day")])
def test_age(age: float, text: str) -> None:
    assert Kept(path=Path(), kind="", state="", num_bytes=0, age=age).age_text == text


def test_what_is_named_is_deleted_and_nothing_else(
    run: Run, statistics: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runs = run.output_root / "runs"
    old = [made_run(runs / name) for name in ("2025-a", "2025-b", "2026-a")]
    checkpoint = checkpoint_path(statistics)
    checkpoint.write_bytes(bytes(3000))
    with caplog.at_level("INFO"):
        delete(run, "outputs/runs/2025-*", "outputs/runs/2025-a/lcrp.log", checkpoint.as_posix())
    assert [path.exists() for path in (*old, checkpoint, statistics)] == [False, False, True, False, True]
    assert not list(statistics.parent.glob(".*"))
    assert "(3.0 kB)" in caplog.text
    delete(run, "outputs/runs/*")
    assert list(runs.iterdir()) == [run.folder]
    delete(run, "outputs/statistics")
    assert not (run.output_root / "statistics").exists()


@pytest.mark.parametrize(
    "pattern",
    ["", ".", "outputs", "multirun", "data/x", "/etc/passwd", "outputs/../data/*", "outputs/a/../../data/x"],
)
def test_nothing_outside_is_deleted(run: Run, tmp_path: Path, pattern: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x").write_text("mine")
    old = made_run(run.output_root / "runs" / "old")
    with pytest.raises(StoreError, match="is not below 'outputs' or 'multirun' of the current folder"):
        delete(run, "outputs/runs/old", pattern)
    assert (tmp_path / "data" / "x").exists()
    assert old.exists()  # all is checked before anything is deleted


def test_links_are_not_followed(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x").write_text("mine")
    old = made_run(run.output_root / "runs" / "old")
    (old / "link").symlink_to(tmp_path / "data")
    with pytest.raises(StoreError, match=r"'outputs/runs/old/link/x' is not deleted: 'outputs.*link' is a link"):
        delete(run, "outputs/runs/old/link/x")
    with pytest.raises(StoreError, match="is a link"):
        delete(run, "outputs/runs/old/*/x")
    delete(run, "outputs/runs/old")
    assert not old.exists()
    assert (tmp_path / "data" / "x").read_text() == "mine"


def test_what_is_not_there_is_named_with_the_nearest(run: Run) -> None:
    with pytest.raises(StoreError, match=r"there is no 'outputs/rums' to delete; nearest: 'outputs/runs'"):
        delete(run, "outputs/rums")


@pytest.mark.parametrize("what", ["checkpoint", "file", "folder", "lock alone"])
def test_what_another_process_writes_is_not_deleted(run: Run, statistics: Path, what: str) -> None:
    checkpoint = checkpoint_path(statistics)
    checkpoint.write_bytes(b"half")
    old = made_run(run.output_root / "runs" / "old")
    if what == "lock alone":  # a pass that has kept nothing yet
        statistics.unlink()
        checkpoint.unlink()
    named = {"checkpoint": checkpoint, "file": statistics}.get(what, statistics.parent)
    with sole_writer(statistics), pytest.raises(StoreError, match="is being written by process"):
        delete(run, "outputs/runs/old", named.as_posix())
    assert old.exists()
    assert what == "lock alone" or (statistics.exists() and checkpoint.exists())
    elsewhere = run.output_root / "mine.h5"
    elsewhere.write_bytes(b"12")
    with sole_writer(elsewhere), pytest.raises(StoreError, match="is being written by process"):
        delete(run, "outputs/*.h5")
    assert elsewhere.exists()
    with in_use(old / "provenance.json"), pytest.raises(StoreError, match="is being written by process"):
        delete(run, "outputs/runs/*")
    assert old.exists()


def test_a_checkpoint_belongs_to_its_file() -> None:
    path = Path("a") / "b.h5"
    assert final_path(checkpoint_path(path)) == final_path(path) == path


def test_statistics_of_another_place_are_read_as_they_are(run: Run) -> None:
    named = run.output_root / "statistics" / "mine" / "all.h5"
    glocal(noise_world.subject(), STATISTICS, replace(GlocalSettings(), output=named), run)
    assert ("statistics", "complete") in states(run).values()
