"""The ledger: what became of the relevance of one decision."""

from dataclasses import dataclass
from typing import Literal

Unaccounted = Literal["error", "accept"]  # what happens where relevance went astray

CANCELLING = 100.0  # times the seed, above which sums say little of what lies beneath them


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Where the relevance of a decision's output went.

    Attributes:
        seed: relevance put on the output.
        reached: what reached the network's input.
        constants: what biases and other constants took.
        stabiliser: what denominators kept, above all where next to nothing speaks for an output.
        largest: the largest sum of absolute relevance at the input or at a layer that was looked at.
        conserves: whether the composite claims that nothing else happens; gradients do not, nor does AttnLRP.
    """

    seed: float
    reached: float
    constants: float
    stabiliser: float
    largest: float
    conserves: bool

    @property
    def missing(self) -> float:
        """What is accounted for by nothing of these; rounding alone, if every operation has a rule that conserves."""
        return self.seed - self.reached - self.constants - self.stabiliser

    @property
    def missing_share(self) -> float:
        """`missing`, without sign, by the larger of the seed and the largest sum of absolute relevance."""
        scale = max(abs(self.seed), self.largest)
        return abs(self.missing) / scale if scale else 0.0

    @property
    def is_cancelling(self) -> bool:
        """Whether positive and negative relevance are so large that their sum says little."""
        return self.largest > CANCELLING * abs(self.seed)
