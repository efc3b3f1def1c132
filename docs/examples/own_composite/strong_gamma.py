"""A composite that is not lcrp's own: a large gamma in convolutions, the first one too, epsilon elsewhere."""

from torch import nn

from lcrp.composites.composites import lrp
from lcrp.composites.rules import GeneralisedGamma
from lcrp.composites.table import RuleTable


def strong_gamma(network: nn.Module, *, gamma: float) -> RuleTable:  # noqa: ARG001 (for those that look at it)
    """The rules of L-CRP, but for convolutions."""
    return lrp(GeneralisedGamma(gamma))
