"""Seamless noise: tiles made once per process by filtering white noise in the Fourier domain.

Axes: H W picture. Tiles are [TILE, TILE] float32 with mean 0 and standard deviation 1.
"""

from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.floating]
Kind = Literal["grain", "cloud", "patch", "wave", "blade"]
TILE = 512


@cache
def tile(kind: Kind) -> Field:
    """One tile of a kind.

    grain: fine speckle; cloud: fractal over all octaves; patch: soft blots of about 60 texels; wave: crests that lie
    horizontally; blade: strokes that stand upright.
    """
    y = np.fft.fftfreq(TILE)[:, None]
    x = np.fft.rfftfreq(TILE)[None, :]
    radius = np.hypot(x, y)
    radius[0, 0] = 1.0
    envelopes = {
        "grain": radius**0.3 * np.exp(-((radius / 0.33) ** 2)),
        "cloud": radius**-1.75,
        "patch": np.exp(-((radius * 60) ** 2) / 2),
        "wave": sum(
            weight * np.exp(-((x * 5 * octave) ** 2) - 240 * (y * octave) ** 4)
            for octave, weight in ((3.0, 1.0), (7.0, 2.2), (16.0, 4.0))
        ),
        "blade": np.exp(-((y * 14) ** 2)) * radius**0.2 * np.exp(-((x / 0.36) ** 2)),
    }
    seed = list(envelopes).index(kind) + 1
    spectrum = np.fft.rfft2(np.random.default_rng(seed).standard_normal((TILE, TILE)))
    spectrum = spectrum * envelopes[kind]
    spectrum[0, 0] = 0
    values = np.fft.irfft2(spectrum, s=(TILE, TILE))
    field: Field = (values / values.std()).astype(np.float32)
    field.setflags(write=False)
    return field


def sampled(kind: Kind, x: npt.NDArray[np.floating], y: npt.NDArray[np.floating]) -> Field:
    """Noise at the given texel coordinates, which broadcast: [H, W]; the tile repeats for ever."""
    columns = x.astype(np.int32) & (TILE - 1)
    rows = y.astype(np.int32) & (TILE - 1)
    found: Field = tile(kind)[rows, columns]
    return found
