"""Values of which parts of the maps are known, and calls that compute no other part.

Axes: V variant, C channel, h w place.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch.nn.functional import pad
from torch.utils._pytree import tree_leaves

from lcrp.attribution.replay.calls import Call
from lcrp.attribution.replay.kernels import Local, local_kernel, treats_places_alone, within_map
from lcrp.composites.windowed import Part, cut, everywhere


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
        return self.values if self.part is None else self.within(everywhere(self.shape[-2:]))

    def within(self, part: Part) -> torch.Tensor:
        """Part of the map, zero where nothing is known."""
        return cut(self.values, self.part or everywhere(self.shape[-2:]), part)


class Step:
    """A call that computes no other part of maps than is needed: how is decided once.

    Args:
        call: to a kernel.
        parts: that are needed, as `parts_of`.
        shapes: of all values, by number.
        blanks: zeros in the place of all values, by number.
    """

    def __init__(
        self,
        call: Call,
        parts: Mapping[int, Part | None],
        shapes: Sequence[torch.Size],
        blanks: Sequence[torch.Tensor],
    ) -> None:
        self.call, self._shapes = call, shapes
        self._blank = {number: Piece(blanks[number], None, shapes[number]) for number in call.inputs}
        wanted = [number for number in call.results if number is not None and number in parts]
        self._part = _of_all([parts[number] for number in wanted])
        self._run = self._decided(is_single=len(wanted) == 1)

    def __call__(self, known: Mapping[int, Piece]) -> list[Piece | None]:
        """What the call gives: pieces, and None for what is no tensor.

        Args:
            known: values that it takes, as far as anything of them is needed.
        """

        def taken(number: int) -> Piece:
            return known.get(number) or self._blank[number]

        found = self._run(taken)
        leaves = [found] if isinstance(found, torch.Tensor) else tree_leaves(found)
        return [  # a pool's indices may be left out
            None if number is None else Piece(leaf, self._part, self._shapes[number])
            for number, leaf in zip(self.call.results, leaves, strict=False)
        ]

    def _decided(self, *, is_single: bool) -> Callable[[Callable[[int], Piece]], Any]:
        """What runs, given what is known of values by number."""
        part, call = self._part, self.call
        local = local_kernel(call, self._shapes) if part is not None and is_single else None
        if part is not None and local is not None:
            return _on_what_is_seen(local, part, call.inputs[0], self._shapes)
        if part is not None and treats_places_alone(call, self._shapes):
            return _on_part(call, part, self._shapes)
        self._part = None
        return lambda taken: call.with_values(lambda number: taken(number).whole())


def _on_what_is_seen(
    local: Local, part: Part, number: int, shapes: Sequence[torch.Size]
) -> Callable[[Callable[[int], Piece]], torch.Tensor]:
    """A local kernel on what a part of its outputs sees."""
    inside, margins = [], []
    for axis, (own, size) in enumerate(zip(part, shapes[number][2:], strict=True)):
        first, end = local.seen(axis, own)
        inside.append(within_map(first, end, size))
        margins.append((min(max(0, -first), end - first), min(max(0, end - size), end - first)))
    seen, around = (inside[0], inside[1]), (*margins[1], *margins[0])

    def run(taken: Callable[[int], Piece]) -> torch.Tensor:
        values = taken(number).within(seen)
        return local.run(pad(values, around, value=local.beyond) if any(around) else values, part)

    return run


def _on_part(call: Call, part: Part, shapes: Sequence[torch.Size]) -> Callable[[Callable[[int], Piece]], Any]:
    """A call that treats every place alone, on a part of the map."""
    size = tuple(shapes[next(number for number in call.results if number is not None)][2:])

    def own(leaf: Any) -> Any:
        is_map = isinstance(leaf, torch.Tensor) and leaf.ndim > 1 and tuple(leaf.shape[-2:]) == size
        return leaf[(..., *part)] if is_map else leaf

    cut_call = call.with_constants(own)

    def run(taken: Callable[[int], Piece]) -> Any:
        def given(number: int) -> torch.Tensor:
            piece = taken(number)
            return piece.within(part) if tuple(piece.shape[-2:]) == size else piece.whole()

        return cut_call.with_values(given)

    return run


def _of_all(parts: Sequence[Part | None]) -> Part | None:
    """The smallest part that contains all of several; None for all of the map."""
    known = [part for part in parts if part is not None]
    if not known or len(known) < len(parts):
        return None
    rows, columns = (
        slice(min(own.start for own in axis), max(own.stop for own in axis)) for axis in zip(*known, strict=True)
    )
    return rows, columns
