"""Work side by side: copies of this process work out items by one thread each, and results come in order.

On CPUs a second picture beside the first gains more than a second thread. A copy begins with all that this process
holds (fork), so that only items and results go from one to the other.
"""

import multiprocessing
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import TypeVar

import torch

from lcrp.runs.copies import Copies, by_one_thread

Item = TypeVar("Item")
Result = TypeVar("Result")

FEW = 8  # items for which no copy begins: its first one takes longer, as its memory is new


def processes_for(device: torch.device, num_items: int | None = None) -> int:
    """How many processes work side by side for a network: one for each of torch's threads, or this one alone.

    Alone for few items, and where a copy might hang: on other systems than Linux, where a GPU is, and in a process that
    runs further threads of Python (a notebook, a server), reads samples for another one, or is not told when one ends.

    Args:
        device: where the network lies.
        num_items: that are to be worked out; None: however many, so that the numbers do not depend on it.
    """
    is_elsewhere = sys.platform != "linux" or device.type != "cpu" or torch.cuda.is_available()
    is_single = threading.active_count() == 1 and not multiprocessing.current_process().daemon
    if is_elsewhere or not is_single or signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        return 1
    return torch.get_num_threads() if num_items is None or num_items > FEW else 1


def threads_of_each(device: torch.device) -> int:
    """Threads of every process that works for a network where many may, and so of what belongs to their work."""
    return 1 if processes_for(device) > 1 else torch.get_num_threads()


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], processes: int, told: set[str] | None = None
) -> Iterator[tuple[Item, Result]]:
    """Items with their results, in the order of the items.

    Several processes work by one thread each, as many as the free memory holds. What `work` does to objects stays in
    its copy. An item whose work fails there is worked out here again, so that the error is raised as ever; where the
    system ends a copy, this process goes on alone.

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
    copies = Copies(work, processes, set() if told is None else told)
    coming = _until_failure(items, failures)
    try:
        yield from copies.results(coming)
    finally:
        copies.end()
    for item in chain(copies.left, coming):
        yield item, by_one_thread(work, item)
    for failure in failures:
        raise failure


def _until_failure(items: Iterable[Item], failures: list[Exception]) -> Iterator[Item]:
    """Items up to one that cannot be had: nothing that was asked for before is lost for it."""
    try:
        yield from items
    except Exception as error:
        failures.append(error)
