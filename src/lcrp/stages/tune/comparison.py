"""What a search and its confirmation tell: tables, whether the winner is kept, a verdict in words.

Axes: S method, D decision, M measure.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lcrp.evidence.confirming import FEWEST, differences, is_better, rank_gain
from lcrp.evidence.halving import Halving, mean_ranks
from lcrp.evidence.intervals import Interval, mean_interval
from lcrp.stages.tune.candidates import Candidate
from lcrp.stages.tune.measures import MEASURES
from lcrp.values.evidence import Table
from lcrp.values.shares import with_sign

Array = npt.NDArray[Any]

DEFAULT = 0  # number of the candidate
COMPARED = ("gradient", "gradcam", "random")  # what a composite has to be ahead of
WORDS = {
    "channels": "logits in flipping and inserting concepts",
    "pixels": "{unit} in deleting and inserting pixels",
    "agreement": "of rank correlation in agreement with single concepts taken away",
}
BOXES, MASKS = "of IoU times score", "logits"  # what pixels are measured in


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """Methods on decisions that did not choose among them.

    Attributes:
        names: S of the methods: the winner of the search; the default, unless it is the winner; what both are compared
            with.
        default: number of the default.
        scores: [S, D, M], large where good; -inf where a method failed.
        images: [D] picture of every decision.
        unit: of what pixels cost, `BOXES` or `MASKS`.
    """

    names: Sequence[str]
    default: int
    scores: Array
    images: Array
    unit: str

    @property
    def is_kept(self) -> bool:
        """Whether the winner is better than the default."""
        return self.default != 0 and is_better(self.scores[0], self.scores[self.default], self.images)

    @property
    def chosen(self) -> int:
        """Number of the method that is chosen."""
        return 0 if self.is_kept else self.default

    def leads(self, of: int, over: int) -> list[Interval]:
        """How far one method is ahead of another one, by every measure."""
        return differences(self.scores[of], self.scores[over], self.images)

    def table(self) -> Table:
        """`confirmation`: a row per method and measure: its mean, and how far the chosen method is ahead of it.

        `rank_lead` is how much more often the chosen one is ahead than behind, over all measures, from -1 to 1.
        """
        rows = []
        for number, name in enumerate(self.names):
            finite = np.where(np.isfinite(self.scores[number]), self.scores[number], np.nan)
            gain = rank_gain(self.scores[self.chosen], self.scores[number], self.images)
            leads = self.leads(self.chosen, number)
            for place, measure in enumerate(MEASURES):
                mean = mean_interval(finite[:, place], self.images)
                ends = [one for each in (mean, leads[place], gain) for one in (each.value, each.low, each.high)]
                known = int((~np.isnan(finite[:, place])).sum())
                rows.append((name, number == self.chosen, measure, *ends, known))
        names = ("mean", "lead", "rank_lead")
        columns = [part for name in names for part in (name, f"{name}_low", f"{name}_high")]
        return _table("confirmation", ("method", "is_chosen", "measure", *columns, "decisions"), rows)

    @property
    def headline(self) -> str:
        """What is chosen, in few words."""
        name = self.names[self.chosen]
        if self.is_kept:
            return f"'{name}' is more faithful than the default"
        if self.default == 0:
            return f"The default '{name}' stays"
        behind = self._told_apart()[1]
        doubt = f"is behind it in {_listed(behind)}" if behind else "is not better for certain"
        return f"The default '{name}' stays: '{self.names[0]}' {doubt}"

    def sentences(self) -> list[str]:
        """What is chosen, why, and what it is ahead of and behind."""
        winner, default, count = self.names[0], self.names[self.default], len(self.images)
        decisions = f"{count} decisions in {len(np.unique(self.images))} other pictures"
        if self.is_kept:
            first = f"chosen is '{winner}': on {decisions} it is ahead of the default '{default}' by "
            told = [first + self._told(0, self.default)]
        elif self.default == 0:
            told = [f"no candidate was better than the default '{default}' in the search: it stays"]
        else:
            told = [
                f"the default '{default}' stays: on {decisions} the winner of the search, '{winner}', "
                f"{self._doubt()}: {self._told(0, self.default)}"
            ]
        others = [number for number, name in enumerate(self.names) if name in COMPARED and number != self.chosen]
        return [*told, *(f"'{self.names[self.chosen]}' {self._beside(number)}" for number in others)]

    def _doubt(self) -> str:
        """Why the winner of the search is not kept, as the intervals that are told may all be fine."""
        ahead, behind = self._told_apart()
        if len(self.images) < FEWEST:
            return f"is not better for certain, as it takes {FEWEST} decisions to tell"
        if behind:
            return (f"is ahead in {_listed(ahead)}, but " if ahead else "is ") + f"behind in {_listed(behind)}"
        if ahead:
            wider = "it takes wider intervals than these to tell"
            return f"is not better for certain, as {wider}, with {len(MEASURES) + 1} ways to be ahead"
        return "is not better by its intervals"

    def _told_apart(self) -> tuple[list[str], list[str]]:
        """Measures in which the winner of the search is ahead of the default by its interval, and in which behind."""
        if len(self.images) < FEWEST:
            return [], []
        leads = dict(zip(MEASURES, self.leads(0, self.default), strict=True))
        ahead = [measure for measure, lead in leads.items() if lead.low > 0]
        return ahead, [measure for measure, lead in leads.items() if lead.high < 0]

    def _words(self, measure: str) -> str:
        return WORDS[measure].format(unit=self.unit)

    def _told(self, of: int, over: int) -> str:
        pairs = zip(MEASURES, self.leads(of, over), strict=True)
        return ", ".join(f"{_number(lead)} {self._words(measure)}" for measure, lead in pairs)

    def _beside(self, other: int) -> str:
        """Where the chosen method is ahead of another, and where behind."""
        leads = dict(zip(MEASURES, self.leads(self.chosen, other), strict=True))
        rival = self.names[other]
        parts = {
            f"ahead of {rival} by ": [name for name, lead in leads.items() if lead.low > 0],
            f"behind {rival} by ": [name for name, lead in leads.items() if lead.high < 0],
            f"not told apart from {rival}: ": [
                name for name, lead in leads.items() if not (lead.low > 0 or lead.high < 0)
            ],
        }
        told = [
            words + ", ".join(f"{_number(leads[name])} {self._words(name)}" for name in names)
            for words, names in parts.items()
            if names
        ]
        return "is " + "; ".join(told)


def _listed(names: Sequence[str]) -> str:
    return " and ".join(names)


def _number(lead: Interval) -> str:
    if math.isnan(lead.low):
        return str(lead)
    value, low, high = (with_sign(one, 3) for one in (lead.value, lead.low, lead.high))
    return f"{value} ({low} to {high})"


def candidates_table(search: Halving, candidates: Sequence[Candidate]) -> Table:
    """`candidates`: a row per candidate, the best first: on how many decisions, and its mean scores on these.

    `rank` is the mean rank among the candidates of the last rung that it reached, on the decisions of that rung; a lead
    is how far it is ahead of the default on decisions on which both were looked at.
    """
    rows = []
    for number, rank in ranked(search):
        own, other = (search.known(one) for one in (number, DEFAULT))
        count = min(len(own), len(other))
        leads = _means(own[:count]) - _means(other[:count])
        failures = int(np.isneginf(own).any(axis=1).sum())
        rows.append((candidates[number].label, rank, len(own), *_means(own).tolist(), *leads.tolist(), failures))
    leads_of = [f"{measure}_lead" for measure in MEASURES]
    return _table("candidates", ("candidate", "rank", "decisions", *MEASURES, *leads_of, "failures"), rows)


def _means(scores: Array) -> Array:
    """Mean of [D, M] by measure over what is known, [M]."""
    known = np.isfinite(scores)
    count, total = known.sum(axis=0), np.where(known, scores, 0.0).sum(axis=0)
    found: Array = np.divide(total, count, out=np.full(scores.shape[1], np.nan), where=count > 0)
    return found


def ranked(search: Halving) -> list[tuple[int, float]]:
    """Candidates and their mean ranks: those of the last rung first, then by the rung that they reached."""
    known = sorted({one for one, _ in search.scores})
    found = []
    for number in known:
        count = search.num_decisions(number)
        rivals = [one for one in known if search.num_decisions(one) >= count]
        scores = np.array([search.known(one)[:count] for one in rivals])
        found.append((number, float(mean_ranks(scores)[rivals.index(number)])))
    last = {number: place for place, number in enumerate(search.order)}
    return sorted(found, key=lambda one: (last.get(one[0], len(known)), -search.num_decisions(one[0]), one[1]))


def _table(name: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    return Table(name=name, columns=dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True)))
