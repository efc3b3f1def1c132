"""A composite that is not lcrp's own: a large gamma in convolutions, epsilon elsewhere."""

from torch import nn
from zennit.composites import LayerMapComposite
from zennit.core import Composite
from zennit.types import Activation, AvgPool, Convolution, Linear

from lcrp.composites.canonizers import MergeBatchNorm
from lcrp.composites.rules import Epsilon, GeneralisedGamma, Norm, Pass
from lcrp.models.layers import Sum


def strong_gamma(network: nn.Module, *, gamma: float) -> Composite:  # noqa: ARG001 (for those that look at it)
    """The first type that fits a module decides which rule it gets; a convolution is a linear layer, too."""
    rules = [
        (Activation, Pass()),
        ((Sum, AvgPool), Norm()),
        (Convolution, GeneralisedGamma(gamma)),
        (Linear, Epsilon()),
    ]
    return LayerMapComposite(rules, canonizers=[MergeBatchNorm()])
