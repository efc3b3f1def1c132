"""What rules know of an operation that is not a linear map with weights.

Each is y = f(x, ...) of the inputs that depend on the picture; everything else in it is constant.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sum:
    """y = +- x_1 +- x_2 ... + constant, each broadcast to the shape of y.

    Attributes:
        signs: 1 or -1 for every input.
        broadcasts: whether an input has another shape than y.
        has_constant: whether there is a constant.
        is_cut: whether a constant is what the network has cut off from the picture.
    """

    signs: tuple[int, ...]
    broadcasts: bool
    has_constant: bool = False
    is_cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scaling:
    """y = factor * x + constant.

    Attributes:
        factor: broadcast to the shape of y.
    """

    factor: torch.Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Elementwise:
    """y = f(x), value by value, such as an activation."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Masked:
    """y = factor * x: nothing passes where the factor is zero.

    Attributes:
        factor: broadcast to the shape of y.
    """

    factor: torch.Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Local:
    """y = f(x_1, ...), linear in each of its inputs as it is taken: pools, means, resizes, samplings, products.

    Attributes:
        function: f.
        shares: how much of the relevance goes to each input; they sum to 1 where all are linear.
        has_constant: whether y is more than what the inputs contribute, as with a bias.
        is_cut: whether that is what the network has cut off from the picture.
        is_map: whether constants weigh the inputs as those of a linear map do.
        name: of an operation that no family knows; empty for others.
    """

    function: Callable[..., torch.Tensor]
    shares: tuple[float, ...] = (1.0,)
    has_constant: bool = False
    is_cut: bool = False
    is_map: bool = False
    name: str = ""

    def in_the_same_precision(self, device: str) -> "Local":
        """The same where f runs in the precision to which torch casts automatically now."""
        dtype, function = torch.get_autocast_dtype(device), self.function

        def cast(*values: torch.Tensor) -> torch.Tensor:
            with torch.autocast(device, dtype=dtype):
                return function(*values)

        return replace(self, function=cast)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Softmax:
    """y = softmax(x).

    Attributes:
        dim: axis along which y sums to 1.
    """

    dim: int


Operation = object  # LinearMap, or one of these
