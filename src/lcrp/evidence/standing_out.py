"""Which thing lowers a concept's relevance most, where that can be told.

Axes: N decision, C concept, F thing, P picture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lcrp.evidence.intervals import LEVEL, NUM_DRAWS, draws
from lcrp.evidence.naming import LEAST_PICTURES

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Foremost:
    """What lowers a concept's relevance most.

    Attributes:
        name: of the thing.
        fall: mean over the decisions in whose pictures it is seen.
        lead: by how much it falls further than by the next one, and the lower end of the 95 % interval of that, over
            pictures drawn anew.
        lead_low: that end.
    """

    name: str
    fall: float
    lead: float
    lead_low: float

    @property
    def stands_out(self) -> bool:
        """Whether the fall lies above 0, and the whole interval of the lead does."""
        return self.fall > 0.0 and self.lead_low > 0.0


def foremost(
    falls: Sequence[Mapping[str, Array]], samples: Sequence[int], among: Sequence[str] | None = None
) -> tuple[Foremost, ...]:
    """The thing that lowers each concept's relevance most.

    Args:
        falls: of every decision [N], by what is taken away, [C] each.
        samples: [N] number of the picture.
        among: names that count; None for all. Those in less than five pictures never do.

    Returns:
        One for every concept; none where less than two things are seen often enough.
    """
    pictures = np.unique(np.asarray(samples), return_inverse=True)[1]
    names = sorted({name for one in falls for name in one if among is None or name in among})
    names = [name for name in names if _num_pictures(falls, pictures, name) >= LEAST_PICTURES]
    if len(names) < 2:
        return ()
    size = len(next(iter(falls[0].values())))
    total, count = np.zeros((pictures.max() + 1, size, len(names))), np.zeros((pictures.max() + 1, len(names)))
    for picture, one in zip(pictures, falls, strict=True):
        for column, name in enumerate(names):
            if name in one:
                total[picture, :, column] += one[name]
                count[picture, column] += 1
    mean = total.sum(axis=0) / count.sum(axis=0)  # [C, F]
    first, second = np.argsort(-mean, axis=1, kind="stable")[:, :2].T
    rows = np.arange(size)
    low = _low(total[:, rows, first], count[:, first], total[:, rows, second], count[:, second])
    return tuple(
        Foremost(
            name=names[first[row]],
            fall=float(mean[row, first[row]]),
            lead=float(mean[row, first[row]] - mean[row, second[row]]),
            lead_low=float(low[row]),
        )
        for row in rows
    )


def _num_pictures(falls: Sequence[Mapping[str, Array]], pictures: npt.NDArray[np.int64], name: str) -> int:
    return len({int(picture) for picture, one in zip(pictures, falls, strict=True) if name in one})


def _low(total: Array, count: Array, other_total: Array, other_count: Array) -> Array:
    """Lower end of the interval of the difference of two means, all [P, C]; pictures are drawn with replacement."""
    drawn = draws(len(total), NUM_DRAWS)
    times = np.stack([np.bincount(one, minlength=len(total)) for one in drawn]).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):  # a draw may lack all pictures with a thing
        lead = (times @ total) / (times @ count) - (times @ other_total) / (times @ other_count)
    low: Array = np.nanquantile(lead, (1.0 - LEVEL) / 2.0, axis=0)
    return low
