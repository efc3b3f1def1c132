"""Which function of torch is which operation.

Functions are looked up as objects, never by a name alone: every one that is meant stands here, with the modules in
which it is found. What is not here is no operation that a rule knows.
"""

from collections.abc import Callable, Iterator, Mapping
from types import FunctionType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from lcrp.composites.operations import linear, norms, pointwise, pools, products, sums
from lcrp.models.layers import l2_norm

Handler = Callable[..., Any]  # the mode, the function, its positional and its named arguments

OPENED = ("torch.nn.functional", "torch.functional", "torch._tensor")  # modules whose Python functions are opened


def _found(names: str) -> Iterator[Any]:
    """The functions of these names, wherever torch has them; those in Python are opened, but for pools that it chooses."""
    for name in names.split():
        for space in (torch, Tensor, functional, torch._C._nn):
            found = getattr(space, name, None)
            if callable(found) and ("max_pool" in name or not isinstance(found, FunctionType)):
                yield found


_FAMILIES: tuple[tuple[Handler, str], ...] = (
    (linear.convolution, "conv1d conv2d conv3d"),
    (linear.transposed_convolution, "conv_transpose1d conv_transpose2d conv_transpose3d"),
    (linear.fully_connected, "linear"),
    (norms.batch_norm, "batch_norm"),
    (sums.add, "add __add__ __radd__"),
    (sums.subtract, "sub subtract __sub__"),
    (products.multiply, "mul multiply __mul__ __rmul__"),
    (products.divide, "div divide true_divide __truediv__"),
    (pools.average, "avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d"),
    (pools.largest, "max_pool1d max_pool2d max_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d"),
    (pointwise.relu, "relu"),
    (pointwise.gate, "sigmoid tanh hardsigmoid logsigmoid softmax"),
    (
        pointwise.activation,
        "silu gelu hardswish mish relu6 hardtanh leaky_relu elu selu celu softplus softsign clamp exp sqrt square abs",
    ),
)


def _handlers() -> Mapping[Any, Handler]:
    found = {func: handler for handler, names in _FAMILIES for func in _found(names)}
    return {**found, l2_norm: norms.l2_norm}


HANDLERS: Mapping[Any, Handler] = _handlers()
