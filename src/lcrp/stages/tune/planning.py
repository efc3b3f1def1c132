"""How much of a search, and of its confirmation, fits into the time."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lcrp.evidence.confirming import FEWEST
from lcrp.evidence.halving import Rung, num_looks, rungs
from lcrp.stages.tune.measures import Steps

SEARCH, CONFIRMATION = Steps(channels=6, pixels=5), Steps(channels=15, pixels=20)
COUNTS = (24, 12, 6, 3)  # candidates of the first rung
SHARE = 0.4  # of the time, for the search
TRIED = 3  # candidates whose time is taken first


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is done.

    Attributes:
        rungs: of the search.
        num_confirmed: decisions on which the winner is compared.
    """

    rungs: tuple[Rung, ...]
    num_confirmed: int

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The plan as it is kept, so that interrupted work goes on with it."""
        pairs = [(rung.num_candidates, rung.num_decisions) for rung in self.rungs]
        return {"rungs": np.array(pairs), "num_confirmed": np.array([self.num_confirmed])}

    @classmethod
    def of(cls, arrays: dict[str, npt.NDArray[Any]]) -> "Plan":
        """From what is kept."""
        found = tuple(Rung(num_candidates=a, num_decisions=b) for a, b in arrays["rungs"].tolist())
        return cls(rungs=found, num_confirmed=int(arrays["num_confirmed"][0]))


def whole_plan(available: tuple[int, int]) -> Plan:
    """All candidates and all decisions that there are for the search, and for the confirmation."""
    return Plan(rungs=rungs(COUNTS[0], available[0]), num_confirmed=available[1])


def planned(
    minutes: float, shared: float, own: npt.NDArray[np.float64], available: tuple[int, int], num_methods: int
) -> Plan:
    """The broadest search, and as many confirmed decisions, as fit into the time; the fewest that tell in any case.

    Args:
        minutes: that all of it may take, about.
        shared: seconds of a decision that all candidates share.
        own: [3] seconds of a candidate's attribution, channels and pixels on one decision of the search.
        available: decisions there are for the search, and for the confirmation.
        num_methods: that are confirmed.
    """
    num_targets, num_confirmed = available
    choices = [rungs(count, num) for count in COUNTS for num in (num_targets, num_targets // 2) if num > 1]
    ratios = (1.0, CONFIRMATION.channels / SEARCH.channels, (CONFIRMATION.pixels - 1) / (SEARCH.pixels - 1))
    each = shared + num_methods * float(own @ ratios)
    seconds = 60 * minutes
    costs = [_cost(one, shared, float(own.sum())) for one in choices]
    most = min(SHARE * seconds, seconds - FEWEST * each)
    chosen = next((place for place, cost in enumerate(costs) if cost <= most), len(costs) - 1)
    count = min(num_confirmed, max(FEWEST, int((seconds - costs[chosen]) / each)))
    return Plan(rungs=choices[chosen], num_confirmed=count)


def _cost(plan: tuple[Rung, ...], shared: float, own: float) -> float:
    return plan[-1].num_decisions * shared + num_looks(plan) * own
