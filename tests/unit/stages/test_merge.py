"""Shards: made apart, in any number and order, their merged file is that of one pass, byte for byte."""

import random
from dataclasses import replace
from pathlib import Path

import h5py
import noise_world
import pytest
from noise_world import Noise

from lcrp.data.loader import Shard
from lcrp.decisions.subject import Subject
from lcrp.errors import StoreError, TargetError
from lcrp.runs.run import Run
from lcrp.stages.glocal.findings import _looked_at
from lcrp.stages.glocal.glocal import GlocalSettings, glocal
from lcrp.stages.merge import MergeSettings, merge
from lcrp.storage import new_file
from lcrp.storage.statistics import StatisticsFile, read_header

DATASET = Noise(length=25, broken=(4, 17))  # 9 chunks of 3, the last one with one sample
STATISTICS = replace(noise_world.STATISTICS, record=True)


def run_in(folder: Path) -> Run:
    (folder / "run").mkdir(parents=True, exist_ok=True)
    return Run(folder=folder / "run", output_root=folder / "outputs")


@pytest.fixture
def subject() -> Subject:
    return noise_world.subject(DATASET)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return run_in(tmp_path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    run = run_in(tmp_path_factory.mktemp("whole"))
    return glocal(noise_world.subject(DATASET), STATISTICS, GlocalSettings(), run).read_bytes()


def shards(subject: Subject, run: Run, count: int) -> list[Path]:
    return [
        glocal(subject, STATISTICS, GlocalSettings(shard=Shard(index=index, count=count)), run)
        for index in range(count)
    ]


@pytest.mark.parametrize("count", [2, 5, 16])
@pytest.mark.parametrize("block", [1 << 18, 7])  # of rows: the latter puts borders of shards within blocks
def test_merged_shards_are_the_whole(
    subject: Subject, run: Run, whole: bytes, count: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if block == 7:
        monkeypatch.setattr(new_file, "_CHUNK_ENTRIES", block)
        whole = glocal(subject, STATISTICS, GlocalSettings(), run_in(run.folder)).read_bytes()
    made = shards(subject, run, count)
    path = merge(subject, STATISTICS, MergeSettings(), run)
    assert path.read_bytes() == whole
    random.Random(count).shuffle(made)
    again = merge(subject, STATISTICS, MergeSettings(shards=tuple(made), output=run.folder / "again.h5"), run)
    assert again.read_bytes() == whole


def test_shards_of_before_there_were_ledgers_merge(subject: Subject, run: Run) -> None:
    made = shards(subject, run, 2)
    with StatisticsFile(made[0], is_part=True) as file:
        num_before = len(file.targets().ledgers)
    with h5py.File(made[1], "r+") as file:
        del file["ledger"]
    with StatisticsFile(merge(subject, STATISTICS, MergeSettings(), run)) as file:
        ledger = file.ledger()
    assert ledger is not None
    assert 0 < num_before == ledger.count.sum()


def test_every_sixteenth_sample_is_looked_at_after_the_first_ones(subject: Subject, run: Run) -> None:
    with StatisticsFile(glocal(subject, STATISTICS, GlocalSettings(), run)) as file:
        looked_at = {target.sample // 3 for target, _ in file.targets().ledgers}  # chunks of 3
    assert looked_at == {0, 1, 2, 3, 4, 5}
    assert [_looked_at([sample]) for sample in (0, 5, 15, 16, 17, 31, 32)] == ["all"] * 3 + [1, None, None, 2]


def test_merging_in_steps_gives_the_same(subject: Subject, run: Run, whole: bytes) -> None:
    made = shards(subject, run, 5)
    odd = merge(subject, STATISTICS, MergeSettings(shards=(made[3], made[1]), output=run.folder / "odd.h5"), run)
    even = merge(subject, STATISTICS, MergeSettings(shards=tuple(made[::2]), output=run.folder / "even.h5"), run)
    assert read_header(odd).coverage == ((3, 9), (15, 21))
    path = merge(subject, STATISTICS, MergeSettings(shards=(odd, even), output=run.folder / "all.h5"), run)
    assert path.read_bytes() == whole


def test_shards_are_ranges_of_chunks(subject: Subject, run: Run) -> None:
    coverage = [read_header(path).coverage for path in shards(subject, run, 4)]
    assert coverage == [((0, 6),), ((6, 12),), ((12, 18),), ((18, 25),)]
    more = Shard(index=0, count=16), Shard(index=15, count=16)
    assert [shard.chunks(9) for shard in more] == [range(0), range(8, 9)]


def test_what_is_missing_is_told_and_can_follow(
    subject: Subject, run: Run, whole: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    second, fourth = shards(subject, run, 4)[1::2]
    kept = second.read_bytes()
    second.unlink()
    path = merge(subject, STATISTICS, MergeSettings(), run)
    assert "3 shards, 19 of 25 samples, incomplete: samples 6 to 11 are missing" in caplog.text
    with pytest.raises(StoreError, match="it lacks 6 of 25 samples, from sample 6 on"):
        StatisticsFile(path)
    fourth.unlink()
    second.write_bytes(kept)
    both = (path, second)
    assert merge(subject, STATISTICS, MergeSettings(shards=both, output=path), run).read_bytes() == whole


def test_an_existing_shard_is_not_made_again(subject: Subject, run: Run, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    (first, _) = shards(subject, run, 2)
    before = first.stat().st_mtime_ns
    shards(subject, run, 2)
    assert caplog.text.count("already there") == 2
    assert first.stat().st_mtime_ns == before


def test_a_complete_file_is_not_replaced_by_a_part(subject: Subject, run: Run, whole: bytes) -> None:
    path = glocal(subject, STATISTICS, GlocalSettings(), run)
    shards(subject, run, 2)[0].unlink()
    with pytest.raises(StoreError, match=r"is complete, these shards are not; delete it, or name another"):
        merge(subject, STATISTICS, MergeSettings(), run)
    assert path.read_bytes() == whole


def test_shards_that_overlap_are_named(subject: Subject, run: Run) -> None:
    shards(subject, run, 2)
    shards(subject, run, 3)
    with pytest.raises(StoreError, match=r"shard-0-of-3.h5' and .*shard-0-of-2.h5' both cover sample 0: delete"):
        merge(subject, STATISTICS, MergeSettings(), run)
    pattern = next(run.output_root.rglob("*-of-3.h5")).parent / "*-of-3.h5"
    assert read_header(merge(subject, STATISTICS, MergeSettings(shards=(pattern,)), run)).complete


def test_a_shard_of_other_settings_is_named_with_the_difference(subject: Subject, run: Run) -> None:
    (first, second) = shards(subject, run, 2)
    other = replace(STATISTICS, top_n=2)
    foreign = glocal(subject, other, GlocalSettings(shard=Shard(index=1, count=2)), run)
    message = r"is of another configuration: statistics.top_n is 2 there and 5 here. Leave it out"
    with pytest.raises(StoreError, match=message):
        merge(subject, STATISTICS, MergeSettings(shards=(first, foreign)), run)
    assert second.exists()


def test_no_shards_is_an_error_that_says_how_to_make_them(subject: Subject, run: Run) -> None:
    with pytest.raises(StoreError, match="there are no shards in ") as caught:
        merge(replace(subject, command="lcrp stage=glocal"), STATISTICS, MergeSettings(), run)
    assert caught.value.mend.endswith(" and another: lcrp stage=glocal shard.count=2 shard.index=0,1 -m")
    with pytest.raises(StoreError, match=r"there is no file '.*absent.h5'"):
        merge(subject, STATISTICS, MergeSettings(shards=(run.folder / "absent.h5",)), run)


def test_a_damaged_shard_is_named(subject: Subject, run: Run) -> None:
    first = shards(subject, run, 2)[0]
    with h5py.File(first) as file:
        place = file["layers/2/relevance/score"].id.get_chunk_info(0).byte_offset
    content = bytearray(first.read_bytes())
    content[place + 5] ^= 0xFF
    first.write_bytes(content)
    with pytest.raises(StoreError, match=r"shard-0-of-2.h5' cannot be read, if it is damaged delete it"):
        merge(subject, STATISTICS, MergeSettings(), run)
    assert not list(run.output_root.rglob("*.part"))


def test_shards_without_targets_merge_and_nothing_at_all_is_an_error(run: Run, tmp_path: Path) -> None:
    half = noise_world.subject(Noise(length=12, broken=tuple(range(6))))
    expected = glocal(half, STATISTICS, GlocalSettings(), run_in(tmp_path / "whole")).read_bytes()
    shards(half, run, 4)
    assert merge(half, STATISTICS, MergeSettings(), run).read_bytes() == expected
    none = noise_world.subject(Noise(length=12, broken=tuple(range(12))))
    nowhere = run_in(tmp_path / "none")
    shards(none, nowhere, 2)
    with pytest.raises(TargetError, match="none of the 2 shards explained anything"):
        merge(none, STATISTICS, MergeSettings(), nowhere)
