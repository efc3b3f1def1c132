"""A composite that is not lcrp's own: a large gamma in convolutions, epsilon elsewhere."""

from collections.abc import Sequence

from torch import nn
from zennit.canonizers import Canonizer
from zennit.composites import LayerMapComposite
from zennit.core import Composite
from zennit.types import Activation, AvgPool, Convolution, Linear

from lcrp.composites.canonizers import MergeBatchNorm
from lcrp.composites.rules import Epsilon, GeneralisedGamma, Norm, Pass
from lcrp.models.layers import Sum


def strong_gamma(network: nn.Module, *, canonizers: Sequence[Canonizer] | None = None) -> Composite:  # noqa: ARG001
    """The first type that fits a module decides which rule it gets; convolutions are linear layers, too."""
    rules = [
        (Activation, Pass()),
        ((Sum, AvgPool), Norm()),
        (Convolution, GeneralisedGamma(1.0)),
        (Linear, Epsilon()),
    ]
    return LayerMapComposite(rules, canonizers=[MergeBatchNorm()] if canonizers is None else list(canonizers))
