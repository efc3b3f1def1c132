"""Successive halving (Jamieson and Talwalkar 2016) by mean rank: many candidates on few decisions, few on many.

Candidates that are behind the default in one measure come after all others.

Axes: N candidate, D decision, M measure.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lcrp.evidence.correlation import ranks

Array = npt.NDArray[Any]

LAST = 3  # candidates of the last rung, at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """So many candidates that are looked at on so many decisions, those of the rungs before included."""

    num_candidates: int
    num_decisions: int


def rungs(num_candidates: int, num_decisions: int) -> tuple[Rung, ...]:
    """Half of the candidates go on with twice the decisions, until three or less are left.

    Args:
        num_candidates: of the first rung.
        num_decisions: of the last.
    """
    counts = [num_candidates]
    while counts[-1] > LAST:
        counts.append(counts[-1] // 2)
    decisions = [max(1, num_decisions >> (len(counts) - 1 - place)) for place in range(len(counts))]
    return tuple(Rung(num_candidates=a, num_decisions=b) for a, b in zip(counts, decisions, strict=True))


def num_looks(plan: Sequence[Rung]) -> int:
    """How often a candidate is looked at on a decision in all rungs."""
    return sum(looks_by_rung(plan))


def looks_by_rung(plan: Sequence[Rung]) -> list[int]:
    """How often a candidate is looked at on a decision in each rung, without what rungs before looked at."""
    before = [0, *(rung.num_decisions for rung in plan)]
    return [rung.num_candidates * (rung.num_decisions - known) for rung, known in zip(plan, before[:-1], strict=True)]


def mean_ranks(scores: Array) -> npt.NDArray[np.float64]:
    """Rank of every candidate, from 1 for the best on, over decisions and measures, [N].

    Args:
        scores: [N, D, M], large where good; -inf where a candidate failed. What is NaN for one of them, which cannot be
            told there, counts for none.
    """
    columns = scores.reshape(len(scores), -1)
    known = columns[:, ~np.isnan(columns).any(axis=0)]
    if not known.shape[1]:
        return np.ones(len(scores))
    found: npt.NDArray[np.float64] = np.stack([ranks(-column) for column in known.T], axis=1).mean(axis=1)
    return found


def is_behind(own: Array, default: Array) -> bool:
    """Whether a candidate [D, M] is behind the default in a measure, by more than the standard error of the difference.

    One decision tells nothing of that; a candidate that failed is behind.
    """
    if np.isneginf(own).any():
        return True
    for column in (own - np.where(np.isneginf(default), np.nan, default)).T:
        known = column[~np.isnan(column)]
        if len(known) > 1 and known.mean() < -known.std(ddof=1) / np.sqrt(len(known)):
            return True
    return False


def survivors(candidates: Sequence[int], scores: Array, count: int, default: int) -> list[int]:
    """The `count` candidates that go on, the best first, the default in any case.

    Those come first that are not behind the default in any measure, by mean rank; of equal ones that named first.

    Args:
        candidates: N numbers, that of the default among them.
        scores: [N, D, M] of these.
        count: how many.
        default: its number.
    """
    ranked, usual = mean_ranks(scores), scores[candidates.index(default)]
    behind = [is_behind(own, usual) for own in scores]
    order = sorted(range(len(candidates)), key=lambda place: (behind[place], ranked[place]))
    chosen = [candidates[place] for place in order[:count]]
    return chosen if default in chosen else [*chosen[:-1], default]


class Halving:
    """A search that asks for one score after the other, and is told each before it asks for the next.

    Args:
        plan: its rungs.
        default: number of the candidate that none may be behind, which stays to the end.

    Attributes:
        scores: what was told, [M] by candidate and decision.
        order: candidates that are left, the best first; all of them at the start.
    """

    def __init__(self, plan: Sequence[Rung], default: int = 0) -> None:
        self._plan, self._default = plan, default
        self.scores: dict[tuple[int, int], Array] = {}
        self.order = list(range(plan[0].num_candidates))

    def asked(self) -> Iterator[tuple[int, int]]:
        """Pairs of a candidate and a decision, decision by decision."""
        for pairs in self.asked_by_rung():
            yield from pairs

    def asked_by_rung(self) -> Iterator[list[tuple[int, int]]]:
        """The same pairs, all of a rung at once; they are told before those of the next one are asked for."""
        for rung, after in zip(self._plan, [*self._plan[1:], self._plan[-1]], strict=True):
            alive, decisions = self.order, range(rung.num_decisions)
            yield [(one, decision) for decision in decisions for one in alive if (one, decision) not in self.scores]
            table = self._table(alive, rung.num_decisions)
            self.order = survivors(alive, table, after.num_candidates, self._default)

    def tell(self, candidate: int, decision: int, scores: Array) -> None:
        """What a candidate scores on a decision, [M]."""
        self.scores[candidate, decision] = scores

    def num_decisions(self, candidate: int) -> int:
        """On how many decisions a candidate was looked at."""
        return sum(one == candidate for one, _ in self.scores)

    def known(self, candidate: int) -> Array:
        """What is known of a candidate, [D, M]."""
        return np.array([self.scores[candidate, decision] for decision in range(self.num_decisions(candidate))])

    def _table(self, candidates: Sequence[int], num_decisions: int) -> Array:
        return np.array([self.known(one)[:num_decisions] for one in candidates])
