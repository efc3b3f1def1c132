"""Names for concepts, proposed from annotated masks: what a concept is used for, and what it is not.

Network dissection (Bau et al. 2017) names a unit by where it is active. Here a concept c is named by its relevance: of
every thing F that is seen in a picture (a class, a part, a context), how much of the concept's share s of a decision
rests on it::

    v = max(s, 0)               F is the object decided on: without it nothing is left to decide
    v = max(s, 0) (p_F - a_F)   any other F: p_F is the share of the positive relevance of the concept's conditional
                                heatmap within F, a_F the share of the picture that F covers, which is chance

The name is the F with the largest mean of v over the decisions in whose pictures it is seen. It fits if the mean lies
above 0 and the AUROC above 0.5, both at 5 % shared among all things (Bonferroni), the AUROC is at least 0.7, and at
least a third of the concept's positive share in these decisions rests on F. The
AUROC (as INVERT, Bykov et al. 2023) is over all decisions, not the top ones: the chance that the share is larger in a
decision with F than in one without. Errors are those of pictures, not of decisions: decisions of one picture are no
independent witnesses.

Axes: N decision, C concept, F thing, P picture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from lcrp.evidence.correlation import ranks
from lcrp.evidence.intervals import LEVEL, Interval

Array = npt.NDArray[np.float64]

LEAST_PICTURES = 5  # with a thing, and without it: of less no name is proposed
LEAST_AUROC = 0.7
LEAST_RESTING = 1 / 3  # of the positive share in decisions with the thing
UNKNOWN = Interval(value=float("nan"), low=float("nan"), high=float("nan"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A decision, and what is seen in its picture.

    Attributes:
        sample: number of the picture.
        own: name of the annotated object that the decision hits; empty if it hits none.
        shares: [C] signed share of every concept.
        beyond: p_F - a_F of every concept by the name of the thing, [C] each; 0 for concepts without a heatmap.
    """

    sample: int
    own: str
    shares: npt.NDArray[np.floating[Any]]
    beyond: Mapping[str, npt.NDArray[np.floating[Any]]]

    def values(self, thing: str) -> Array:
        """What of every concept's share rests on a thing that is seen, v of [C]."""
        positive: Array = np.maximum(self.shares, 0.0).astype(np.float64)
        rests: Array = positive if thing == self.own else positive * self.beyond[thing]
        return rests


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """The name that fits a concept best.

    Attributes:
        name: of the thing; empty if there is too little to tell.
        fits: whether it does; if not, no name does.
        value: mean share of the relevance that rests on the thing, where it is seen.
        auroc: of the concept's share over all decisions, with the thing against without, and its 95 % interval.
    """

    name: str = ""
    fits: bool = False
    value: float = float("nan")
    auroc: Interval = UNKNOWN


def proposals(sightings: Sequence[Sighting], among: Sequence[str] | None = None) -> tuple[Proposal, ...]:
    """The best name for every concept.

    Args:
        sightings: decisions, of all concepts of one layer.
        among: names that may be proposed; None for all things that are seen.

    Returns:
        One for every concept.
    """
    if not sightings:
        return ()
    shares: Array = np.stack([one.shares for one in sightings]).astype(np.float64)  # [N, C]
    pictures = np.unique([one.sample for one in sightings], return_inverse=True)[1]
    seen = sorted({name for one in sightings for name in (*one.beyond, one.own) if name})
    classes = {one.own for one in sightings}
    known: list[str] = []
    found: list[tuple[Array, Array, Array]] = []
    for name in seen if among is None else [one for one in seen if one in among]:
        rows = [number for number, one in enumerate(sightings) if name in one.beyond or name == one.own]
        if len(set(pictures[rows].tolist())) >= LEAST_PICTURES:
            known.append(name)
            mean, error = _mean(np.stack([sightings[row].values(name) for row in rows]), pictures[rows])
            found.append((mean, error, np.maximum(shares[rows], 0.0).mean(axis=0)))
    if not known:
        return tuple(Proposal() for _ in shares.T)
    mean, error, positive = (np.stack(part) for part in zip(*found, strict=True))  # [F, C] each
    best = mean.argmax(axis=0)
    corrected = NormalDist().inv_cdf(1.0 - (1.0 - LEVEL) / len(known))
    rests = (mean > corrected * error) & (mean >= LEAST_RESTING * positive)
    with_thing = {
        name: np.array([one.own == name if name in classes else name in one.beyond for one in sightings])
        for name in known
    }
    is_told = {name: _is_told(label, pictures) for name, label in with_thing.items()}
    return tuple(
        _proposal(
            Proposal(name=known[row], fits=bool(rests[row, concept]), value=float(mean[row, concept])),
            auroc(shares[:, concept], with_thing[known[row]], pictures) if is_told[known[row]] else None,
            corrected,
        )
        for concept, row in enumerate(best.tolist())
    )


def _is_told(label: npt.NDArray[np.bool_], pictures: npt.NDArray[np.int64]) -> bool:
    """Whether enough pictures are with a thing, and without it."""
    return min(len(np.unique(pictures[label])), len(np.unique(pictures[~label]))) >= LEAST_PICTURES


def _proposal(best: Proposal, score: tuple[float, float] | None, corrected: float) -> Proposal:
    """A name together with its AUROC, whose error is given, too; None if too few pictures tell."""
    if score is None:
        return replace(best, fits=False)
    area, error = score
    width = NormalDist().inv_cdf((1.0 + LEVEL) / 2.0) * error
    return replace(
        best,
        fits=best.fits and area > 0.5 + corrected * error and area >= LEAST_AUROC,
        auroc=Interval(value=area, low=max(0.0, area - width), high=min(1.0, area + width)),
    )


def auroc(values: Array, label: npt.NDArray[np.bool_], pictures: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Chance that a value with the label is above one without it (equal ones count half), and its standard error.

    The error is DeLong's (1988) for pictures with several decisions (Obuchowski 1997).

    Args:
        values: [N].
        label: [N], neither all nor none.
        pictures: [N] number of every row's picture.
    """
    num_with, num_without = int(label.sum()), int((~label).sum())
    among_all, placed = ranks(values), np.empty(len(values))
    placed[label] = (among_all[label] - ranks(values[label])) / num_without  # share of the others that are below
    placed[~label] = 1.0 - (among_all[~label] - ranks(values[~label])) / num_with  # share of the others above
    area = float(placed[label].mean())
    influence = (placed - area) / np.where(label, num_with, num_without)
    return area, float(_error(np.bincount(pictures, weights=influence).astype(np.float64), np.bincount(pictures) > 0))


def _mean(values: Array, pictures: npt.NDArray[np.int64]) -> tuple[Array, Array]:
    """Mean of [N, C] over decisions, and its standard error over pictures, [C] each."""
    mean = values.mean(axis=0)
    total = np.zeros((int(pictures.max()) + 1, values.shape[1]))
    np.add.at(total, pictures, (values - mean) / len(values))
    return mean, _error(total, np.bincount(pictures) > 0)


def _error(influence: Array, is_known: npt.NDArray[np.bool_]) -> Array:
    """Standard error of a sum of pictures' influences, [P] or [P, C]."""
    count = int(is_known.sum())
    found: Array = np.sqrt((influence**2).sum(axis=0) * count / (count - 1))
    return found
