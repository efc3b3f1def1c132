"""Composites: which rule explains which layer of a network.

Each function builds a fresh composite for one network; zennit registers it in a context and removes it again. The
mappings are those of L-CRP (Dreyer et al. 2023, section 3.2 and supplement). Layers that are not named here (max
pooling, upsampling, concatenation) propagate as the gradient does.

`gamma` and `epsilon` are those of the rules; `canonizers` replaces the default ones: exact merging of BatchNorm.
"""

from collections.abc import Sequence

from torch import nn
from zennit.canonizers import Canonizer
from zennit.core import Composite, Hook
from zennit.rules import ReLUGuidedBackprop
from zennit.types import Activation, AvgPool, BatchNorm, Convolution, Linear

from lcrp.composites.arithmetic import STABILIZER
from lcrp.composites.canonizers import MergeBatchNorm
from lcrp.composites.flat import Flat
from lcrp.composites.rules import Epsilon, GeneralisedGamma, Norm, Pass, ZPlus
from lcrp.models.layers import L2Norm, Sum

RuleMap = Sequence[tuple[type | tuple[type, ...], Hook]]  # the first type that fits wins
Canonizers = Sequence[Canonizer] | None

MAX_POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)


def epsilon_plus_flat(network: nn.Module, *, epsilon: float = STABILIZER, canonizers: Canonizers = None) -> Composite:
    """Flat for the first layer, z+ for convolutions, epsilon for the rest; the default but for YOLOv6."""
    return _composite(network, _rules(ZPlus(), epsilon), canonizers, first=Flat())


def epsilon_gamma_flat(
    network: nn.Module, *, gamma: float = 0.25, epsilon: float = STABILIZER, canonizers: Canonizers = None
) -> Composite:
    """Flat for the first layer, generalised gamma for convolutions, epsilon for the rest; YOLOv6's default."""
    return _composite(network, _rules(GeneralisedGamma(gamma), epsilon), canonizers, first=Flat())


def epsilon_flat(network: nn.Module, *, epsilon: float = STABILIZER, canonizers: Canonizers = None) -> Composite:
    """Flat for the first layer, epsilon for the rest, convolutions included."""
    return _composite(network, _rules(Epsilon(epsilon), epsilon), canonizers, first=Flat())


def epsilon_plus(network: nn.Module, *, epsilon: float = STABILIZER, canonizers: Canonizers = None) -> Composite:
    """z+ for convolutions, the first too, epsilon for the rest."""
    return _composite(network, _rules(ZPlus(), epsilon), canonizers)


def all_flat(network: nn.Module, *, canonizers: Canonizers = None) -> Composite:
    """Flat for every linear layer, pool and sum: what the architecture alone says of where relevance goes."""
    rules = [((Linear, AvgPool, *MAX_POOLS, Sum), Flat()), ((Activation, BatchNorm, L2Norm), Pass())]
    return _composite(network, rules, canonizers)


def gradient(network: nn.Module, *, canonizers: Canonizers = None) -> Composite:
    """The plain gradient, but for L2 normalisation, which passes relevance on as it is."""
    return _composite(network, [(L2Norm, Pass())], canonizers)


def guided_backprop(network: nn.Module, *, canonizers: Canonizers = None) -> Composite:
    """The gradient, stopped at every ReLU where it is negative (Springenberg et al. 2015)."""
    return _composite(network, [(nn.ReLU, ReLUGuidedBackprop()), (L2Norm, Pass())], canonizers)


def _rules(convolution: Hook, epsilon: float) -> RuleMap:
    """Rules of every composite of L-CRP: that of convolutions, and the others."""
    return [
        ((Activation, L2Norm), Pass()),
        ((Sum, AvgPool), Norm()),
        (Convolution, convolution),
        ((nn.Linear, BatchNorm), Epsilon(epsilon)),
    ]


def _composite(network: nn.Module, rules: RuleMap, canonizers: Canonizers, first: Hook | None = None) -> Composite:
    """Composite of rules by type, with a rule of its own for the first linear layer in module order."""
    hooks: dict[str, Hook | None] = {}
    for name, module in network.named_modules():
        if first is not None and isinstance(module, Linear):
            hooks[name], first = first, None
        else:
            hooks[name] = next((hook for types, hook in rules if isinstance(module, types)), None)
    chosen = [MergeBatchNorm()] if canonizers is None else list(canonizers)
    return Composite(lambda _, name, __: hooks.get(name), canonizers=chosen)
