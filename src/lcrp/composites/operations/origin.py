"""What a tensor that depends on the picture came from, noted on the tensor while the network runs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from lcrp.composites.closed_form import Rule
from lcrp.composites.operations.linear_map import LinearMap

_NAME = "lcrp_origin"
_GATES = "lcrp_no_gate"  # on memory, the version as of which something else was written into it
_PICTURES = "lcrp_no_picture"


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
        is_cut: whether that is one that the network has cut off from the picture.
        call: number of the module's call in which they were added.
        versions: of the summands, as they were read.
        own_version: of the sum itself, as it was made.
    """

    inputs: tuple[torch.Tensor, ...]
    signs: tuple[int, ...]
    has_constant: bool
    is_cut: bool
    call: int
    versions: tuple[int, ...]
    own_version: int


@dataclass(slots=True, kw_only=True, eq=False)
class Origin:
    """What is known of a tensor.

    Attributes:
        linear: it is the output of a linear map.
        sum: it is a sum.
        is_gate: it is a sigmoid, tanh, softmax or inverse, or a view, a multiple or a sum of such, or one minus it.
        is_picture: no linear map lies between the picture and it.
        is_cut: it is a constant that the network made of what depends on the picture, such as by detach.
        version: of the tensor, as that was noted.
    """

    linear: LinearOutput | None = None
    sum: SumOutput | None = None
    is_gate: bool = False
    is_picture: bool = False
    is_cut: bool = False
    version: int = 0


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


_COPYING = ("CloneBackward0", "ToCopyBackward0")


def _is_the_same(out: torch.Tensor, x: torch.Tensor) -> bool:
    """Whether a tensor, a copy or a view, holds the values of another at the same places."""
    if out.shape != x.shape or out.dtype != x.dtype or out.grad_fn is None:
        return False
    if out._base is None:
        return out.grad_fn.name() in _COPYING and out.grad_fn.next_functions[0][0] is x.grad_fn
    places = zip(x.shape, x.stride(), out.stride(), strict=True)
    is_whole = all(one == other for size, one, other in places if size > 1)
    is_at_its_place = bool(out.storage_offset() == x.storage_offset())
    return is_whole and is_at_its_place and out._base is (x if x._base is None else x._base)


def is_gate(x: object) -> bool:
    """Whether a value is a gate, and nothing else was written into its memory since."""
    found = origin_of(x)
    return found.is_gate and not _is_mixed(x, found, _GATES)


def is_picture(x: object) -> bool:
    """Whether a value is the picture, and nothing else was written into its memory since."""
    found = origin_of(x)
    return found.is_picture and not _is_mixed(x, found, _PICTURES)


def is_cut(x: object) -> bool:
    """Whether a value is a constant that the network made of what depends on the picture."""
    return origin_of(x).is_cut


def mark_cut(out: torch.Tensor) -> torch.Tensor:
    """Note on a constant that it was made of what depends on the picture."""
    return out if out.requires_grad or origin_of(out).is_cut else note(out, Origin(is_cut=True))


def mark(out: torch.Tensor, signals: Sequence[torch.Tensor]) -> torch.Tensor:
    """Note on an output what all signals are that it was made of: gates, or the picture; and of what it is a copy."""
    if not signals:
        return out
    gates, pictures, version = all(map(is_gate, signals)), all(map(is_picture, signals)), out._version
    origin = Origin(is_gate=gates, is_picture=pictures, version=version)
    if _is_the_same(out, signals[0]):
        linear, added = linear_before(signals[0]), sum_before(signals[0])
        origin.linear = None if linear is None else replace(linear, own_version=version)
        origin.sum = None if added is None else replace(added, own_version=version)
    return note(out, origin) if gates or pictures or origin.linear or origin.sum else out


def mark_written(target: torch.Tensor, values: Sequence[torch.Tensor], *, was_signal: bool, wholly: bool) -> None:
    """Note on a tensor, and on that of which it is a view, what they are after signals were written into it.

    Args:
        target: a signal now.
        values: that were written.
        was_signal: whether it was one before.
        wholly: whether all of it was written.
    """
    if not values:
        return
    base = target if target._base is None else target._base
    found: dict[str, tuple[bool, bool]] = {}
    for kind, fits in ((_GATES, is_gate), (_PICTURES, is_picture)):
        of_values = all(map(fits, values))
        of_all = of_values and (not was_signal or fits(base) or (wholly and base is target))
        found[kind] = of_all, of_values and (wholly or of_all or fits(target))
        if not of_values:
            setattr(base, kind, base._version)
    for one, place in ((base, 0), (target, 1)):
        gates, pictures = found[_GATES][place], found[_PICTURES][place]
        note(one, Origin(is_gate=gates, is_picture=pictures, version=one._version))


def copied(x: torch.Tensor) -> torch.Tensor:
    """A copy, with what is known of the tensor."""
    return note(x.clone(), replace(origin_of(x), is_gate=is_gate(x), is_picture=is_picture(x), version=0))


def _is_mixed(x: object, found: Origin, kind: str) -> bool:
    assert isinstance(x, torch.Tensor)
    mixed: int = getattr(x if x._base is None else x._base, kind, -1)
    return mixed >= found.version and mixed != -1


def note(tensor: torch.Tensor, origin: Origin) -> torch.Tensor:
    """The tensor, with what is known of it."""
    setattr(tensor, _NAME, origin)
    return tensor


def picture(inputs: torch.Tensor) -> torch.Tensor:
    """The input of a network, known as such."""
    return note(inputs, Origin(is_picture=True, version=inputs._version))
