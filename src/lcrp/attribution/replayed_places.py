"""Which places of maps a result needs, and kernels that compute no others.

A logit of one box needs a few places of the last maps, and more of those before them. What it needs of a value follows
from what it needs of the values that are made of it, call by call from the last one on: of convolutions and pools by
their kernels, of what treats every place alone the same places, of what only moves elements around by the derivative
of moving them, of everything else all. What is not needed is zero, and so is what follows from it alone.

Axes: V variant, C channel, h w place.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch.nn.functional import pad
from torch.utils._pytree import tree_leaves, tree_map

from lcrp.attribution.replayed_calls import Call, Value
from lcrp.composites.windowed import Part, cut, everywhere

LARGEST = 0.7  # of a map's area: for larger parts all of it is computed

_aten = torch.ops.aten
_MOVING = {  # elements, without a look at them
    *(_aten.view, _aten._unsafe_view, _aten.reshape, _aten._reshape_alias, _aten.permute, _aten.transpose, _aten.t),
    *(_aten.unsqueeze, _aten.squeeze, _aten.select, _aten.slice, _aten.expand, _aten.cat, _aten.stack),
    *(_aten.split, _aten.split_with_sizes, _aten.unbind, _aten.index),
}
_NORMS = {_aten.native_batch_norm, _aten._native_batch_norm_legit_no_training}
_AS_IT_IS = {_aten.clone, _aten._to_copy, _aten.alias, _aten.detach}
_AXES = {_aten.cat: 1, _aten.slice: 1, _aten.split: 2, _aten.split_with_sizes: 2}  # place of `dim` among arguments


class Piece(NamedTuple):
    """Values, [V, C, h, w] where they are maps.

    Attributes:
        values: all, or what lies in the part.
        part: of the map; None for all of it.
        shape: of all.
    """

    values: torch.Tensor
    part: Part | None
    shape: torch.Size

    def whole(self) -> torch.Tensor:
        """All of it, zero outside the part."""
        return self.values if self.part is None else self.within(everywhere(self.shape[2:]))

    def within(self, part: Part) -> torch.Tensor:
        """Part of the map, zero where nothing is known."""
        return cut(self.values, self.part or everywhere(self.shape[2:]), part)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Local:
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


def needed_places(calls: Sequence[Call], result: int, shapes: Sequence[torch.Size]) -> dict[int, torch.Tensor]:
    """What a result needs of the values that lead to it.

    Args:
        calls: that lead to the result, in order.
        result: its number.
        shapes: of all values, by number.

    Returns:
        Bool masks by number: [h, w] of maps [V, C, h, w], of others every element. Values of which nothing is needed
        are left out.
    """
    needed = {result: torch.ones(shapes[result], dtype=torch.bool)}
    for call in reversed(calls):
        for number, mask in _needed_by(call, needed, shapes):
            if mask.any():
                needed[number] = needed[number] | mask if number in needed else mask
    return needed


def parts_of(
    calls: Sequence[Call],
    needed: Mapping[int, torch.Tensor],
    shapes: Sequence[torch.Size],
    memory: Sequence[int],
    last: Mapping[int, int],
) -> dict[int, Part | None]:
    """The part of every value that is needed, by number; None for (nearly) all of it, or what is no map.

    Args:
        calls: that lead to the result, in order.
        needed: as `needed_places`.
        shapes: of all values, by number.
        memory: group of values that share theirs, by number.
        last: call by which a value is used for the last time.
    """
    written = _seen_after_writing(calls, memory, last)
    return {
        number: _around(mask) if len(shapes[number]) == 4 and memory[number] not in written else None
        for number, mask in needed.items()
    }


def replayed(
    call: Call, known: Mapping[int, Piece], parts: Mapping[int, Part | None], blanks: Sequence[torch.Tensor]
) -> list[Any]:
    """What a call gives: pieces, and what else there is.

    Args:
        call: to a kernel.
        known: values that it takes, as far as anything of them is needed.
        parts: that are needed, as `parts_of`.
        blanks: zeros in the place of all values, by number.
    """
    taken = {number: known.get(number) or Piece(blanks[number], None, blanks[number].shape) for number in call.inputs()}
    shapes = [blank.shape for blank in blanks]
    first = next(number for number in call.results if number is not None)
    part = _of_all([parts[number] for number in call.results if number is not None and number in parts])
    local = None if part is None else _local(call, shapes)
    if part is not None and local is not None:
        (piece,) = taken.values()
        found = [local.run(_seen(piece, part, local), part)]
    elif part is not None and _is_of_same_places(call, shapes):
        found = tree_leaves(_on_part(call, taken, part, shapes[first][2:]))
    else:
        part, found = None, tree_leaves(call.with_values(lambda number: taken[number].whole()))
    pieces: list[Any] = []
    for number, leaf in zip(call.results, found, strict=False):  # no pool's indices are asked for
        pieces.append(leaf if number is None else Piece(leaf, part, shapes[number]))
    return pieces


def _of_all(parts: Sequence[Part | None]) -> Part | None:
    """The smallest part that contains all of several; None for all of the map."""
    known = [part for part in parts if part is not None]
    if not known or len(known) < len(parts):
        return None
    rows, columns = (
        slice(min(own.start for own in axis), max(own.stop for own in axis)) for axis in zip(*known, strict=True)
    )
    return rows, columns


def _needed_by(
    call: Call, needed: Mapping[int, torch.Tensor], shapes: Sequence[torch.Size]
) -> Iterator[tuple[int, torch.Tensor]]:
    """What is needed of the values that a call takes: [h, w] of maps, of others every element."""
    outputs = [number for number in call.results if number in needed and number is not None]
    if not outputs and not call.writes:
        return
    local = _local(call, shapes) if len(outputs) == 1 else None
    is_moving = call.function.overloadpacket in _MOVING and bool(outputs)
    if is_moving:
        yield from _moved(call, needed, shapes)
        return
    is_alike = bool(outputs) and (_is_pointwise(call) or call.function.overloadpacket in _AS_IT_IS)
    for number in set(call.inputs()):
        shape = shapes[number]
        if local is not None:
            (output,) = outputs
            part = _around(needed[output], largest=math.inf) or everywhere(shapes[output][2:])
            mask = torch.zeros(shape[2:], dtype=torch.bool)
            ends = [local.seen(axis, own) for axis, own in enumerate(part)]
            mask[tuple(slice(max(0, start), max(0, end)) for start, end in ends)] = True
        elif outputs and _is_of_same_places(call, shapes) and len(shape) == 4:
            mask = torch.stack([needed[output] for output in outputs]).any(dim=0)
            mask = mask if mask.shape == shape[2:] else torch.ones(shape[2:], dtype=torch.bool)
        elif is_alike:
            elements = torch.stack([_elements(needed[output], shapes[output]) for output in outputs]).any(dim=0)
            mask = _of_shape(elements.float().sum_to_size(shape) > 0)
        else:
            mask = torch.ones(shape[2:] if len(shape) == 4 else shape, dtype=torch.bool)
        yield number, mask


def _moved(
    call: Call, needed: Mapping[int, torch.Tensor], shapes: Sequence[torch.Size]
) -> Iterator[tuple[int, torch.Tensor]]:
    """What is needed of values whose elements a call moves around: where moving ones has a derivative."""
    with torch.enable_grad():
        taken = {number: torch.zeros(shapes[number], requires_grad=True) for number in set(call.inputs())}
        moved = tree_leaves(call.with_values(lambda number: taken[number]))
        pairs = [
            (leaf, _elements(needed[number], shapes[number]))
            for number, leaf in zip(call.results, moved, strict=True)
            if number in needed and number is not None
        ]
        derivatives = torch.autograd.grad(
            [leaf for leaf, _ in pairs],
            list(taken.values()),
            [mask.to(leaf.dtype) for leaf, mask in pairs],
            allow_unused=True,
        )
    for (number, values), derivative in zip(taken.items(), derivatives, strict=True):
        yield number, _of_shape(torch.zeros_like(values) > 0 if derivative is None else derivative > 0)


def _elements(mask: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """A mask of all elements; that of maps is told by place."""
    return mask.expand(shape)


def _of_shape(mask: torch.Tensor) -> torch.Tensor:
    """The mask by place, of maps."""
    return mask.flatten(0, 1).any(dim=0) if mask.ndim == 4 else mask


def _around(mask: torch.Tensor, largest: float = LARGEST) -> Part | None:
    """The smallest part of a map around all needed places [h, w]; None if it is nearly all of it, or there are none."""
    rows, columns = (mask.any(dim=1 - axis).nonzero() for axis in (0, 1))
    if not len(rows):
        return None
    part = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
    area = (part[0].stop - part[0].start) * (part[1].stop - part[1].start)
    return part if area < largest * mask.numel() else None


def _seen_after_writing(calls: Sequence[Call], memory: Sequence[int], last: Mapping[int, int]) -> set[int]:
    """Groups of values of which some are used after another one that shares their memory was written."""
    made = {number: place for place, call in enumerate(calls) for number in call.results if number is not None}
    found = set()
    for place, call in enumerate(calls):
        if call.writes:
            own = next(call.inputs())
            found |= {
                memory[number]
                for number, use in last.items()
                if memory[number] == memory[own] and number != own and made.get(number, -1) < place < use
            }
    return found


def _local(call: Call, shapes: Sequence[torch.Size]) -> _Local | None:
    """A convolution, a pool or an enlargement; None for anything else, or one of another kind."""
    inputs = list(call.inputs())
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


def _convolution(_: Value, weight: torch.Tensor, bias: torch.Tensor | None, *geometry: Any) -> _Local | None:
    stride, margin, dilation, is_transposed, _, groups = geometry
    if is_transposed:
        return None

    def run(values: torch.Tensor, part: Part) -> torch.Tensor:  # noqa: ARG001
        return torch.convolution(values, weight, bias, stride, [0, 0], dilation, False, [0, 0], groups)

    return _Local(seen=_seeing(weight.shape[2:], stride, margin, dilation), run=run)


def _max_pool(_: Value, kernel: list[int], *geometry: Any) -> _Local:
    stride, margin, dilation = (*geometry, *((), [0, 0], [1, 1])[len(geometry) :])[:3]
    stride = list(stride or kernel)

    def run(values: torch.Tensor, part: Part) -> torch.Tensor:  # noqa: ARG001
        return torch.max_pool2d(values, kernel, stride, 0, dilation)

    return _Local(seen=_seeing(kernel, stride, margin, dilation), run=run, beyond=-torch.inf)


def _enlargement(large: Sequence[int], small: Sequence[int]) -> _Local | None:
    factors = [one // other for one, other in zip(large, small, strict=True)]
    if any(one != factor * other for one, factor, other in zip(large, factors, small, strict=True)):
        return None

    def seen(axis: int, part: slice) -> tuple[int, int]:
        return part.start // factors[axis], -(-part.stop // factors[axis])

    def run(values: torch.Tensor, part: Part) -> torch.Tensor:
        for axis, (factor, own) in enumerate(zip(factors, part, strict=True)):
            start = own.start % factor
            values = values.repeat_interleave(factor, dim=2 + axis).narrow(2 + axis, start, own.stop - own.start)
        return values

    return _Local(seen=seen, run=run)


def _seeing(*geometry: Sequence[int]) -> Callable[[int, slice], tuple[int, int]]:
    """What outputs see by kernel, stride, margin and dilation."""

    def seen(axis: int, part: slice) -> tuple[int, int]:
        kernel, stride, margin, dilation = (own[axis % len(own)] for own in geometry)
        first, final = (place * stride - margin for place in (part.start, part.stop - 1))
        return first, final + dilation * (kernel - 1) + 1

    return seen


def _seen(piece: Piece, part: Part, local: _Local) -> torch.Tensor:
    """What a part of a local kernel's outputs sees."""
    inside, margins = [], []
    for axis, (own, size) in enumerate(zip(part, piece.shape[2:], strict=True)):
        first, end = local.seen(axis, own)
        inside.append(slice(max(0, first), min(size, end)))
        margins.append((max(0, -first), max(0, end - size)))
    values = piece.within((inside[0], inside[1]))
    around = (*margins[1], *margins[0])
    return pad(values, around, value=local.beyond) if any(around) else values


def _is_pointwise(call: Call) -> bool:
    return torch.Tag.pointwise in call.function.tags


def _is_of_same_places(call: Call, shapes: Sequence[torch.Size]) -> bool:
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
    elif not (packet in _NORMS or packet in _AS_IT_IS or _is_pointwise(call)):
        return False
    taken = tree_leaves((call.args[:1] if packet in _NORMS else call.args, dict(call.kwargs)))
    sizes = [shapes[leaf.number] if isinstance(leaf, Value) else getattr(leaf, "shape", ()) for leaf in taken]
    return all(not size or size.numel() == 1 or tuple(size[-2:]) in {tuple(shape[2:]), (1, 1)} for size in sizes)


def _on_part(call: Call, known: Mapping[int, Piece], part: Part, size: Sequence[int]) -> Any:
    """What a call gives that treats every place alone, of a part of the map."""

    def own(leaf: Any) -> Any:
        if isinstance(leaf, Value):
            piece = known[leaf.number]
            return piece.within(part) if tuple(piece.shape[-2:]) == tuple(size) else piece.whole()
        is_map = isinstance(leaf, torch.Tensor) and leaf.ndim > 1 and tuple(leaf.shape[-2:]) == tuple(size)
        return leaf[(..., *part)] if is_map else leaf

    return call.function(*tree_map(own, call.args), **tree_map(own, dict(call.kwargs)))
