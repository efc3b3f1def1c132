"""Measuring side by side: rivals in turn, medians with quartiles, ratios within each turn."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

Seconds = dict[str, list[float]]
Contender = Callable[[], Mapping[str, float]]  # one turn; seconds by name
Report = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Of measured values: the median and the quartiles around it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of at least two values."""
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median=median, low=low, high=high)


def in_turn(contenders: Sequence[Contender], turns: int) -> Seconds:
    """All contenders once to warm up, then in turn, so that whatever slows the machine slows all of them."""
    seconds: Seconds = {}
    for turn in range(turns + 1):
        for contender in contenders:
            measured = contender()
            for name, value in measured.items():
                seconds.setdefault(name, []).extend([value] if turn else [])
    return seconds


def spreads(seconds: Seconds) -> Report:
    """Median and quartiles of every contender's seconds."""
    return {name: asdict(Spread.of(values)) for name, values in seconds.items()}


def ratio(seconds: Seconds, first: str, second: str) -> dict[str, float]:
    """How many times longer one takes than another."""
    return asdict(Spread.of([a / b for a, b in zip(seconds[first], seconds[second], strict=True)]))


def timed(run: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
