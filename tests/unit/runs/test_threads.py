"""Threads by what a process may use and what its sweep shares, never by load; half done work keeps its number."""

import pytest
import torch

from lcrp.errors import ConfigError
from lcrp.runs import threads as module
from lcrp.runs.threads import Share, Threads, chosen_threads, parallel_jobs, torch_threads


@pytest.mark.parametrize(
    ("share", "threads"),
    [
        (Share(found=8, cpus=8), 8),
        (Share(found=8, cpus=16), 8),  # physical cores, or OMP_NUM_THREADS
        (Share(found=64, cpus=4), 4),  # taskset, SLURM
        (Share(found=64, cpus=64, quota=2.5), 2),  # a container
        (Share(found=64, cpus=64, quota=0.5), 1),
        (Share(found=16, cpus=16, jobs=4), 4),
        (Share(found=4, cpus=16, jobs=4), 4),  # joblib has told torch of its part already: it is not cut twice
        (Share(found=16, cpus=16, quota=8.0, jobs=3), 2),
        (Share(found=2, cpus=2, jobs=4), 1),
        (Share(found=8, cpus=8, workers=3), 5),
        (Share(found=2, cpus=2, workers=4), 1),
    ],
)
def test_threads(share: Share, threads: int) -> None:
    assert share.threads == threads


def test_a_share_tells_what_bounds_it() -> None:
    assert str(Share(found=64, cpus=64, quota=2.5, jobs=2)) == "64 CPUs, a quota of 2.5, 2 jobs at once"
    assert str(Share(found=1, cpus=1)) == "1 CPU"
    assert str(Share(found=2, cpus=4, workers=1)) == "4 CPUs, 2 by torch or OMP_NUM_THREADS, 1 that read samples"


@pytest.mark.parametrize(("n_jobs", "jobs"), [(None, 1), (4, 4), (-1, 8), (-2, 7), (-20, 1)])
def test_jobs_at_the_same_time(n_jobs: int | None, jobs: int) -> None:
    assert parallel_jobs(n_jobs, cpus=8) == jobs


def test_half_done_work_goes_on_with_its_threads() -> None:
    alone = Share(found=8, cpus=8)
    chosen = Threads(count=2, is_given=False, most=alone.most)
    assert chosen.resumed(2) == 2
    assert chosen.resumed(8) == 8
    with pytest.raises(ConfigError, match="began with 16 threads, of which this process may use 8: go on where"):
        chosen.resumed(16)
    with pytest.raises(ConfigError, match="began with 4 threads, and 2 would change its last bits: set threads=4"):
        Threads(count=2, is_given=True, most=8).resumed(4)


def test_the_choice_says_what_it_follows_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "allowed_cpus", lambda: 16)
    monkeypatch.setattr(module, "cpu_quota", lambda: 8.0)
    chosen = chosen_threads(None, found=16, jobs=2, workers=1)
    assert (chosen.count, chosen.is_given, chosen.most) == (3, False, 8)
    assert str(chosen) == "3 (16 CPUs, a quota of 8, 2 jobs at once, 1 that read samples)"
    given = chosen_threads(5, found=16, jobs=2, workers=1)
    assert (given.count, given.is_given, given.most) == (5, True, 8)
    assert str(given) == "5 (as set)"
    assert chosen_threads(None, found=16, jobs=-1, workers=0).count == 1


def test_threads_within_a_block_are_put_back() -> None:
    before = torch.get_num_threads()
    with torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
