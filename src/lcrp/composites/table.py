"""A composite as a table: which rule passes relevance on through which operation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from lcrp.composites.closed_form import Rule

Family = Literal[
    "convolution",  # transposed ones too
    "linear",  # fully connected
    "norm",  # a scaling of channels by constants that no linear map precedes, as BatchNorm is in evaluation mode
    "normalisation",  # by statistics of the input: LayerNorm, GroupNorm
    "sum",
    "pool",  # averages
    "max_pool",
    "resize",  # by interpolation
    "sampling",  # RoIAlign, grid_sample
    "relu",
    "activation",  # every other function of single values, and ReLU where it has no rule of its own
    "scale",  # multiplied by constants
    "gate",  # multiplied by a sigmoid, tanh or softmax
    "product",  # of two signals
    "quotient",
    "matrix_product",  # by contribution; weights of attention are constants
    "l2_norm",
    "softmax",  # where it is not a gate
    "unknown",  # what no family knows, and does more than move values
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleTable:
    """A composite: rules by family of operations, and by layer.

    Attributes:
        families: the rule of a family; operations of others pass relevance on as the gradient does.
        first: of the linear maps that the picture reaches first; None for that of their family.
        layers: rules by shell pattern of the layer's name, before all others; the first that fits counts.
    """

    families: Mapping[Family, Rule]
    first: Rule | None = None
    layers: Mapping[str, Rule] = field(default_factory=dict)

    def rule(self, family: Family, layer: str, *, is_first: bool = False) -> Rule | None:
        """The rule of an operation; None for the gradient.

        Args:
            family: of the operation.
            layer: in which it runs.
            is_first: whether it is a linear map and the picture reaches it first.
        """
        for pattern, rule in self.layers.items():
            if fnmatchcase(layer, pattern):
                return rule
        if is_first and self.first is not None:
            return self.first
        return self.families.get(family)
