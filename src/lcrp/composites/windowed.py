"""Relevance maps of which only the part that is not zero lies in memory, so that rounds on CPUs pass no zeros on."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.utils._pytree import tree_map_only

from lcrp.composites.arithmetic import is_zero
from lcrp.values import devices

Part = tuple[slice, slice]  # rows and columns of a map


class Windowed(torch.Tensor):
    """Maps [B, C, h, w] that are zero outside one part per sample.

    They pass through autograd as what they stand for. Where branches meet, two are added part by part, and where
    concatenated channels part again, so do the pieces; every other operation takes the whole maps.

    Attributes:
        pieces: B times [1, C, h', w'], what lies in the part.
        parts: B times the part.
    """

    pieces: tuple[torch.Tensor, ...]
    parts: tuple[Part, ...]

    @staticmethod
    def __new__(cls, pieces: Sequence[torch.Tensor], parts: Sequence[Part], size: Sequence[int]) -> "Windowed":  # noqa: D102
        like = pieces[0]
        shape = (len(pieces), like.shape[1], *size)
        made: Windowed = torch.Tensor._make_wrapper_subclass(cls, shape, dtype=like.dtype, device=like.device)
        made.pieces, made.parts = tuple(pieces), tuple(parts)
        return made

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """One operation on maps some of which are windowed."""
        if function is torch.ops.aten.detach.default:
            return args[0]
        if function is torch.ops.aten.add.Tensor and not kwargs and all(isinstance(maps, cls) for maps in args):
            return _added(*args)
        if function is torch.ops.aten.slice.Tensor and not kwargs and args[1] == 1:
            return Windowed([function(piece, *args[1:]) for piece in args[0].pieces], args[0].parts, args[0].shape[2:])
        if function._schema.is_mutable and isinstance(args[0], cls):
            raise TypeError(f"windowed relevance cannot be written to ({function}); take whole(relevance)")
        return function(*tree_map_only(cls, whole, args), **tree_map_only(cls, whole, dict(kwargs or {})))


def whole(maps: torch.Tensor) -> torch.Tensor:
    """Ordinary maps [B, C, h, w], whether they are windowed or not."""
    if not isinstance(maps, Windowed):
        return maps
    everything = everywhere(maps.shape[2:])
    placed = [cut(piece, part, everything) for piece, part in zip(maps.pieces, maps.parts, strict=True)]
    return placed[0] if len(placed) == 1 else torch.cat(placed)


def is_nothing(upper: torch.Tensor) -> bool:
    """Whether relevance [B, ...] is zero everywhere, as far as a look is free."""
    return not devices.waits(upper) and all(map(is_zero, upper.pieces if isinstance(upper, Windowed) else (upper,)))


def pieces_of(upper: torch.Tensor) -> list[tuple[torch.Tensor, Part | None]]:
    """Relevance [1, C, h', w'] of every sample, and the part of the map that it is of; None for everything."""
    if isinstance(upper, Windowed):
        return list(zip(upper.pieces, upper.parts, strict=True))
    return [(one, None) for one in torch.split(upper, 1)]


def joined(pieces: tuple[torch.Tensor, ...], parts: Sequence[Part | None], like: torch.Tensor) -> torch.Tensor:
    """Relevance [B, C, h, w] of all samples, in the shape of `like`."""
    if not any(parts):
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)
    size = like.shape[2:]
    return Windowed(pieces, [part or everywhere(size) for part in parts], size)


def everywhere(size: Sequence[int]) -> Part:
    """All of a map of this size (height, width)."""
    return slice(0, size[0]), slice(0, size[1])


def cut(piece: torch.Tensor, part: Part, wanted: Part) -> torch.Tensor:
    """The wanted part of maps [1, C, h, w], from what lies in another part of them; zero elsewhere."""
    if part == wanted:
        return piece
    (rows, columns), (wanted_rows, wanted_columns) = part, wanted
    margins = (
        columns.start - wanted_columns.start,
        wanted_columns.stop - columns.stop,
        rows.start - wanted_rows.start,
        wanted_rows.stop - rows.stop,
    )
    return torch.nn.functional.pad(piece, margins)


def _added(one: Windowed, other: Windowed) -> Windowed:
    pairs = zip(one.pieces, one.parts, other.pieces, other.parts, strict=True)
    pieces, parts = zip(*(_sum((a, of_a), (b, of_b)) for a, of_a, b, of_b in pairs), strict=True)
    return Windowed(pieces, parts, one.shape[2:])


def _sum(one: tuple[torch.Tensor, Part], other: tuple[torch.Tensor, Part]) -> tuple[torch.Tensor, Part]:
    """Sum of two pieces, each with its part, in the smallest part that contains both."""
    (larger, part), (smaller, within) = sorted((one, other), key=lambda piece: piece[0].numel(), reverse=True)
    if part == within:
        return larger + smaller, part
    rows, columns = (slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(part, within, strict=True))
    around = larger.clone() if part == (rows, columns) else cut(larger, part, (rows, columns))
    row, column = within[0].start - rows.start, within[1].start - columns.start
    around[:, :, row : row + smaller.shape[2], column : column + smaller.shape[3]] += smaller
    return around, (rows, columns)
