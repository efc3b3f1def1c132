"""Shared blocks and the arithmetic of widths and depths."""

import pytest
import torch

from lcrp.models.layers import (
    Concat,
    ConvBlock,
    SpatialPyramid,
    corners,
    depth_of,
    grid,
    scaled_channels,
    scaled_repeats,
)


def test_concat_acts_on_its_dimension() -> None:
    a, b = torch.arange(6.0).reshape(1, 2, 1, 3), torch.ones(1, 2, 1, 3)
    assert torch.equal(Concat()((a, b)), torch.cat((a, b), dim=1))


@pytest.mark.parametrize(
    ("base", "width", "channels"), [(64, 0.25, 16), (64, 0.33, 24), (1024, 1.25, 1280), (16, 0.1, 8)]
)
def test_channels_round_up_to_multiples_of_eight(base: int, width: float, channels: int) -> None:
    assert scaled_channels(base, width) == channels


def test_width_from_the_largest_layer_gives_every_layer_back() -> None:
    """A width read off a file (0.3359 for 0.33) must not round another layer differently."""
    bases = (64, 128, 256, 512)
    for step in range(1, 300):
        width = step / 193
        found = scaled_channels(1024, width) / 1024
        assert [scaled_channels(base, found) for base in bases] == [scaled_channels(base, width) for base in bases]


@pytest.mark.parametrize(
    ("base", "depth", "repeats"), [(18, 0.25, 4), (6, 0.25, 2), (9, 0.33, 3), (1, 3.0, 1), (3, 0.01, 1), (9, 1.33, 12)]
)
def test_repeats_round_half_to_even(base: int, depth: float, repeats: int) -> None:
    """18 * 0.25 = 4.5 must give 4, or the tiny YOLOv6 has a block too many."""
    assert scaled_repeats(base, depth) == repeats


def test_depth_is_found_again_or_refused() -> None:
    for depth in (0.25, 0.33, 0.67, 1.0, 1.33, 0.5, 2.0):
        repeats = [(base, scaled_repeats(base, depth)) for base in (3, 6, 9, 18)]
        found = depth_of(repeats)
        assert found is not None
        assert [(base, scaled_repeats(base, found)) for base in (3, 6, 9, 18)] == repeats
    assert depth_of([(3, 1), (9, 9)]) is None


def test_grid_runs_row_by_row_with_the_column_first() -> None:
    expected = [[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, 1.0]]
    points = grid(2, 3, torch.zeros(1, dtype=torch.float64))
    assert points.tolist() == expected
    assert points.dtype == torch.float64


def test_corners_of_a_box() -> None:
    assert corners(torch.tensor([10.0, 20.0]), torch.tensor([4.0, 6.0])).tolist() == [8.0, 17.0, 12.0, 23.0]


def test_pyramid_pools_serially() -> None:
    """Three serial 5x5 pools see 5, 9 and 13 pixels; pooling the same map thrice would see 5 each time."""
    torch.manual_seed(0)
    pyramid, x = SpatialPyramid(4, 4).eval(), torch.rand(1, 4, 16, 16)
    seen = {}
    pyramid.concat.register_forward_pre_hook(lambda _module, arguments: seen.update(maps=arguments[0]))
    pyramid(x)
    first = seen["maps"][0]
    for pooled, kernel in zip(seen["maps"][1:], (5, 9, 13), strict=True):
        assert torch.equal(pooled, torch.nn.functional.max_pool2d(first, kernel, 1, kernel // 2))


def test_conv_block_has_the_published_normalisation() -> None:
    block = ConvBlock(3, 8, 6, stride=2, padding=2)
    assert (block.bn.eps, block.bn.momentum) == (1e-3, 0.03)
    assert block.conv.bias is None
    assert block.eval()(torch.rand(1, 3, 8, 8)).shape == (1, 8, 4, 4)
    assert isinstance(block.act, torch.nn.SiLU)
    assert isinstance(ConvBlock(3, 8, 1, relu=True).act, torch.nn.ReLU)
