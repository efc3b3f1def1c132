"""Maps that lie in memory by parts pass for ordinary ones."""

import pytest
import torch

from lcrp.composites.operations.values import Sum
from lcrp.composites.windowed import Part, Windowed, cut, whole
from lcrp.composites.windows import window_of

SIZE = (6, 7)
PARTS: list[Part] = [(slice(1, 3), slice(0, 4)), (slice(2, 6), slice(5, 7))]
OTHERS: list[Part] = [(slice(2, 5), slice(3, 7)), (slice(3, 4), slice(6, 7))]


def windowed(parts: list[Part], seed: int) -> Windowed:
    generator = torch.Generator().manual_seed(seed)
    sizes = [(rows.stop - rows.start, columns.stop - columns.start) for rows, columns in parts]
    return Windowed([torch.rand(1, 2, *size, generator=generator) for size in sizes], parts, SIZE)


def test_it_has_shape_and_type_of_the_whole_maps() -> None:
    maps = windowed(PARTS, 0)
    assert (maps.shape, maps.dtype, maps.device) == ((2, 2, *SIZE), torch.float32, torch.device("cpu"))
    for piece, part, sample in zip(maps.pieces, maps.parts, whole(maps), strict=True):
        assert torch.equal(sample[(slice(None), *part)], piece[0])
        assert sample.count_nonzero() == piece.count_nonzero()  # zero elsewhere


def test_two_are_added_part_by_part() -> None:
    one, other = windowed(PARTS, 0), windowed(OTHERS, 1)
    added = one + other
    assert isinstance(added, Windowed)
    assert added.parts == ((slice(1, 5), slice(0, 7)), (slice(2, 6), slice(5, 7)))
    assert torch.equal(whole(added), whole(one) + whole(other))


def test_every_other_operation_takes_the_whole_maps() -> None:
    maps, ordinary = windowed(PARTS, 0), torch.ones(2, 2, *SIZE)
    for found in (maps + ordinary, ordinary + maps):
        assert type(found) is torch.Tensor
        assert torch.equal(found, whole(maps) + ordinary)
    assert torch.equal(maps.sum(dim=(2, 3)), whole(maps).sum(dim=(2, 3)))


def test_it_cannot_be_written_to() -> None:
    with pytest.raises(TypeError, match=r"windowed relevance cannot be written to .* take whole\(relevance\)"):
        windowed(PARTS, 0).mul_(2)


def test_relevance_that_cancelled_out_has_a_window_of_zeros() -> None:
    """It lies where the part begins, far from the map's first row and column."""
    part = (slice(40, 60), slice(44, 64))
    operation = Sum(signs=(1,), broadcasts=False)
    window = window_of(operation, torch.zeros(1, 2, 20, 20), part, (64, 64), (64, 64))
    assert window is not None
    piece = cut(torch.zeros(1, 2, 20, 20), part, window.upper)
    assert piece.shape == (1, 2, 4, 4)
    assert not piece.any()
