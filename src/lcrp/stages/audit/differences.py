"""What decisions score over their grounds, and the difference of differences that verdicts are told of.

Axes: N decision, R row: an object before a ground, S draw.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lcrp.evidence.crossed import crossed_draws, expanded_interval, redrawn_means
from lcrp.evidence.intervals import Interval
from lcrp.stages.audit.reading import KINDS, Rows
from lcrp.values.audit import Kind

Array = npt.NDArray[Any]

SMALLEST = 1e-6  # of a score, whose logit is taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """What every decision scores, [N] each: means over grounds of a kind, NaN where there is none.

    Attributes:
        place: of the object among all of the dataset.
        sample: index of its picture.
        class_id: of the object.
        own: in its own picture.
        placebo: its own surroundings put back, at its own place.
        unusual: pictures without its class, at its own place.
        usual: pictures with its class, at the places of others of its class.
        moved: pictures without its class, at the same places.
        synthetic: colours, gradients and soft noises, at its own place.
        redrawn: [S, N] differences when the pictures that are grounds are drawn anew.
    """

    place: Array
    sample: Array
    class_id: Array
    own: Array
    placebo: Array
    unusual: Array
    usual: Array
    moved: Array
    synthetic: Array
    redrawn: Array

    @property
    def difference(self) -> Array:
        """Score in usual surroundings less that in others, each pasted: the mean of both places.

        The difference of two falls, from its own picture, of which the effect of the seam is in both; so is that of
        filling, since what is compared is filled at the same places. An object that fills the picture cannot move: its
        other places are its own, `moved` equals `unusual`, and it counts as any.
        """
        found: Array = (self.placebo - self.unusual + self.usual - self.moved) / 2
        return found

    def means(self, rows: Rows, values: Array) -> "Decisions":
        """The same of other values [R] of the rows, as of their logits."""
        return decisions(self.place, self.sample, self.class_id, rows, values)


def decisions(places: Array, samples: Array, class_ids: Array, rows: Rows, values: Array | None = None) -> Decisions:
    """Means of the rows of every decision.

    Args:
        places: [N] of the decisions' objects.
        samples: [N] of their pictures.
        class_ids: [N].
        rows: of them.
        values: [R] to be averaged; None for the scores.
    """
    used = rows.score if values is None else values
    owner = np.searchsorted(places, rows.place)

    def mean(kind: Kind, *, is_own_place: bool = True) -> Array:
        own = (rows.kind == KINDS.index(kind)) & (rows.is_own_place == is_own_place)
        count = np.bincount(owner[own], minlength=len(places))
        total = np.bincount(owner[own], weights=used[own], minlength=len(places))
        means: Array = np.divide(total, count, out=np.full(len(places), np.nan), where=count > 0)
        return means

    found = Decisions(
        place=places,
        sample=samples,
        class_id=class_ids,
        own=mean(Kind.OWN),
        placebo=mean(Kind.PLACEBO),
        unusual=mean(Kind.UNUSUAL),
        usual=mean(Kind.USUAL, is_own_place=False),
        moved=mean(Kind.UNUSUAL, is_own_place=False),
        synthetic=mean(Kind.SYNTHETIC),
        redrawn=np.empty((0, len(places))),
    )
    return replace(found, redrawn=_redrawn(found, rows, used))


def _redrawn(found: Decisions, rows: Rows, used: Array) -> Array:
    """Differences of decisions when grounds are drawn anew, [S, N], from values [R]; the same draws at every place."""
    owner = np.searchsorted(found.place, rows.place)

    def means(kind: Kind, seed: int, *, is_own_place: bool) -> Array:
        own = (rows.kind == KINDS.index(kind)) & (rows.is_own_place == is_own_place)
        return redrawn_means(used[own], owner[own], rows.source[own], len(found.place), seed)

    unusual, moved = (means(Kind.UNUSUAL, 1, is_own_place=at_home) for at_home in (True, False))
    differences: Array = (found.placebo - unusual + means(Kind.USUAL, 2, is_own_place=False) - moved) / 2
    return differences


def difference_interval(found: Decisions, own: Array) -> Interval:
    """The mean difference of some decisions [N] bool, and its interval over pictures and grounds."""
    known = own & ~np.isnan(found.difference)
    value = float(found.difference[known].mean()) if known.any() else math.nan
    samples = found.sample[known]
    return expanded_interval(value, crossed_draws(found.redrawn[:, known], samples), len(np.unique(samples)))


def logit(score: Array) -> Array:
    """Logits of scores, which are kept off 0 and 1."""
    kept = np.clip(score, SMALLEST, 1 - SMALLEST)
    found: Array = np.log(kept / (1 - kept))
    return found
