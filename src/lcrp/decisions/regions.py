"""How much relevance lies outside the object that is explained.

Axes: B image, H W picture.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from lcrp.evidence.localisation import shares
from lcrp.values.prediction import at_least_float32
from lcrp.values.region import Region


def outside_shares(heatmaps: torch.Tensor, regions: Sequence[Region]) -> npt.NDArray[np.float64]:
    """Share of the positive relevance that lies outside the object, [B] in [0, 1]; NaN where nothing is positive.

    sum_i max(R_i, 0) (1 - M_i) / sum_i max(R_i, 0) (Dreyer et al. 2023, section 4.3, for one sample).

    Args:
        heatmaps: [B, H, W].
        regions: of every picture.
    """
    maps = at_least_float32(heatmaps).cpu().numpy()
    found = []
    for heatmap, region in zip(maps, regions, strict=True):
        inside, counted = region.inside.cpu().numpy(), region.counted.cpu().numpy()
        found.append(shares(np.where(counted, heatmap, 0), ~inside[None])[0])
    return np.array(found, dtype=np.float64)
