"""What a tensor that depends on the picture came from, noted on the tensor while the network runs."""

from dataclasses import dataclass, field

import torch

from lcrp.composites.closed_form import Rule
from lcrp.composites.operations.linear_map import LinearMap

_NAME = "lcrp_origin"


@dataclass(slots=True, kw_only=True, eq=False)
class LinearOutput:
    """Output of a linear map, with which a norm behind it can be merged.

    Attributes:
        map: merged with what followed so far.
        x: its input.
        rule: passes relevance from the output to x; None for the gradient.
        layer: in which it ran.
        call: number of the module's call.
        version: of x, as it was read.
        own_version: of the output itself, as it was made.
    """

    map: LinearMap
    x: torch.Tensor
    rule: Rule | None
    layer: str
    call: int
    version: int
    own_version: int = 0


@dataclass(slots=True, kw_only=True, eq=False)
class SumOutput:
    """A sum, which another summand can join.

    Attributes:
        inputs: the summands that depend on the picture.
        signs: theirs.
        has_constant: whether a constant was added too.
        call: number of the module's call in which they were added.
        versions: of the summands, as they were read.
        own_version: of the sum itself, as it was made.
    """

    inputs: tuple[torch.Tensor, ...]
    signs: tuple[int, ...]
    has_constant: bool
    call: int
    versions: tuple[int, ...]
    own_version: int


@dataclass(slots=True, kw_only=True, eq=False)
class Origin:
    """What is known of a tensor.

    Attributes:
        linear: it is the output of a linear map.
        sum: it is a sum.
        is_gate: it is a sigmoid, tanh or softmax, or a view or multiple of one.
        is_picture: no linear map lies between the picture and it.
        uses: how many operations have read it so far.
    """

    linear: LinearOutput | None = None
    sum: SumOutput | None = None
    is_gate: bool = False
    is_picture: bool = False
    uses: int = field(default=0)


NOTHING = Origin()


def origin_of(tensor: object) -> Origin:
    """What is known of a tensor."""
    found: Origin = getattr(tensor, _NAME, NOTHING)
    return found


def linear_before(x: torch.Tensor) -> LinearOutput | None:
    """The linear map of which a tensor is the output; None if it was written into since."""
    found = origin_of(x).linear
    return found if found is not None and found.own_version == x._version else None


def sum_before(x: torch.Tensor) -> SumOutput | None:
    """The sum that a tensor is; None if it was written into since."""
    found = origin_of(x).sum
    return found if found is not None and found.own_version == x._version else None


def note(tensor: torch.Tensor, origin: Origin) -> torch.Tensor:
    """The tensor, with what is known of it."""
    setattr(tensor, _NAME, origin)
    return tensor


def picture(inputs: torch.Tensor) -> torch.Tensor:
    """The input of a network, known as such."""
    return note(inputs, Origin(is_picture=True))
