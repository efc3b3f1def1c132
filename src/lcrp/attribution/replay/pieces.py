"""Values of which parts of the maps are known, and calls that compute no other part.

Axes: V variant, C channel, h w place.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch.nn.functional import pad
from torch.utils._pytree import tree_leaves, tree_map

from lcrp.attribution.replay.calls import Call, Value
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


def replayed(
    call: Call,
    known: Mapping[int, Piece],
    parts: Mapping[int, Part | None],
    shapes: Sequence[torch.Size],
    blanks: Sequence[torch.Tensor],
) -> list[Any]:
    """What a call gives: pieces, and what else there is.

    Args:
        call: to a kernel.
        known: values that it takes, as far as anything of them is needed.
        parts: that are needed, as `parts_of`.
        shapes: of all values, by number.
        blanks: zeros in the place of all values, by number.
    """
    taken = {number: known.get(number) or Piece(blanks[number], None, shapes[number]) for number in call.inputs()}
    first = next(number for number in call.results if number is not None)
    wanted = [number for number in call.results if number is not None and number in parts]
    part = _of_all([parts[number] for number in wanted])
    local = local_kernel(call, shapes) if part is not None and len(wanted) == 1 else None
    if part is not None and local is not None:
        (piece,) = taken.values()
        found = [local.run(_seen(piece, part, local), part)]
    elif part is not None and treats_places_alone(call, shapes):
        found = tree_leaves(_on_part(call, taken, part, shapes[first][2:]))
    else:
        part, found = None, tree_leaves(call.with_values(lambda number: taken[number].whole()))
    pieces: list[Any] = []
    for number, leaf in zip(call.results, found, strict=False):  # a pool's indices may be left out
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


def _seen(piece: Piece, part: Part, local: Local) -> torch.Tensor:
    """What a part of a local kernel's outputs sees."""
    inside, margins = [], []
    for axis, (own, size) in enumerate(zip(part, piece.shape[2:], strict=True)):
        first, end = local.seen(axis, own)
        inside.append(within_map(first, end, size))
        margins.append((min(max(0, -first), end - first), min(max(0, end - size), end - first)))
    values = piece.within((inside[0], inside[1]))
    around = (*margins[1], *margins[0])
    return pad(values, around, value=local.beyond) if any(around) else values


def _on_part(call: Call, known: Mapping[int, Piece], part: Part, size: Sequence[int]) -> Any:
    """What a call gives that treats every place alone, of a part of the map."""

    def own(leaf: Any) -> Any:
        if isinstance(leaf, Value):
            piece = known[leaf.number]
            return piece.within(part) if tuple(piece.shape[-2:]) == tuple(size) else piece.whole()
        is_map = isinstance(leaf, torch.Tensor) and leaf.ndim > 1 and tuple(leaf.shape[-2:]) == tuple(size)
        return leaf[(..., *part)] if is_map else leaf

    return call.function(*tree_map(own, call.args), **tree_map(own, dict(call.kwargs)))
