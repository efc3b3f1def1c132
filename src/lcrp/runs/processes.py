"""Work side by side: copies of this process work out items by one thread each, and results come in order.

On CPUs a second picture beside the first gains more than a second thread. A copy begins with all that this process
holds (fork), so that only items and results go from one to the other.
"""

import ctypes
import io
import logging
import multiprocessing
import pickle
import signal
import sys
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from logging.handlers import QueueHandler
from multiprocessing.connection import Connection, wait
from queue import SimpleQueue
from typing import Any, TypeVar

import torch

from lcrp.runs.machine import free_memory, resident_memory
from lcrp.runs.threads import torch_threads

Item = TypeVar("Item")
Result = TypeVar("Result")

SHARE_OF_MEMORY = 0.8  # of what is free, that copies may take
ITEMS_AT_ONCE = 3  # for every copy: what it works out, what is read meanwhile, what waits for its turn
_PR_SET_PDEATHSIG = 1  # of Linux's prctl

log = logging.getLogger(__name__)


def processes_for(device: torch.device) -> int:
    """How many processes work side by side for a network: one for each of torch's threads, or this one alone.

    Alone where a copy might hang: on other systems than Linux, where a GPU is, and in a process that runs further
    threads of Python (a notebook, a server) or reads samples for another one.
    """
    is_single = threading.active_count() == 1 and not multiprocessing.current_process().daemon
    if sys.platform != "linux" or device.type != "cpu" or torch.cuda.is_available() or not is_single:
        return 1
    return torch.get_num_threads()


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], processes: int, told: set[str] | None = None
) -> Iterator[tuple[Item, Result]]:
    """Items with their results, in the order of the items.

    With several processes the first item is worked out here, by one thread like all others: what is prepared once is
    prepared before there are copies, and what it took tells how many of them the free memory holds. What `work` does to
    objects stays in its copy. An item whose work fails there is worked out here again, so that the error is raised as
    ever; where the system ends a copy, this process goes on alone.

    Args:
        work: makes the result of an item.
        items: asked for here, as copies have room for them.
        processes: at most so many; 1 works all out here, by the threads that torch has.
        told: what the log has said of the network so far, which it says once; grows by what copies say.
    """
    if processes == 1:
        yield from ((item, work(item)) for item in items)
        return
    failures: list[Exception] = []
    coming, before = _until_failure(items, failures), resident_memory()
    for item in islice(coming, 1):
        yield item, _alone(work, item)
    first = list(islice(coming, _fitting(processes, before)))
    if len(first) > 1:
        copies = _Copies(work, len(first), set() if told is None else told)
        try:
            yield from copies.results(chain(first, coming))
        finally:
            copies.end()
        first = copies.left
    for item in chain(first, coming):
        yield item, _alone(work, item)
    for failure in failures:
        raise failure


def _until_failure(items: Iterable[Item], failures: list[Exception]) -> Iterator[Item]:
    """Items up to one that cannot be had: nothing that was asked for before is lost for it."""
    try:
        yield from items
    except Exception as error:
        failures.append(error)


def _alone(work: Callable[[Item], Result], item: Item) -> Result:
    with torch_threads(1):
        return work(item)


def _fitting(processes: int, before: tuple[int, int] | None) -> int:
    """As many processes as the free memory holds, if each takes what an item took here; `before` is what was held."""
    after, free = resident_memory(), free_memory()
    if before is None or after is None or free is None:
        return processes
    taken = max(1, after[1] - before[0])
    fitting = max(1, int(SHARE_OF_MEMORY * free / taken))
    if fitting < processes:
        log.info("%d processes side by side, not %d: the memory that is free holds no more", fitting, processes)
    return min(processes, fitting)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What a copy has to say of an item.

    Attributes:
        result: of its work, in bytes; None if that failed.
        records: of the log.
        warned: warnings: message, category, file and line.
        told: what was said of the network so far.
    """

    result: bytes | None = None
    records: list[logging.LogRecord]
    warned: list[tuple[Any, ...]]
    told: set[str]


class _EndedError(Exception):
    """The system ended a copy."""


class _Copies:
    """Copies of this process.

    Args:
        work: what they do.
        count: of them.
        told: as of `in_order`.

    Attributes:
        left: items without a result, since the system ended a copy.
    """

    def __init__(self, work: Callable[[Any], Any], count: int, told: set[str]) -> None:
        self.left: list[Any] = []
        self._work, self._told, self._heard = work, told, set[tuple[str, str]]()
        self._connections: list[Connection] = []
        self._read_ahead = deque[tuple[int, Any]]()  # items that no copy has yet, by their numbers
        self._given: dict[int, Any] = {}  # items that copies have or had, from that on whose turn it is
        self._busy: dict[Connection, int] = {}  # numbers of the items that they work out
        self._answers: dict[int, _Answer] = {}
        self._processes: list[Any] = []
        context = multiprocessing.get_context("fork")
        with warnings.catch_warnings(), torch_threads(1):
            warnings.simplefilter("ignore", DeprecationWarning)  # of threads: torch's wait, and a copy uses none
            for _ in range(count):
                own, other = context.Pipe()
                self._connections.append(own)
                arguments = (work, other, tuple(self._connections), told)
                process = context.Process(target=_serve, args=arguments, daemon=True)
                process.start()
                self._processes.append(process)
                other.close()

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
                log.warning("the system ended a process, most likely for want of memory; this one goes on alone")
                self.left = [*self._given.values(), *(item for _, item in self._read_ahead)]
                return
            if not self._given:
                return
            item, answer = self._given.pop(turn), self._answers.pop(turn)
            if answer.result is not None:
                self._hear(answer)
            yield item, _alone(self._work, item) if answer.result is None else pickle.loads(answer.result)
            turn += 1

    def end(self) -> None:
        """No copy is left, whatever it was doing."""
        for process in self._processes:
            process.kill()
        for process, connection in zip(self._processes, self._connections, strict=True):
            process.join()
            process.close()
            connection.close()

    def _give(self, coming: Iterator[tuple[int, Any]]) -> None:
        """An item for every copy that has none; one that is busy would not read it."""
        for connection in [one for one in self._connections if one not in self._busy]:
            if not self._read_ahead and not self._read(coming):
                return
            number, item = self._read_ahead.popleft()
            self._given[number], self._busy[connection] = item, number
            try:
                connection.send_bytes(_dumped(item))
            except OSError as error:
                raise _EndedError from error

    def _read(self, coming: Iterator[tuple[int, Any]]) -> bool:
        """One item more, if there is one and room for it."""
        is_room = len(self._given) + len(self._read_ahead) < ITEMS_AT_ONCE * len(self._connections)
        found = list(islice(coming, int(is_room)))
        self._read_ahead += found
        return bool(found)

    def _receive(self, *, is_waiting: bool) -> bool:
        """What copies have to say by now, or wait for; whether there is anything."""
        ready = wait(list(self._busy), None if is_waiting else 0)
        for connection in ready:
            assert isinstance(connection, Connection)
            try:
                self._answers[self._busy.pop(connection)] = pickle.loads(connection.recv_bytes())
            except (EOFError, OSError) as error:
                raise _EndedError from error
        return bool(ready)

    def _hear(self, answer: _Answer) -> None:
        """What a copy said is said here, once if several say the same."""
        self._told |= answer.told
        for record in answer.records:
            if self._is_new(record.name, record.getMessage()):
                logging.getLogger(record.name).handle(record)
        for warned in answer.warned:
            if self._is_new(warned[1].__name__, str(warned[0])):
                warnings.showwarning(*warned)

    def _is_new(self, kind: str, text: str) -> bool:
        words = kind, text
        is_new = words not in self._heard
        self._heard.add(words)
        return is_new


def _serve(work: Callable[[Any], Any], connection: Connection, of_first: Sequence[Connection], told: set[str]) -> None:
    """A copy: works out one item after the other, until nobody asks any more.

    Args:
        work: what is done with an item.
        connection: to the process that asks.
        of_first: its ends of this connection and of those before, which were copied too.
        told: what was said of the network, as `work` knows it.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for number in (signal.SIGINT, signal.SIGTERM):  # signals go to all processes: the first one answers
        signal.signal(number, signal.SIG_IGN)
    for one in of_first:
        one.close()
    while True:
        try:
            item = pickle.loads(connection.recv_bytes())
        except EOFError:
            return
        connection.send_bytes(_dumped(_answer(work, item, told)))


def _answer(work: Callable[[Any], Any], item: Any, told: set[str]) -> _Answer:
    log_records, warned = _Records(), list[tuple[Any, ...]]()
    logging.getLogger().handlers = [log_records]
    warnings.showwarning = lambda *words, **_: warned.append(words[:4])
    try:
        result = _dumped(work(item))
    except Exception:  # raised where the item is worked out again
        result = None
    return _Answer(result=result, records=log_records.found, warned=warned, told=told)


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
