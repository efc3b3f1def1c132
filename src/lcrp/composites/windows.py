"""Windows: the part of a layer's maps that relevance reaches, so that rounds on CPUs leave the rest out.

A detection or a single neuron reaches a few pixels of the upper layers, and often a part of the lower ones. Every
sample has its own window, found in its own relevance and computed on its own: what is left out adds exactly zero, and
no sample's numbers depend on its batch mates.

Axes: C channel, h w map of the output (upper) or of the input (lower).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from lcrp.composites.arithmetic import is_zero
from lcrp.composites.operations.linear_map import LinearMap
from lcrp.composites.operations.values import Operation, Scaling, Sum
from lcrp.composites.windowed import Part, everywhere
from lcrp.values import devices

_SMALLEST = 1 << 16  # values of a sample's map: smaller ones are not worth a look
_SIZES = tuple(sixteenths / 16 for sixteenths in range(1, 14))  # of a window, per side: a kernel is made for each size
_LARGEST = 0.6  # of a map's area: larger ones are not worth a window
_MANY_CHANNELS = 32  # from which on reductions over channels are fast
_MARGIN = (1 - math.sqrt(_LARGEST)) / 2  # of a side: what lies further in on both sides of both axes is larger


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Where relevance lies in the output of a layer, and which inputs receive of it.

    Attributes:
        upper: part of the output's map.
        lower: part of the input's map.
        padding: (left, right, top, bottom) zeros that the outputs of the window see beyond the input's map.
    """

    upper: Part
    lower: Part
    padding: tuple[int, int, int, int]

    def of_output(self, values: torch.Tensor) -> torch.Tensor:
        """The window of [B, C, h, w] in the shape of the output."""
        return values[:, :, *self.upper]

    def of_input(self, values: torch.Tensor) -> torch.Tensor:
        """The window of [B, C, h, w] in the shape of the input, padded, so that the layer need not."""
        part = values[:, :, *self.lower]
        return nn.functional.pad(part, self.padding) if any(self.padding) else part

    def of_result(self, values: torch.Tensor) -> torch.Tensor:
        """What lies in `lower` of values in the shape that `of_input` returns."""
        left, right, top, bottom = self.padding
        return values[:, :, top : values.shape[2] - bottom, left : values.shape[3] - right]


def can_have_windows(operation: Operation, upper: torch.Tensor) -> bool:
    """Whether relevance [B, C, h, w] of an operation's output is looked at sample by sample."""
    match operation:
        case LinearMap(geometry=geometry):
            is_local = geometry is not None and not geometry.transposed
        case Sum(broadcasts=broadcasts):
            is_local = not broadcasts
        case _:
            is_local = isinstance(operation, Scaling)
    return is_local and not devices.waits(upper) and upper.ndim == 4 and math.prod(upper.shape[1:]) >= _SMALLEST


def window_of(
    operation: Operation, upper: torch.Tensor, part: Part | None, extent: Sequence[int], size: Sequence[int]
) -> Window | None:
    """Where relevance of one sample lies in an operation's output.

    Args:
        operation: what was computed.
        upper: relevance [1, C, h, w] of its output, or of the part of it that may be reached.
        part: that part; None for everything.
        extent: size of the output's map.
        size: of the input's map.

    Returns:
        The window, which depends on the values alone; None if it is (almost) everything.
    """
    reached = _reached(upper, part or everywhere(extent), extent)
    if reached is None:
        return None
    parts = [_rounded(*ends, length) for ends, length in zip(reached, extent, strict=True)]
    if _length(parts[0]) * _length(parts[1]) > _LARGEST * extent[0] * extent[1]:
        return None
    lower, padding = [], []
    for axis, rounded in enumerate(parts):
        stride, reach, margin = _geometry(operation, axis)
        first = rounded.start * stride - margin
        last = first + (rounded.stop - 1 - rounded.start) * stride + reach
        lower.append(slice(max(0, first), min(size[axis], last)))
        padding.append((max(0, -first), max(0, last - size[axis])))
    return Window(
        upper=(parts[0], parts[1]),
        lower=(lower[0], lower[1]),
        padding=(*padding[1], *padding[0]),
    )


def _geometry(operation: Operation, axis: int) -> tuple[int, int, int]:
    """Stride, inputs that an output sees, and padding; of what treats every pixel alone, 1, 1 and 0."""
    if not isinstance(operation, LinearMap) or operation.geometry is None:
        return 1, 1, 0
    own = operation.geometry
    reach = own.dilation[axis] * (operation.kernel_size[axis] - 1) + 1
    return own.stride[axis], reach, own.padding[axis]


def _reached(values: torch.Tensor, part: Part, extent: Sequence[int]) -> list[tuple[int, int]] | None:
    """First and last row, and column, of a map that are not zero in its part [1, C, h, w]; its begin if all are.

    None if they are too far apart for a window: so they are where the row and the column that lie `_MARGIN` from each
    edge of the map have relevance.
    """
    if not any(_is_zero(values, part, axis, place) for axis in (0, 1) for place in _near_edges(extent[axis])):
        return None
    ends = []
    for axis, lines in enumerate(_lines(values)):
        places = lines.nonzero()
        start = part[axis].start
        ends.append((start + int(places[0]), start + int(places[-1])) if len(places) else (start, start))
    return ends


def _near_edges(length: int) -> tuple[int, int]:
    """Of a side: places that lie `_MARGIN` from its ends."""
    margin = int(_MARGIN * length)
    return margin, length - 1 - margin


def _is_zero(values: torch.Tensor, part: Part, axis: int, place: int) -> bool:
    """Whether a row, or a column, of a map of which a part [1, C, h, w] is not zero, is zero."""
    own = part[axis]
    return not own.start <= place < own.stop or is_zero(values.select(2 + axis, place - own.start))


def _lines(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Which rows [h], and which columns [w], of [1, C, h, w] are not zero everywhere."""
    if values.shape[1] >= _MANY_CHANNELS or values.stride()[1::2] != (1, values.shape[1]):
        is_reached = (values.amax(dim=(0, 1)) != 0) | (values.amin(dim=(0, 1)) != 0)  # [h, w]
        return is_reached.any(dim=1), is_reached.any(dim=0)
    rows = values[0].permute(1, 2, 0).flatten(1)  # [h, w * C]; reductions over few channels take five times as long
    columns = (rows.amax(dim=0) != 0) | (rows.amin(dim=0) != 0)
    return (rows.amax(dim=1) != 0) | (rows.amin(dim=1) != 0), columns.view(values.shape[3], -1).any(dim=1)


def _rounded(first: int, last: int, extent: int) -> slice:
    """The smallest usual part of an extent around its places from `first` to `last`."""
    sizes = (max(1, round(share * extent)) for share in _SIZES)
    size = next((size for size in sizes if size > last - first), extent)
    start = min(max(0, (first + last + 1 - size) // 2), extent - size)
    return slice(start, start + size)


def _length(part: slice) -> int:
    return int(part.stop) - int(part.start)
