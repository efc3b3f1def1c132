"""What stage=tune is asked."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from numbers import Real

from lcrp.data.loader import Shard
from lcrp.errors import at_least, refuse


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneSettings:
    """How much is looked at.

    Attributes:
        num_targets: decisions of the search, on which the last candidates are compared; one per picture.
        num_confirmed: other decisions, in other pictures, on which the winner is.
        num_layers: whose concepts are ranked, spread evenly over those that lead to decisions.
        minutes: that all of it may take, about; what does not fit is left out. None for no end.
        seed: of the draws of pictures and of candidates.
        shard: the part of the looks that is done.
    """

    num_targets: int
    num_confirmed: int
    num_layers: int
    minutes: float | None
    seed: int
    shard: Shard = field(default_factory=Shard)

    def __post_init__(self) -> None:
        refuse(self._problems())

    def _problems(self) -> Iterator[str]:
        for count, least in (("num_targets", 2), ("num_confirmed", 2), ("num_layers", 1), ("seed", 0)):
            if getattr(self, count) is None:
                yield f"{count}=None is no whole number; the least is {least}"
            yield from at_least(count, getattr(self, count), least)
        if self.minutes is not None and not (isinstance(self.minutes, Real) and 0 < self.minutes < math.inf):
            yield f"minutes={self.minutes!r} is no time; write a positive number, or null for no end"
        elif self.minutes is not None and self.shard.count > 1:
            yield (
                f"minutes={self.minutes:g} plans by the time that one process takes, and shards need one plan for all; "
                "write stage.minutes=null, in the last run without shard, too"
            )
