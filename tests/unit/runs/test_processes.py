import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from lcrp.errors import DataError
from lcrp.runs import copies as module
from lcrp.runs.copies import ITEMS_AT_ONCE, Copies
from lcrp.runs.processes import FEW, in_order, processes_for
from lcrp.runs.threads import torch_threads

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="copies begin on Linux alone")


@pytest.fixture(autouse=True)
def no_copy_is_left() -> Iterator[None]:
    before = multiprocessing.active_children()
    yield
    assert multiprocessing.active_children() == before


def squared(number: int) -> tuple[int, int, int]:
    return number**2, os.getpid(), torch.get_num_threads()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 20])
@pytest.mark.parametrize("processes", [2, 3])
def test_results_come_in_order_from_copies_of_one_thread(count: int, processes: int) -> None:
    with torch_threads(2):
        found = list(in_order(squared, range(count), processes))
        assert torch.get_num_threads() == 2
    assert [(item, result[0]) for item, result in found] == [(number, number**2) for number in range(count)]
    assert {threads for _, (_, _, threads) in found} <= {1}
    pids = [pid for _, (_, pid, _) in found]
    assert os.getpid() not in pids
    assert len(set(pids)) <= processes


def test_one_process_is_this_one_with_its_threads_and_asks_for_items_one_by_one() -> None:
    asked: list[int] = []
    items = (asked.append(number) or number for number in range(4))  # type: ignore[func-returns-value]
    with torch_threads(2):
        for item, (_, pid, threads) in in_order(squared, items, 1):
            assert (pid, threads) == (os.getpid(), 2)
            assert asked == list(range(item + 1))


def test_copies_work_side_by_side() -> None:
    def waiting(number: int) -> float:
        time.sleep(0.5 + number / 100)
        return time.monotonic()

    began = time.monotonic()
    moments = [moment - began for _, moment in in_order(waiting, range(8), 4)]
    assert min(moments) >= 0.5
    assert max(moments) < 3.0  # one after the other they take 4


def test_no_more_is_read_ahead_than_there_is_room_for() -> None:
    asked: list[int] = []
    items = (asked.append(number) or number for number in range(50))  # type: ignore[func-returns-value]
    for item, _ in in_order(squared, items, 2):
        assert len(asked) <= item + 2 + ITEMS_AT_ONCE * 2


@pytest.mark.parametrize("at", [0, 1, 5, 8])
def test_an_error_is_raised_as_ever_when_its_turn_comes(at: int) -> None:
    def work(number: int) -> int:
        if number == at:
            raise DataError(f"picture {number}", mend="Leave it out.", path=Path("there"))
        return number

    found: list[object] = []
    with pytest.raises(DataError, match=f"picture {at}") as raised:
        found.extend(item for item, _ in in_order(work, range(9), 3))
    assert (raised.value.mend, raised.value.path) == ("Leave it out.", Path("there"))
    assert found == list(range(at))


@pytest.mark.parametrize("at", [0, 1, 2, 6])
def test_what_was_read_before_a_failure_to_read_is_worked_out(at: int) -> None:
    def items() -> Iterator[int]:
        for number in range(9):
            if number == at:
                raise DataError("no more")
            yield number

    found: list[object] = []
    with pytest.raises(DataError, match="no more"):
        found.extend((item, result) for item, (result, *_) in in_order(squared, items(), 2))
    assert found == [(number, number**2) for number in range(at)]


def test_where_the_system_ends_a_copy_this_process_goes_on_alone(caplog: pytest.LogCaptureFixture) -> None:
    own = os.getpid()

    def work(number: int) -> int:
        if number == 4 and os.getpid() != own:
            os.kill(os.getpid(), signal.SIGKILL)
        return number**2

    with caplog.at_level(logging.WARNING):
        found = list(in_order(work, range(12), 2))
    assert found == [(number, number**2) for number in range(12)]
    (message,) = caplog.messages
    assert message == (
        "a process beside this one ended (signal 9, most likely for want of memory); this one goes on alone"
    )


def test_what_copies_say_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """Of lcrp: what a network logs is as often there as it says it. Warnings come as their filters say."""
    told = {"before"}

    def work(number: int) -> set[str]:
        before = set(told)
        told.add("network")
        logging.getLogger("lcrp.some").warning("%s of all", "once")
        logging.getLogger("lcrp.some").info("item %d", number)
        logging.getLogger("network").info("passed")
        warnings.warn("careful", UserWarning, stacklevel=1)
        return before

    shown: list[str] = []
    module._WARNED.clear()
    with caplog.at_level(logging.INFO), warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = lambda message, *_, **__: shown.append(str(message))
        for _ in range(2):
            found = list(in_order(work, range(8), 3, told))
            told.discard("network")
    assert found[0][1] == {"before"}
    assert caplog.messages.count("once of all") == 2  # for each call; what is told is not told again
    assert caplog.messages.count("passed") == 16
    assert shown == ["careful"]
    assert [message for message in caplog.messages if message.startswith("item")] == [
        f"item {number}" for number in [*range(8), *range(8)]
    ]


def test_what_copies_have_told_counts_as_told() -> None:
    told: set[str] = set()
    list(in_order(lambda number: told.add(f"of {number}"), range(5), 2, told))
    assert told == {f"of {number}" for number in range(5)}


def test_copies_leave_signals_to_the_first_process() -> None:
    def work(_: int) -> list[bool]:
        return [signal.getsignal(one) is signal.SIG_IGN for one in (signal.SIGINT, signal.SIGTERM)]

    found = [result for _, result in in_order(work, range(5), 2)]
    assert found == [[True, True]] * 5


def test_copies_end_with_who_asked_for_them() -> None:
    found = in_order(squared, range(40), 2)
    for item, _ in found:
        if item == 3:
            break
    found.close()  # type: ignore[attr-defined]
    assert not multiprocessing.active_children()


def test_tensors_come_back_as_they_were() -> None:
    kinds = [
        torch.randn(3, 4, dtype=torch.float64),
        torch.randn(3, 4).T[1:],
        torch.tensor(5),
        torch.zeros(0, 3, dtype=torch.bool),
        torch.randn(2, 3).to(torch.bfloat16),
        torch.randn(1, 2, 3, 3).contiguous(memory_format=torch.channels_last),
    ]
    for _, found in in_order(lambda _: kinds, range(3), 2):
        for ours, theirs in zip(kinds, found, strict=True):
            assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
            assert torch.equal(ours, theirs)
            if theirs is not ours:
                theirs.zero_()  # it can be written to


@pytest.mark.parametrize(
    ("free", "first", "expected"), [(64 << 30, 2, 5), (5 << 30, 2, 4), (3 << 30, 1, 2), (1 << 29, 1, 1), (None, 5, 5)]
)
def test_as_many_copies_as_the_free_memory_holds(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    free: int | None,
    first: int,
    expected: int,
) -> None:
    """The first ones begin before anybody knows what they take; each takes 1 GiB with its first item."""
    counts: list[int] = []
    copies: list[Copies] = []
    begin = Copies._begin

    def counted(self: Copies) -> None:
        copies[:] = [self]
        counts.append(len(self._grown))
        begin(self)

    def left() -> int | None:
        return None if free is None else free - sum(len(one._grown) << 30 for one in copies)

    monkeypatch.setattr(Copies, "_begin", counted)
    monkeypatch.setattr(module, "free_memory", left)
    held = iter([(0, 0)])
    monkeypatch.setattr(module, "resident_memory", lambda: next(held, (1 << 30, 1 << 30)))  # in every copy anew

    def work(_: int) -> None:
        time.sleep(0.1)

    with caplog.at_level(logging.INFO):
        list(in_order(work, range(31), 5))
    assert len(counts) == expected
    assert counts.count(0) >= first
    shortage = f"{expected} processes side by side, not 5: the memory that is free holds no more"
    assert caplog.messages == ([] if expected == 5 else [shortage])


def test_what_copies_say_and_cannot_send_is_said_here(caplog: pytest.LogCaptureFixture) -> None:
    class Own(UserWarning):
        """No other process knows it by its name."""

    def work(number: int) -> int:
        warnings.warn("careful", Own, stacklevel=1)
        return number

    with pytest.warns(Own, match="careful"):
        assert [result for _, result in in_order(work, range(5), 2)] == list(range(5))
    assert caplog.messages == []


@pytest.mark.parametrize("what", ["fork", "pipe"])
@pytest.mark.parametrize("room", [0, 1])
def test_where_there_is_no_room_for_processes_there_are_fewer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, what: str, room: int
) -> None:
    left = [room]
    whole = os.fork if what == "fork" else multiprocessing.get_context("fork").Pipe

    def narrow(*given: Any) -> Any:
        if not left[0]:
            raise BlockingIOError("no room")
        left[0] -= 1
        return whole(*given)

    if what == "fork":
        monkeypatch.setattr(os, "fork", narrow)
    else:
        monkeypatch.setattr(type(multiprocessing.get_context("fork")), "Pipe", lambda _: narrow())
    with caplog.at_level(logging.INFO):
        found = list(in_order(squared, range(9), 3))
    assert [result[0] for _, result in found] == [number**2 for number in range(9)]
    assert len({result[1] for _, result in found}) == 1
    assert caplog.messages == [f"{room} processes side by side, not 3: no room"]


def test_a_network_that_chooses_threads_does_not_hang() -> None:
    def work(number: int) -> float:
        torch.set_num_threads(2)
        return float(torch.ones(1 << 20).sum()) + number

    with torch_threads(2):
        torch.ones(1 << 20).sum()  # there are threads, of which copies have none
        assert [result for _, result in in_order(work, range(5), 2)] == [(1 << 20) + number for number in range(5)]


def test_an_exit_is_one(caplog: pytest.LogCaptureFixture) -> None:
    def work(number: int) -> None:
        if number == 3:
            raise SystemExit(7)

    with pytest.raises(SystemExit, match="7"):
        list(in_order(work, range(9), 2))
    assert caplog.messages == []


@pytest.mark.filterwarnings("error")
def test_filters_of_warnings_hold_in_copies() -> None:
    def work(_: int) -> None:
        warnings.warn("old", DeprecationWarning, stacklevel=1)

    with pytest.raises(DeprecationWarning, match="old"):
        list(in_order(work, range(3), 2))


def test_what_is_printed_is_not_lost(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        from lcrp.runs.processes import in_order
        list(in_order(lambda number: print(f"item {number}\\n", end=""), range(9), 2))
        """
    )
    own = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-c", program]
    found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, env=own)
    assert sorted(found.stdout.splitlines()) == [f"item {number}" for number in range(9)]


@pytest.mark.usefixtures("no_other_thread")
def test_processes_are_the_threads_where_copies_may_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with torch_threads(3):
        assert processes_for(cpu) == 3
        assert processes_for(torch.device("cuda")) == 1
        with monkeypatch.context() as patch:
            patch.setattr(torch.cuda, "is_available", lambda: True)
            assert processes_for(cpu) == 1
        with monkeypatch.context() as patch:
            patch.setattr(sys, "platform", "darwin")
            assert processes_for(cpu) == 1
        waits = threading.Event()
        other = threading.Thread(target=waits.wait)
        other.start()
        try:
            assert processes_for(cpu) == 1
        finally:
            waits.set()
            other.join()
        assert [result for _, result in in_order(lambda _: processes_for(cpu), range(4), 2)] == [1] * 4
        before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # as some supervisors leave it
        try:
            assert processes_for(cpu) == 1
        finally:
            signal.signal(signal.SIGCHLD, before)
        assert processes_for(cpu, FEW) == 1
        assert processes_for(cpu, FEW + 1) == 3


def test_copies_end_when_the_first_process_is_killed(tmp_path: Path) -> None:
    program = textwrap.dedent(
        f"""
        import os, pathlib, time
        from lcrp.runs.processes import in_order
        def work(number):
            pathlib.Path({str(tmp_path)!r}, str(os.getpid())).touch()
            time.sleep(600)
        list(in_order(work, range(9), 2))
        """
    )
    deadline = time.monotonic() + 60
    with subprocess.Popen([sys.executable, "-c", program]) as first:
        while len(pids := [int(path.name) for path in tmp_path.iterdir()]) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        first.kill()
    assert len(pids) == 2
    while any(_is_running(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _is_running(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"  # dead, and nobody has asked
