"""How far work is that grows while it is done, told as one count."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import Protocol, Self


class Counting(Protocol):
    """Is told how far work is."""

    def advance(self, count: int = 1) -> None:
        """`count` more units are done."""
        ...

    def extend(self, count: int) -> None:
        """`count` more units are to be done; fewer, where it is negative."""
        ...


StartCounting = Callable[[int, str, str], AbstractContextManager[Counting]]  # total, description, unit


class GrowingCount:
    """One count that begins with the first units that are to be done, and grows by those that come up later.

    Args:
        start: opens it, as `Run.progress` does; None tells nobody.
        description: of the work.
        unit: what is counted, in the plural.
    """

    def __init__(self, start: StartCounting | None, description: str, unit: str) -> None:
        self._start, self._words = start, (description, unit)
        self._opened = ExitStack()
        self._counting: Counting | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the count, if it has begun."""
        self._opened.__exit__(kind, error, traceback)

    def extend(self, count: int) -> None:
        """`count` more units are to be done; fewer, where it is negative."""
        if self._counting is not None:
            self._counting.extend(count)
        elif self._start is not None:
            self._counting = self._opened.enter_context(self._start(count, *self._words))

    def advance(self, count: int = 1) -> None:
        """`count` more units are done."""
        if self._counting is not None:
            self._counting.advance(count)
