"""The ledger: what became of the relevance of one decision, and of many (no torch).

Axes: K class, S share.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from lcrp.values.shares import CANCEL, cancels, percent

Unaccounted = Literal["error", "accept"]  # what happens where relevance went astray

LARGELY = 0.5  # share of a decision from which on it is told that something took it
_TOLD = 0.1  # share from which on a part is told too
_HARDLY = 0.1  # share of what reaches the picture below which there is next to nothing to see,
_NOTHING = 5e-4  # and where biases took the rest
CANCELLING = 100.0  # times the seed, above which sums say little of what lies beneath them


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Where the relevance of a decision's output went.

    Attributes:
        seed: relevance put on the output; negative where its logit is.
        reached: what reached the network's input.
        constants: what biases and other constants took.
        stabiliser: what denominators kept, above all where next to nothing speaks for an output.
        largest: the largest sum of absolute relevance at the input or at a layer that was looked at.
        conserves: whether the composite claims that nothing else happens; gradients do not, nor does AttnLRP.
        cut: what went to values that the network had cut off from the picture, by detach, no_grad and the like.
    """

    seed: float
    reached: float
    constants: float
    stabiliser: float
    largest: float
    conserves: bool
    cut: float = 0.0

    @property
    def missing(self) -> float:
        """What is accounted for by nothing of these; rounding alone, if every operation has a rule that conserves."""
        return self.seed - self.reached - self.constants - self.cut - self.stabiliser

    @property
    def missing_share(self) -> float:
        """`missing`, without sign, by the larger of the seed and the largest sum of absolute relevance."""
        scale = max(abs(self.seed), self.largest)
        return abs(self.missing) / scale if scale else 0.0

    @property
    def is_cancelling(self) -> bool:
        """Whether positive and negative relevance are so large that their sum says little."""
        return self.largest > CANCELLING * abs(self.seed)

    @property
    def is_lost(self) -> bool:
        """Whether next to nothing of a decision reached the picture.

        Rules that count positive parts alone leave biases most of it in deep networks (99 % in YOLO11), and yet what
        remains tells where and what: there it must be nothing at all.
        """
        reached, biases, *others = self.shares()
        least = _NOTHING if abs(biases) > sum(map(abs, others)) else _HARDLY
        return bool(self.seed) and abs(reached) < least

    def shares(self) -> tuple[float, ...]:
        """The numbers of `SHARES`, by the seed's size: positive is what speaks for the decision; zero without one."""
        parts = (self.reached, self.constants, self.cut, self.stabiliser, self.missing)
        return tuple(part / abs(self.seed) if self.seed else 0.0 for part in parts)

    def losses(self) -> str:
        """Where a decision went, if half of it or more did not reach the picture, or biases speak as much against it.

        For example ``24 % reached the picture, biases took 76 %``; empty where most of it reached the picture.
        """
        reached, *kept = self.shares()
        if not self.seed or (reached >= LARGELY and max(map(abs, kept)) < LARGELY):
            return ""
        return losses_of([self])


def losses_of(ledgers: Sequence[Ledger]) -> str:
    """Where decisions went, as `Ledger.losses` says it of one: ``1 % to 4 % reached the picture, biases took ...``."""
    reached, *kept = zip(*(one.shares() for one in ledgers), strict=True)
    parts = [f"{_range(reached)} reached the picture"]
    keepers = ("biases took", "what the network cuts off took", "the stabiliser took", "unaccounted for is")
    parts += [f"{who} {_range(own)}" for who, own in zip(keepers, kept, strict=True) if max(map(abs, own)) >= _TOLD]
    signs = f"; {CANCEL}" if any(cancels(*one.shares()) for one in ledgers) else ""
    return f"{', '.join(parts)}{signs}"


def _range(values: Sequence[float]) -> str:
    least, most = percent(min(values)), percent(max(values))
    return least if least == most else f"{least} to {most}"


SHARES = ("reached", "constants", "cut", "stabiliser", "missing")  # of the seed, in this order


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSummary:
    """The ledgers of many decisions in a few numbers; shares are of the seed.

    Attributes:
        count: decisions of which a ledger was kept.
        mean: of every one of `SHARES`, by name.
        deviation: standard deviation of each.
        largest_missing: the largest share that nothing accounts for, of one decision (`Ledger.missing_share`).
        cancelling: decisions in which large relevance for and against cancels.
    """

    count: int
    mean: Mapping[str, float]
    deviation: Mapping[str, float]
    largest_missing: float
    cancelling: int

    def __repr__(self) -> str:
        mean = self.mean
        doubt = f"; {CANCEL}" if cancels(*mean.values()) else ""
        cut = f", what the network cuts off {mean['cut']:.1%}" if mean["cut"] else ""
        if self.cancelling:
            doubt += f"; in {self.cancelling} of them large relevance for and against cancels"
        return (
            f"ledger of {self.count} decisions looked at: {mean['reached']:.1%} of the relevance reached the picture, "
            f"constants (biases above all) took {mean['constants']:.1%}, stabilisers {mean['stabiliser']:.1%}{cut}; "
            f"at most {self.largest_missing:.1g} of a decision is unaccounted for{doubt}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerMoments:
    """Sums over the ledgers of many decisions, per class, rounded once: the order of adding does not matter.

    Attributes:
        class_ids: [K] int32, classes of which a ledger was kept, ascending.
        count: [K] int64, decisions.
        total: [K, S] sum of every share.
        square: [K, S] sum of its squares.
        largest_missing: [K] largest `Ledger.missing_share`.
        cancelling: [K] int64, decisions in which relevance cancels.
    """

    class_ids: npt.NDArray[np.integer]
    count: npt.NDArray[np.integer]
    total: npt.NDArray[np.floating]
    square: npt.NDArray[np.floating]
    largest_missing: npt.NDArray[np.floating]
    cancelling: npt.NDArray[np.integer]

    @classmethod
    def of(cls, class_ids: Sequence[int], ledgers: Sequence[Ledger]) -> "LedgerMoments":
        """Those of ledgers whose classes are given."""
        seen = sorted(set(class_ids))
        groups = [[one for owner, one in zip(class_ids, ledgers, strict=True) if owner == name] for name in seen]
        shares = [[one.shares() for one in group] for group in groups]  # [K][.][S]
        columns = [list(zip(*group, strict=True)) for group in shares]  # [K][S][.]
        size = (len(seen), len(SHARES))
        return cls(
            class_ids=np.array(seen, dtype=np.int32),
            count=np.array([len(group) for group in groups], dtype=np.int64),
            total=np.array([[math.fsum(share) for share in group] for group in columns]).reshape(size),
            square=np.array([[math.fsum(a * a for a in share) for share in group] for group in columns]).reshape(size),
            largest_missing=np.array([max(one.missing_share for one in group) for group in groups], dtype=np.float64),
            cancelling=np.array([sum(one.is_cancelling for one in group) for group in groups], dtype=np.int64),
        )

    def summary(self, class_id: int | None = None) -> LedgerSummary | None:
        """In a few numbers, of one class or of all; None where no ledger was kept."""
        rows = np.ones(len(self.class_ids), dtype=bool) if class_id is None else self.class_ids == class_id
        count = int(self.count[rows].sum())
        if not count:
            return None
        mean = self.total[rows].sum(axis=0) / count
        deviation = np.sqrt(np.maximum(self.square[rows].sum(axis=0) / count - mean**2, 0.0))
        return LedgerSummary(
            count=count,
            mean=dict(zip(SHARES, mean.tolist(), strict=True)),
            deviation=dict(zip(SHARES, deviation.tolist(), strict=True)),
            largest_missing=float(self.largest_missing[rows].max()),
            cancelling=int(self.cancelling[rows].sum()),
        )
