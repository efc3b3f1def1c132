"""statistics.batch_size=auto: what the GPU's memory holds, found once."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import colour_world
import pytest
import torch

from lcrp.data.loader import Shard
from lcrp.stages.glocal import batch_size as module
from lcrp.stages.glocal.batch_size import DEFAULT, batch_size
from lcrp.stages.glocal.glocal import GlocalSettings, glocal

STATISTICS = colour_world.statistics()


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int, int], None]:
    """A GPU that has so many bytes, and on which one and two samples take others."""

    def pretend(free: int, one: int, two: int) -> None:
        peaks = iter((9 * one, one, two))  # the first call sets up more

        def peak(device: torch.device, run: Callable[[], None]) -> int:  # noqa: ARG001
            run()
            return next(peaks)

        monkeypatch.setattr(module, "_is_measurable", lambda device: True)  # noqa: ARG005
        monkeypatch.setattr(module, "_free", lambda device: free)  # noqa: ARG005
        monkeypatch.setattr(module, "_peak", peak)

    return pretend


def test_on_a_cpu_it_is_the_default(tmp_path: Path) -> None:
    run = colour_world.run(tmp_path)
    assert batch_size(colour_world.subject(), STATISTICS, run) == DEFAULT
    assert run.notes["batch_size"] == DEFAULT


@pytest.mark.parametrize(
    ("free", "one", "two", "size"),
    [(1400, 150, 200, 16), (500, 150, 200, 6), (10**6, 150, 200, 64), (100, 150, 200, 1), (1000, 200, 200, 64)],
)
def test_it_is_what_the_memory_holds(
    tmp_path: Path, pretended: Callable, free: int, one: int, two: int, size: int
) -> None:
    """Of 1400 bytes 1120 are used, 100 once and 50 for each sample: for 20, of which there are 16 in whole eights."""
    pretended(free, one, two)
    assert batch_size(colour_world.subject(), STATISTICS, colour_world.run(tmp_path)) == size


def test_without_a_decision_it_is_the_default(tmp_path: Path, pretended: Callable) -> None:
    pretended(1000, 150, 200)
    unreadable = colour_world.subject(colour_world.Squares(length=1, broken=(0,)))
    assert batch_size(unreadable, STATISTICS, colour_world.run(tmp_path)) == DEFAULT


def test_parts_of_a_pass_have_one_size(tmp_path: Path, pretended: Callable) -> None:
    """The second part takes that of the first, whatever memory is free by then; other statistics have their own."""
    pretended(1000, 150, 200)
    subject, run = colour_world.subject(), colour_world.run(tmp_path)
    first = GlocalSettings(shard=Shard(index=0, count=2))
    glocal(subject, replace(STATISTICS, batch_size=3), first, run)
    assert batch_size(subject, STATISTICS, run) == 3
    assert run.notes["batch_size"] == 3
    assert batch_size(subject, replace(STATISTICS, top_n=4), run) == 8


def test_complete_statistics_tell_first(tmp_path: Path) -> None:
    subject, run = colour_world.subject(), colour_world.run(tmp_path)
    glocal(subject, replace(STATISTICS, batch_size=5), GlocalSettings(shard=Shard(index=0, count=2)), run)
    glocal(subject, replace(STATISTICS, batch_size=2), GlocalSettings(), run)
    assert batch_size(subject, STATISTICS, run) == 2
