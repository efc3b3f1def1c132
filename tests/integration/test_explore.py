"""stage=explore through the command line: what the page holds is what the statistics and decisions say."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from conftest import TINY, Outcome
from lcrp.page.reader import PageData, read_page
from lcrp.storage.evidence import read_evidence
from lcrp.storage.statistics import StatisticsFile

LAYER = "model.2.cv3.conv"
FEW = ("stage=explore", *TINY, "stage.num_decisions=2", "stage.n_concepts_per_class=3", "stage.n_references=2")


def _statistics(folder: Path) -> Path:
    (path,) = (folder / "outputs" / "statistics").glob("*/*.h5")
    return path


@pytest.fixture
def made(lcrp: Callable[..., Outcome], tmp_path: Path) -> PageData:
    outcome = lcrp(*FEW, "stage.make_statistics=true", "stage.output=audit.html", "statistics.record=true")
    assert outcome.code == 0, outcome.err
    assert outcome.out[-1] == "audit.html"
    return read_page(tmp_path / "audit.html")


def test_the_page_holds_the_statistics(made: PageData, tmp_path: Path) -> None:
    """Every number of the page is that of the HDF5 file, bit for bit."""
    with StatisticsFile(_statistics(tmp_path)) as file:
        found, header, record = file.layer(LAYER), file.header, file.record(LAYER)
        targets = file.targets().explained
    assert made.index["facts"]["statistics_hash"] == header.config_hash
    assert made.index["classes"] == list(header.class_names)
    assert made.index["facts"]["num_targets"] == len(targets)
    assert np.array_equal(made.array("l0.class_ids"), found.moments.class_ids)
    assert np.array_equal(made.array("l0.count"), found.moments.count)
    assert np.array_equal(made.array("l0.mean"), found.moments.mean(), equal_nan=True)
    assert np.array_equal(made.array("l0.deviation"), np.sqrt(found.moments.variance()), equal_nan=True)
    for name in ("score", "sample", "class_id", "item", "filled"):
        assert np.array_equal(made.array(f"l0.top.{name}"), getattr(found.relevance, name))
    owner = np.array([one.target.class_id for one in targets])
    for row, class_id in enumerate(found.moments.class_ids.tolist()):
        middle = np.quantile(record[owner == class_id].astype(np.float32), 0.5, axis=0)
        assert made.array("l0.spread")[row, :, 2] == pytest.approx(middle)


def test_references_are_of_the_ranking(made: PageData) -> None:
    start, score = made.array("l0.ref.start"), made.array("l0.ref.score")
    top = made.array("l0.top.score")
    assert start[-1] > 0
    for concept, image in made.index["layers"][0]["images"].items():
        rows = slice(start[int(concept)], start[int(concept) + 1])
        assert 0 < rows.stop - rows.start <= 2
        assert set(score[rows].tolist()) <= set(top[int(concept)].tolist())
        assert made.images[image][8:12] == b"WEBP"


def test_references_of_a_class_are_of_its_own_ranking(made: PageData, tmp_path: Path) -> None:
    """Those of another class, or the first ones over all classes sorted out, would show what others look like."""
    with StatisticsFile(_statistics(tmp_path)) as file:
        table, class_ids = file.layer(LAYER).relevance_by_class, file.layer(LAYER).moments.class_ids.tolist()
    concept, owner, start = (made.array(f"l0.own.{name}") for name in ("concept", "class", "start"))
    assert len(concept) > 0
    for row in range(len(concept)):
        of_class = class_ids.index(int(owner[row]))
        ranked = slice(0, int(table.filled[of_class, concept[row]]))
        known = {
            (int(sample), int(item)): score
            for sample, item, score in zip(
                *(getattr(table, name)[of_class, concept[row], ranked] for name in ("sample", "item", "score")),
                strict=True,
            )
        }
        shown = slice(start[row], start[row + 1])
        assert 0 < shown.stop - shown.start <= 4
        found = zip(
            *(made.array(f"l0.own.{name}")[shown].tolist() for name in ("sample", "item", "score")), strict=True
        )
        assert all(known[sample, item] == np.float32(score) for sample, item, score in found)
        assert set(made.array("l0.own.class_id")[shown].tolist()) == {int(owner[row])}
        assert made.array("l0.own.score")[start[row]] == table.score[of_class, concept[row], 0]


def test_decisions_are_those_of_render(made: PageData, lcrp: Callable[..., Outcome], tmp_path: Path) -> None:
    """The page and stage=render tell the same of a decision."""
    outcome = lcrp("stage=render", *TINY, "stage.samples=[0]", "stage.n_references=0", "stage.n_concepts=6")
    assert outcome.code == 0, outcome.err
    (rendered,) = (
        json.loads(path.read_text()) for path in (tmp_path / "outputs/runs").glob("*render*/*_0_model*.json")
    )
    shown = next(one["facts"] for one in made.index["decisions"] if one["facts"]["sample"] == 0)
    assert {**shown, "title": rendered["title"]} == rendered
    shares = made.array("d.shares")[0]
    for one in shown["concepts"]:
        assert shares[one["concept"]] == np.float32(one["share"])


def test_two_pictures_propose_no_names(made: PageData) -> None:
    """Whatever two pictures show could be chance; the page says from how many decisions it is told."""
    layer = made.index["layers"][0]
    assert 0 < layer["proposed"]["decisions"] <= 4
    assert layer["proposed"]["names"] == [""] * layer["num_concepts"]
    assert not made.array("l0.proposed.fits").any()


def test_without_pictures_and_decisions(lcrp: Callable[..., Outcome], tmp_path: Path) -> None:
    arguments = ("stage.make_statistics=true", "stage.output=audit.html", "stage.pictures=false")
    outcome = lcrp(*FEW[:-3], "stage.num_decisions=0", *arguments)
    assert outcome.code == 0, outcome.err
    page = read_page(tmp_path / "audit.html")
    assert page.images == ()
    assert page.index["decisions"] == []
    assert page.index["layers"][0]["proposed"] is None
    assert page.array("l0.ref.start")[-1] > 0
    assert {one["how"] for one in page.index["left_out"]} >= {"stage.pictures=true", "stage.num_decisions=24"}


def test_two_statistics_are_compared(made: PageData, lcrp: Callable[..., Outcome], tmp_path: Path) -> None:
    """A network beside itself: every concept is its own match; other samples are refused."""
    path = _statistics(tmp_path)
    again = (*FEW, "stage.output=two.html", "statistics.record=true")
    outcome = lcrp(*again, f"stage.statistics=[{path},{path}]")
    assert outcome.code == 0, outcome.err
    page = read_page(tmp_path / "two.html")
    match, overlap, mean = (page.array(f"other.{name}") for name in ("match", "overlap", "mean"))
    has_any = made.array("l0.top.score").max(axis=1) > 0.0
    assert ((match >= 0) == has_any).all()
    assert overlap[has_any] == pytest.approx(1.0)
    assert np.array_equal(mean, page.array("l0.mean"), equal_nan=True)
    start, sample = page.array("other.ref.start"), page.array("other.ref.sample")
    for concept, image in page.index["other"]["images"].items():
        rows = slice(start[int(concept)], start[int(concept) + 1])
        assert set(sample[rows].tolist()) <= set(page.array("l0.top.sample")[int(concept)].tolist())
        assert page.images[image][8:12] == b"WEBP"
    assert set(page.index["other"]["images"]) == set(page.index["layers"][0]["images"])
    fewer = (one.replace("num_samples=2", "num_samples=1") for one in TINY)
    outcome = lcrp("stage=glocal", *fewer)
    assert outcome.code == 0, outcome.err
    (other,) = set((tmp_path / "outputs" / "statistics").glob("*/*.h5")) - {path}
    outcome = lcrp(*again, f"stage.statistics=[{path},{other}]")
    assert outcome.code == 1
    assert "ranks other samples than the statistics" in outcome.err[-1]
    assert not any("decisions" in line for line in outcome.err[:-1])  # refused before anything is computed


def test_misses_and_kinds_of_false_alarms_are_those_of_missed(lcrp: Callable[..., Outcome], tmp_path: Path) -> None:
    """Results of another network would be shown beside this one, or boxes in another frame than its own."""
    outcome = lcrp("stage=missed", *TINY, "stage.explained=2", f"stage.layer={LAYER}")
    assert outcome.code == 0, outcome.err
    outcome = lcrp(*FEW, "stage.make_statistics=true", "stage.output=audit.html")
    assert outcome.code == 0, outcome.err
    page = read_page(tmp_path / "audit.html")
    (folder,) = (tmp_path / "outputs" / "runs").glob("*missed*")
    tables = read_evidence(folder / "missed.h5")
    lacking = tables["lacking"].columns
    told = zip(lacking["sample"].tolist(), lacking["object"].tolist(), strict=True)
    assert [one["id"] for one in page.index["misses"]] == [f"m{sample}.{number}" for sample, number in told] != []
    known = {(row[1], row[2]): row for row in tables["misses"].rows()}
    for one, sample, number in zip(page.index["misses"], lacking["sample"], lacking["object"], strict=True):
        row = dict(zip(tables["misses"].columns, known[sample, number], strict=True))
        assert one["missed"]["mechanism"] == row["mechanism"]
        assert page.index["pictures"][one["picture"]]["name"] == row["key"]
        sides = [row[side] / 256 for side in ("left", "top", "right", "bottom")]
        assert one["box"] == pytest.approx(sides, abs=1e-6)
        assert len(one["facts"]["concepts"]) == len(one["missed"]["concepts"]) == len(one["limits"]) - 1
    names = [one["name"] for one in page.index["pictures"]]
    assert len(set(names)) == len(names)  # a miss shares the picture of a decision
    kinds = dict(zip(tables["false_alarms"].columns["key"], tables["false_alarms"].columns["kind"], strict=True))
    assert {one["facts"]["key"]: one["alarm"]["kind"] for one in page.index["decisions"]} == kinds
    (finding,) = (one for one in page.index["findings"] if one["name"] == "missed")
    assert finding["source"] == folder.name
    assert finding["sentences"][0].startswith("6 of 6 objects (100 %")


def test_a_folder_is_written_over_pages_alone(lcrp: Callable[..., Outcome], tmp_path: Path) -> None:
    """A folder that holds something else is a person's own."""
    arguments = (*FEW, "stage.make_statistics=true", "stage.folder=true", "stage.output=audit")
    for _ in range(2):
        outcome = lcrp(*arguments)
        assert outcome.code == 0, outcome.err
    assert len(read_page(tmp_path / "audit").index["decisions"]) == 2
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years")
    outcome = lcrp(*arguments[:-1], "stage.output=mine")
    assert outcome.code == 1
    assert "holds no page: nothing is written over it" in outcome.err[-1]
    assert [one.name for one in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("stage.max_megabytes=0.1",), "max_megabytes=0.1 is out of range"),
        (("stage.num_decisions=-1",), "stage.num_decisions=-1 is too small"),
        (("stage.statistics=[a.h5,b.h5,c.h5]",), "statistics names 3 files"),
        (("stage.context=nothing.h5",), "nothing.h5"),
        (("stage.class_name=unicorn",), "class 'unicorn' is not known to the model"),
        ((), "there are no statistics in"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(lcrp: Callable[..., Outcome], arguments: tuple[str, ...], told: str) -> None:
    made = ("stage.make_statistics=true",) if any("context" in one for one in arguments) else ()
    outcome = lcrp(*FEW, *arguments, *made)
    assert outcome.code == 1
    assert told in outcome.err[-1]
    assert outcome.err[-1].startswith("lcrp: error: ")
