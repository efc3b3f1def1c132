"""The fifteen synthetic grounds of ContextShift (2026), restated: five colours, five gradients, five soft noises.

Axes: S ground, H W picture.
"""

import torch
from torch.nn.functional import interpolate

COLOURS = (  # grey, blue, green, sand, dark
    (0.5, 0.5, 0.5),
    (0.45, 0.65, 0.85),
    (0.35, 0.5, 0.25),
    (0.8, 0.7, 0.5),
    (0.15, 0.15, 0.18),
)
CELLS = (2, 3, 4, 6, 8)  # along the picture's side, of the noises
NUM_SYNTHETIC = 2 * len(COLOURS) + len(CELLS)


def synthetic_grounds(size: tuple[int, int], count: int, seed: int) -> torch.Tensor:
    """The first `count` grounds of `size` (height, width), [S, 3, H, W] in [0, 1]: a colour, a gradient, a noise, ...

    Args:
        size: of the picture.
        count: at most `NUM_SYNTHETIC`.
        seed: of the noises.
    """
    height, width = size
    colours = torch.tensor(COLOURS)[:, :, None, None].expand(-1, -1, height, width)
    along = torch.linspace(0, 1, height)[:, None]
    gradients = colours * (1 - along) + colours.roll(1, dims=0) * along
    generator = torch.Generator().manual_seed(seed)
    noises = torch.cat([_noise(cells, size, generator) for cells in CELLS])
    kinds = torch.stack([colours, gradients, noises], dim=1)  # [5, 3 kinds, 3, H, W]
    return kinds.flatten(0, 1)[:count]


def _noise(cells: int, size: tuple[int, int], generator: torch.Generator) -> torch.Tensor:
    """Random colours of a coarse grid, made smooth, [1, 3, H, W]."""
    coarse = torch.rand(1, 3, cells, cells, generator=generator)
    return interpolate(coarse, size=size, mode="bicubic", align_corners=True).clamp(0, 1)
