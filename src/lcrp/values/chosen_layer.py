"""The layer that model.layer=auto stands for."""

from dataclasses import dataclass
from math import isnan


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenLayer:
    """A layer that was chosen by where the relevance of decisions passes.

    Attributes:
        name: of the layer.
        share: of the relevance of these decisions, on average, in [0, 1]; NaN of sides of boxes that are linearised.
        num_decisions: that were looked at.
        rules: name of the composite whose relevance this is, where it is not that of the run.
    """

    name: str
    share: float
    num_decisions: int
    rules: str = ""

    def __str__(self) -> str:
        several = f"the first {self.num_decisions} decisions" if self.num_decisions > 1 else "the decision"
        if isnan(self.share):
            return f"'{self.name}', whose concepts move the side most in {several}"
        share = f"{self.share:.0%}" if self.share >= 0.005 else "less than 1%"
        by = f" by {self.rules}" if self.rules else ""
        return f"'{self.name}', through which {share} of the relevance of {several} passes{by}"
