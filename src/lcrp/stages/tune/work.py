"""The search of stage=tune and its confirmation, look by look."""

import logging
import math
import time
from collections.abc import Iterator, Sequence

import numpy as np

from lcrp.attribution.methods import Method
from lcrp.composites.spec import GRADIENT
from lcrp.evidence.confirming import FEWEST
from lcrp.evidence.halving import Halving, num_looks
from lcrp.runs.run import Run
from lcrp.stages.tune.candidates import Candidate
from lcrp.stages.tune.comparison import BOXES, COMPARED, DEFAULT, MASKS, Confirmation
from lcrp.stages.tune.looks import Asked, Found, Looks
from lcrp.stages.tune.measures import measures
from lcrp.stages.tune.planning import CONFIRMATION, SEARCH, Plan

log = logging.getLogger(__name__)


def searched(looks: Looks, pool: Sequence[Candidate], plan: Plan, tried: Sequence[Found], run: Run) -> Halving:
    """Successive halving of the candidates, of which the first were tried on the first decision."""
    search = Halving(plan.rungs, DEFAULT)
    for number, arrays in enumerate(tried):
        search.tell(number, 0, measures(arrays))
    pairs: list[tuple[int, int]] = []

    def asked() -> Iterator[Asked]:
        for candidate, decision in search.asked():
            pairs[:] = [(candidate, decision)]
            yield asked_of(pool[candidate], decision)

    with run.progress(num_looks(plan.rungs), "search", "looks", done=len(tried)) as progress:
        for _, arrays in looks.found(asked()):
            search.tell(*pairs[0], measures(arrays))
            progress.advance()
    return search


def confirmed(
    looks: Looks, pool: Sequence[Candidate], winner: int, decisions: Sequence[int], run: Run, *, end: float = math.inf
) -> Confirmation:
    """The winner, the default and what both are compared with, on decisions that chose none of them.

    Args:
        looks: at methods.
        pool: of candidates.
        winner: number of the one that the search has first.
        decisions: their numbers; all, or as many as can be looked at in time, but the fewest that tell.
        run: shows the progress.
        end: of the time, by the monotonic clock.
    """
    chosen = list(dict.fromkeys((winner, DEFAULT)))
    methods = compared([pool[number] for number in chosen])
    taken: list[int] = []

    def asked() -> Iterator[Asked]:
        for one in decisions:
            if len(taken) >= FEWEST and time.monotonic() >= end:
                log.info("the time is over: %d decisions instead of %d", len(taken), len(decisions))
                return
            taken.append(one)
            yield from closely(methods, one)

    with run.progress(len(decisions) * len(methods), "confirmation", "looks") as progress:
        found = []
        for _, arrays in looks.found(asked()):
            found.append(measures(arrays))
            progress.advance()
    scores = np.array(found).reshape(len(taken), len(methods), -1).transpose(1, 0, 2)
    names = [method.name for method in methods]
    unit = BOXES if looks.has_boxes else MASKS
    return Confirmation(names=names, default=len(chosen) - 1, scores=scores, images=np.array(taken), unit=unit)


def asked_of(candidate: Candidate, decision: int) -> Asked:
    """A look of the search."""
    return Asked(decision=decision, method=_method(candidate), steps=SEARCH)


def compared(candidates: Sequence[Candidate]) -> list[Method]:
    """These and what they are compared with, which one of them may be."""
    found: dict[str, Method] = {}
    for method in (*map(_method, candidates), *map(_beside, COMPARED)):
        found.setdefault(method.name, method)
    return list(found.values())


def closely(methods: Sequence[Method], decision: int) -> list[Asked]:
    """Looks of the confirmation."""
    return [Asked(decision=decision, method=method, steps=CONFIRMATION) for method in methods]


def _method(candidate: Candidate) -> Method:
    return Method(name=candidate.label, reading="relevance", composite=candidate.composite)


def _beside(name: str) -> Method:
    reading = "relevance" if name == "gradient" else name
    return Method(name=name, reading=reading, composite=GRADIENT)  # type: ignore[arg-type]
