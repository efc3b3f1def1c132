"""What a result needs of the values that lead to it.

A logit of one box needs a few places of the last maps, and more of those before them. What it needs of a value follows
from what it needs of the values that are made of it, call by call from the last one on: of convolutions and pools by
their kernels, of what treats every place alone the same places, of what only moves elements around by the derivative
of moving them, of everything else all.

Axes: V variant, C channel, h w place.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch.utils._pytree import tree_leaves

from lcrp.attribution.replay.calls import Call, Value
from lcrp.attribution.replay.kernels import local_kernel, treats_elements_alone, treats_places_alone, within_map
from lcrp.composites.windowed import Part, everywhere

LARGEST = 0.7  # of a map's area: for larger parts all of it is computed

_aten = torch.ops.aten
_VIEWS = {  # of other values' memory, in which every element lies once
    *(_aten.view, _aten.permute, _aten.transpose, _aten.t, _aten.unsqueeze, _aten.squeeze),
    *(_aten.select, _aten.slice, _aten.split, _aten.split_with_sizes, _aten.unbind),
}
_MOVING = {  # elements, without a look at them
    *(*_VIEWS, _aten._unsafe_view, _aten.reshape, _aten.expand, _aten.cat, _aten.stack, _aten.index),
}


def needed_places(
    calls: Sequence[Call], result: int, shapes: Sequence[torch.Size], memory: Sequence[int]
) -> tuple[list[Call], dict[int, torch.Tensor]]:
    """The calls that lead to a result, and what it needs of the values on the way.

    Args:
        calls: all, in order.
        result: number of the result.
        shapes: of all values, by number.
        memory: group of values that share theirs, by number.

    Returns:
        The calls, and bool masks by number: [h, w] of maps [V, C, h, w], of others every element. Values of which
        nothing is needed are left out.
    """
    needed, kept = {result: _everything(shapes[result])}, []
    memories = {memory[result]}  # of values that calls further on need
    shared = seen_after_writing(calls, memory)
    for call in reversed(calls):
        own = memory[call.inputs[0]]
        if needed.keys() & set(call.results) or (call.writes and own in memories):
            kept.append(call)
            is_shared = call.writes and own in shared
            found = _all_of(call, shapes) if is_shared else _needed_by(call, needed, shapes)
            for number, mask in found:
                if _is_any(mask):
                    needed[number] = needed[number] | mask if number in needed else mask
                    memories.add(memory[number])
    return kept[::-1], needed


def parts_of(
    calls: Sequence[Call],
    needed: Mapping[int, torch.Tensor],
    shapes: Sequence[torch.Size],
    memory: Sequence[int],
) -> dict[int, Part | None]:
    """The part of every value that is needed, by number; None for (nearly) all of it, or what is no map.

    Args:
        calls: that lead to the result, in order.
        needed: as `needed_places`.
        shapes: of all values, by number.
        memory: group of values that share theirs, by number.
    """
    written = seen_after_writing(calls, memory)
    return {
        number: _around(mask) if len(shapes[number]) == 4 and memory[number] not in written else None
        for number, mask in needed.items()
    }


def _all_of(call: Call, shapes: Sequence[torch.Size]) -> Iterator[tuple[int, torch.Tensor]]:
    """All of the values that a call takes."""
    for number in set(call.inputs):
        yield number, _everything(shapes[number])


def _everything(shape: torch.Size) -> torch.Tensor:
    return torch.ones(shape[2:] if len(shape) == 4 else shape, dtype=torch.bool)


def _needed_by(
    call: Call, needed: Mapping[int, torch.Tensor], shapes: Sequence[torch.Size]
) -> Iterator[tuple[int, torch.Tensor]]:
    """What is needed of the values that a call takes: [h, w] of maps, of others every element."""
    outputs = [number for number in call.results if number in needed and number is not None]
    local = local_kernel(call, shapes) if len(outputs) == 1 else None
    is_by_place = bool(outputs) and treats_places_alone(call, shapes)
    if outputs and not is_by_place and _is_moving(call):
        yield from _moved(call, needed, shapes)
        return
    is_alike = bool(outputs) and treats_elements_alone(call)
    for number in set(call.inputs):
        shape = shapes[number]
        if local is not None:
            (output,) = outputs
            part = _around(needed[output], largest=math.inf) or everywhere(shapes[output][2:])
            mask = torch.zeros(shape[2:], dtype=torch.bool)
            mask[tuple(within_map(*local.seen(axis, own), shape[2 + axis]) for axis, own in enumerate(part))] = True
        elif is_by_place and len(shape) == 4:
            mask = torch.stack([needed[output] for output in outputs]).any(dim=0)
            mask = mask if mask.shape == shape[2:] else _everything(shape)
        elif is_alike:
            elements = torch.stack([_elements(needed[output], shapes[output]) for output in outputs]).any(dim=0)
            mask = _of_shape(elements.float().sum_to_size(shape) > 0)
        else:
            mask = _everything(shape)
        yield number, mask


def _is_any(mask: torch.Tensor) -> bool:
    """Whether something is needed: numpy ends at the first, and torch looks at all."""
    return bool(mask.numpy().any())


def _is_moving(call: Call) -> bool:
    """Whether a call only moves elements, to places that do not depend on values."""
    packet = call.function.overloadpacket
    return packet in _MOVING and not (packet is _aten.index and any(map(_is_value, tree_leaves(call.args[1:]))))


def _is_value(leaf: object) -> bool:
    return isinstance(leaf, Value)


def _moved(
    call: Call, needed: Mapping[int, torch.Tensor], shapes: Sequence[torch.Size]
) -> Iterator[tuple[int, torch.Tensor]]:
    """What is needed of values whose elements a call moves around: where a view of them, or their derivative, is."""
    (first, *others) = set(call.inputs)
    if not others and call.function.overloadpacket in _VIEWS:
        mask = torch.zeros(shapes[first], dtype=torch.bool)
        views = tree_leaves(call.with_values(lambda _: mask))
        for number, view in zip(call.results, views, strict=True):
            if number in needed and number is not None:
                view |= _elements(needed[number], shapes[number])
        yield first, _of_shape(mask)
        return
    constants = [leaf for leaf in tree_leaves((call.args, dict(call.kwargs))) if isinstance(leaf, torch.Tensor)]
    device = constants[0].device if constants else torch.device("cpu")
    with torch.enable_grad():
        taken = {number: torch.zeros(shapes[number], device=device, requires_grad=True) for number in set(call.inputs)}
        moved = tree_leaves(call.with_values(lambda number: taken[number]))
        pairs = [
            (leaf, _elements(needed[number], shapes[number]))
            for number, leaf in zip(call.results, moved, strict=True)
            if number in needed and number is not None
        ]
        derivatives = torch.autograd.grad(
            [leaf for leaf, _ in pairs],
            list(taken.values()),
            [mask.to(leaf) for leaf, mask in pairs],
            allow_unused=True,
        )
    for (number, values), derivative in zip(taken.items(), derivatives, strict=True):
        yield number, _of_shape(torch.zeros_like(values) > 0 if derivative is None else derivative > 0).cpu()


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


def seen_after_writing(calls: Sequence[Call], memory: Sequence[int]) -> set[int]:
    """Groups of values of which some are used after another one that shares their memory was written.

    Args:
        calls: all, in order.
        memory: group of every value, by number.
    """
    made = {number: place for place, call in enumerate(calls) for number in call.results if number is not None}
    last = {number: place for place, call in enumerate(calls) for number in call.inputs}
    found = set()
    for place, call in enumerate(calls):
        if call.writes:
            own = call.inputs[0]
            found |= {
                memory[number]
                for number, use in last.items()
                if memory[number] == memory[own] and number != own and made.get(number, -1) < place < use
            }
    return found
