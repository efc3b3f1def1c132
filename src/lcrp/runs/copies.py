"""Copies of this process (fork), to which only items go, and from which results, log and warnings come."""

import ctypes
import io
import logging
import multiprocessing
import pickle
import signal
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from logging.handlers import QueueHandler
from multiprocessing.connection import Connection, wait
from queue import SimpleQueue
from typing import Any

import torch

from lcrp.runs.machine import free_memory, resident_memory
from lcrp.runs.threads import torch_threads

ITEMS_AT_ONCE = 3  # for every copy: what it works out, what is read meanwhile, what waits for its turn
SHARE_OF_MEMORY = 0.8  # of what is free, that further copies may take
FIRST_COPIES, FIRST_MEMORY = 2, 4 << 30  # as many begin where so much is free, before it is known what they take
_PR_SET_PDEATHSIG = 1  # of Linux's prctl
_WARNED = set[tuple[Any, ...]]()  # what copies warned of, and where: once a process, as Python does
_SIGNALS = (signal.SIGINT, signal.SIGTERM)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What a copy has to say of an item.

    Attributes:
        result: of its work, in bytes; None if that failed.
        records: of the log.
        warned: warnings: message, category, file and line.
        told: what was said of the network so far.
        taken: bytes of memory that the copy took at most, beyond what it began with; None where nobody knows.
    """

    result: bytes | None = None
    records: list[logging.LogRecord]
    warned: list[tuple[Any, ...]]
    told: set[str]
    taken: int | None


def by_one_thread(work: Callable[[Any], Any], item: Any) -> Any:
    """The result of an item, worked out here."""
    with torch_threads(1):
        return work(item)


class _EndedError(Exception):
    """The system ended a copy."""


class Copies:
    """Copies of this process.

    Args:
        work: what they do.
        most: of them.
        told: as of `in_order`.

    Attributes:
        left: items without a result, since the system ended a copy.
    """

    def __init__(self, work: Callable[[Any], Any], most: int, told: set[str]) -> None:
        self.left: list[Any] = []
        self._work, self._most, self._told = work, most, told
        self._heard = set[tuple[str, str]]()
        self._taken: int | None = None  # bytes, by a copy, at most
        self._connections: list[Connection] = []
        self._processes: list[Any] = []
        self._read_ahead = deque[tuple[int, Any]]()  # items that no copy has yet, by their numbers
        self._given: dict[int, Any] = {}  # items that copies have or had, from that on whose turn it is
        self._busy: dict[Connection, int] = {}  # numbers of the items that they work out
        self._answers: dict[int, _Answer] = {}
        self._grown = set[Connection]()  # to copies that have answered: their memory is no more free
        self._is_told = False  # that memory is short

    def results(self, items: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        """Items with their results, until all are worked out or the system ends a copy."""
        coming, turn = enumerate(items), 0
        while True:
            try:
                self._give(coming)
                while self._given and turn not in self._answers:
                    if not self._receive(is_waiting=not self._read(coming)):
                        continue
                    self._give(coming)
            except _EndedError:
                if self._processes:
                    log.warning("a process beside this one ended (%s); this one goes on alone", self._reason())
                self.left = [*self._given.values(), *(item for _, item in self._read_ahead)]
                return
            if not self._given:
                return
            item, answer = self._given.pop(turn), self._answers.pop(turn)
            if answer.result is not None:
                self._hear(answer)
            yield item, by_one_thread(self._work, item) if answer.result is None else pickle.loads(answer.result)
            turn += 1

    def _reason(self) -> str:
        """Why a copy ended."""
        ended = wait([process.sentinel for process in self._processes])
        for process in self._processes:
            process.join(None if process.sentinel in ended else 0)
        codes = [process.exitcode for process in self._processes if process.exitcode]
        if -signal.SIGKILL in codes:
            return f"signal {signal.SIGKILL:d}, most likely for want of memory"
        reasons = [f"signal {-code}" if code < 0 else f"exit code {code}" for code in codes]
        return ", ".join(reasons) or "nobody knows why"

    def end(self) -> None:
        """No copy is left, whatever it was doing."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.join()
        for connection in self._connections:
            connection.close()

    def _give(self, coming: Iterator[tuple[int, Any]]) -> None:
        """An item for every copy that has none, or may begin; one that is busy would not read it."""
        while self._read_ahead or self._read(coming):
            idle = [one for one in self._connections if one not in self._busy]
            if not idle:
                if len(self._connections) >= self._fitting():
                    return
                try:
                    self._begin()
                except OSError as error:
                    log.info("%d processes side by side, not %d: %s", len(self._connections), self._most, error)
                    self._most = len(self._connections)
                    if not self._most:
                        raise _EndedError from error
                continue
            number, item = self._read_ahead.popleft()
            self._given[number], self._busy[idle[0]] = item, number
            try:
                idle[0].send_bytes(_dumped(item))
            except OSError as error:
                raise _EndedError from error

    def _begin(self) -> None:
        """One copy more; signals that arrive meanwhile are the first process's.

        Raises:
            OSError: the system has no room for another process.
        """
        context = multiprocessing.get_context("fork")
        own, other = context.Pipe()
        arguments = (self._work, other, (*self._connections, own), self._told)
        process = context.Process(target=_serve, args=arguments, daemon=True)
        with warnings.catch_warnings(), torch_threads(1), other:
            # torch's threads wait, and a copy uses none of them
            warnings.filterwarnings("ignore", ".*multi-threaded, use of fork", DeprecationWarning)
            signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
            try:
                process.start()
                self._processes.append(process)
                self._connections.append(own)
            except OSError:
                own.close()
                raise
            finally:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    def _fitting(self) -> int:
        """How many copies there may be: as the free memory holds them, if each takes what one took so far."""
        free, count = free_memory(), len(self._connections)
        if free is None or count >= self._most:
            return self._most
        if self._taken is None:
            return min(self._most, FIRST_COPIES if free >= FIRST_MEMORY else 1)
        num_new = count - len(self._grown)  # they have not taken theirs yet
        fitting = max(1, count + int(SHARE_OF_MEMORY * free / max(1, self._taken)) - num_new)
        if fitting <= count and not num_new and not self._is_told:
            self._is_told = True
            log.info("%d processes side by side, not %d: the memory that is free holds no more", count, self._most)
        return min(self._most, fitting)

    def _read(self, coming: Iterator[tuple[int, Any]]) -> bool:
        """One item more, if there is one and room for it."""
        is_room = len(self._given) + len(self._read_ahead) < ITEMS_AT_ONCE * max(1, len(self._connections))
        found = list(islice(coming, int(is_room)))
        self._read_ahead += found
        return bool(found)

    def _receive(self, *, is_waiting: bool) -> bool:
        """What copies have to say by now, or wait for; whether there is anything."""
        ready = wait(list(self._busy), None if is_waiting else 0)
        for connection in ready:
            assert isinstance(connection, Connection)
            try:
                answer = pickle.loads(connection.recv_bytes())
            except (EOFError, OSError) as error:
                raise _EndedError from error
            self._answers[self._busy.pop(connection)] = answer
            self._grown.add(connection)
            if answer.taken is not None:
                self._taken = max(answer.taken, self._taken or 0)
        return bool(ready)

    def _hear(self, answer: _Answer) -> None:
        """What a copy said is said here; our own words once, if several say the same."""
        self._told |= answer.told
        for record in answer.records:
            words = record.name, record.getMessage()
            if words not in self._heard or not record.name.startswith("lcrp."):
                logging.getLogger(record.name).handle(record)
            self._heard.add(words)
        for message, category, file, line in answer.warned:
            place = str(message), category, file, line
            if place not in _WARNED:
                _WARNED.add(place)
                warnings.warn_explicit(message, category, file, line)


def _serve(work: Callable[[Any], Any], connection: Connection, of_first: Sequence[Connection], told: set[str]) -> None:
    """A copy: works out one item after the other, until nobody asks any more.

    Args:
        work: what is done with an item.
        connection: to the process that asks.
        of_first: its ends of this connection and of those before, which were copied too.
        told: what was said of the network, as `work` knows it.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for number in _SIGNALS:  # a terminal signals all processes: the first one answers
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    for one in of_first:
        one.close()
    torch.set_num_threads = _leave  # threads that were not copied would be waited for
    began = resident_memory()
    while True:
        try:
            item = pickle.loads(connection.recv_bytes())
        except EOFError:
            return
        answer = _answer(work, item, told, began)
        try:
            said = _dumped(answer)
        except Exception:  # of what it says, not all crosses processes
            said = _dumped(replace(answer, result=None, records=[], warned=[]))
        connection.send_bytes(said)


def _leave(nthreads: int) -> None:
    """In place of `torch.set_num_threads`."""


def _answer(work: Callable[[Any], Any], item: Any, told: set[str], began: tuple[int, int] | None) -> _Answer:
    log_records, warned = _Records(), list[tuple[Any, ...]]()
    logging.getLogger().handlers = [log_records]
    warnings.showwarning = lambda *words, **_: warned.append(words[:4])
    try:
        result = _dumped(work(item))
    except BaseException:  # raised where the item is worked out again
        result = None
    with suppress(OSError, ValueError):
        sys.stdout.flush()  # what a network prints
    memory = resident_memory()
    taken = None if began is None or memory is None else memory[1] - began[0]
    return _Answer(result=result, records=log_records.found, warned=warned, told=told, taken=taken)


class _Records(QueueHandler):
    """What was logged, as it crosses processes."""

    def __init__(self) -> None:
        super().__init__(SimpleQueue())
        self.found: list[logging.LogRecord] = []

    def enqueue(self, record: logging.LogRecord) -> None:
        """Keep a record whose message is made."""
        self.found.append(record)


class _Pickler(pickle.Pickler):
    """Tensors go as arrays: as torch would send them, every one costs a file, or a fifth of a millisecond."""

    def reducer_override(self, found: object) -> Any:
        """How an object is made again."""
        if type(found) is torch.Tensor and found.dtype != torch.bfloat16:
            return torch.from_numpy, (found.detach().numpy(),)
        return NotImplemented


def _dumped(found: object) -> bytes:
    stream = io.BytesIO()
    _Pickler(stream, protocol=pickle.HIGHEST_PROTOCOL).dump(found)
    return stream.getvalue()
