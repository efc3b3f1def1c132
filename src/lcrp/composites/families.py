"""Families of operations: what composites give rules to."""

from typing import Literal, get_args

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
    "matrix_product",  # weights of attention are constants, unless softmax has a rule
    "l2_norm",
    "softmax",  # where it is no gate
    "unknown",  # what no family knows, and does more than move values
]

FAMILIES: tuple[Family, ...] = get_args(Family)
EVERY: frozenset[Family] = frozenset(FAMILIES)
LINEAR_MAPS: frozenset[Family] = frozenset(["convolution", "linear"])
