"""Which kernels look at places of maps, and at which.

Axes: V variant, C channel, h w place.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from lcrp.attribution.replay.calls import Call, Value
from lcrp.composites.arithmetic import convolved
from lcrp.composites.windowed import Part

_aten = torch.ops.aten
NORMS = {_aten.native_batch_norm, _aten._native_batch_norm_legit_no_training}
AS_IT_IS = {_aten.clone, _aten._to_copy, _aten.alias, _aten.detach}
_AXES = {_aten.cat: 1, _aten.slice: 1, _aten.split: 2, _aten.split_with_sizes: 2}  # place of `dim` among arguments


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """A kernel whose outputs see the inputs around them.

    Attributes:
        seen: first input, and the one behind the last, that a part of the outputs sees along an axis (0 rows,
            1 columns); beyond the map at its edges.
        beyond: what is seen there.
        run: the kernel, of what a part of the outputs sees.
    """

    seen: Callable[[int, slice], tuple[int, int]]
    run: Callable[[torch.Tensor, Part], torch.Tensor]
    beyond: float = 0.0


def local_kernel(call: Call, shapes: Sequence[torch.Size]) -> Local | None:
    """A convolution, a pool or an enlargement; None for anything else, or one of another kind."""
    inputs = call.inputs
    if len(inputs) != 1 or not isinstance(call.args[0], Value) or len(shapes[inputs[0]]) != 4:
        return None
    match call.function:
        case _aten.convolution.default:
            return _convolution(*call.args)
        case _aten.max_pool2d_with_indices.default:
            return _max_pool(*call.args)
        case _aten.upsample_nearest2d.default | _aten.upsample_nearest2d.vec:
            sizes = [shapes[number][2:] for number in (call.results[0], inputs[0]) if number is not None]
            return _enlargement(*sizes)
    return None


def _convolution(_: Value, weight: torch.Tensor, bias: torch.Tensor | None, *geometry: Any) -> Local | None:
    stride, margin, dilation, is_transposed, _, groups = geometry
    if is_transposed:
        return None

    def run(values: torch.Tensor, part: Part) -> torch.Tensor:  # noqa: ARG001
        return convolved(values, weight, bias, stride, [0, 0], dilation, False, [0, 0], groups)

    return Local(seen=_seeing(weight.shape[2:], stride, margin, dilation), run=run)


def _max_pool(_: Value, kernel: list[int], *geometry: Any) -> Local:
    stride, margin, dilation = (*geometry, *((), [0, 0], [1, 1])[len(geometry) :])[:3]
    stride = list(stride or kernel)

    def run(values: torch.Tensor, part: Part) -> torch.Tensor:  # noqa: ARG001
        return torch.max_pool2d(values, kernel, stride, 0, dilation)

    return Local(seen=_seeing(kernel, stride, margin, dilation), run=run, beyond=-torch.inf)


def _enlargement(large: Sequence[int], small: Sequence[int]) -> Local | None:
    factors = [one // other for one, other in zip(large, small, strict=True)]
    if any(one != factor * other for one, factor, other in zip(large, factors, small, strict=True)):
        return None

    def seen(axis: int, part: slice) -> tuple[int, int]:
        return part.start // factors[axis], -(-part.stop // factors[axis])

    def run(values: torch.Tensor, part: Part) -> torch.Tensor:
        places = values.movedim(1, -1)  # in memory as convolutions are fast: channels last
        for axis, (factor, own) in enumerate(zip(factors, part, strict=True), start=1):
            start = own.start % factor
            places = places.repeat_interleave(factor, dim=axis).narrow(axis, start, own.stop - own.start)
        return places.movedim(-1, 1)

    return Local(seen=seen, run=run)


def _seeing(*geometry: Sequence[int]) -> Callable[[int, slice], tuple[int, int]]:
    """What outputs see by kernel, stride, margin and dilation."""

    def seen(axis: int, part: slice) -> tuple[int, int]:
        kernel, stride, margin, dilation = (own[axis % len(own)] for own in geometry)
        first, final = (place * stride - margin for place in (part.start, part.stop - 1))
        return first, final + dilation * (kernel - 1) + 1

    return seen


def within_map(first: int, end: int, size: int) -> slice:
    """Those of a range of places that lie on a map."""
    return slice(min(max(0, first), size), min(max(0, end), size))


def treats_elements_alone(call: Call) -> bool:
    """Whether every element that a call gives is made of the same element of what it takes."""
    return torch.Tag.pointwise in call.function.tags or call.function.overloadpacket in AS_IT_IS


def treats_places_alone(call: Call, shapes: Sequence[torch.Size]) -> bool:
    """Whether every place of the maps that a call gives is made of the same place of the maps that it takes."""
    packet = call.function.overloadpacket
    shape = shapes[next(number for number in call.results if number is not None)]
    if len(shape) != 4:
        return False
    if packet in _AXES:
        place = _AXES[packet]
        axis = call.args[place] if len(call.args) > place else call.kwargs.get("dim", 0)
        if axis not in {1, -3}:
            return False
    elif not (packet in NORMS or treats_elements_alone(call)):
        return False
    taken = tree_leaves((call.args[:1] if packet in NORMS else call.args, dict(call.kwargs)))
    sizes = [shapes[leaf.number] if isinstance(leaf, Value) else getattr(leaf, "shape", ()) for leaf in taken]
    return all(not size or size.numel() == 1 or tuple(size[-2:]) in {tuple(shape[2:]), (1, 1)} for size in sizes)
