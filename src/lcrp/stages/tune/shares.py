"""One of several processes that share the looks of stage=tune by what lies on the disk."""

import logging
from collections.abc import Iterator, Sequence

from lcrp.data.loader import Shard
from lcrp.evidence.halving import Halving, looks_by_rung
from lcrp.runs.progress import Progress
from lcrp.runs.run import Run
from lcrp.stages.tune.candidates import Candidate
from lcrp.stages.tune.comparison import DEFAULT
from lcrp.stages.tune.looks import Asked, Looks
from lcrp.stages.tune.measures import measures
from lcrp.stages.tune.planning import Plan
from lcrp.stages.tune.work import asked_of, closely, compared

log = logging.getLogger(__name__)


def look_at_share(
    looks: Looks, pool: Sequence[Candidate], plan: Plan, decisions: Sequence[int], shard: Shard, run: Run
) -> None:
    """Every look of a shard that is known to be needed, and what is left in one line.

    The search goes on for as long as what other shards look at is on the disk. Where something is missing, a decision
    of the confirmation comes next, with all methods that do not depend on who wins, and then the search again.

    Args:
        looks: at methods.
        pool: of candidates.
        plan: of all shards together.
        decisions: numbers of those of the confirmation.
        shard: its share: a range of the looks of every rung, and of the decisions of the confirmation.
        run: shows the progress.
    """
    search = Halving(plan.rungs, DEFAULT)
    own = [decisions[number] for number in shard.chunks(len(decisions))]
    usual = compared([pool[DEFAULT]])
    num_own = sum(len(shard.chunks(count)) for count in looks_by_rung(plan.rungs)) + len(own) * (len(usual) + 1)
    with run.progress(num_own, f"part {shard.index + 1} of {shard.count}", "looks") as progress:
        searching = _searching(looks, pool, search, shard, progress)

        def look_at(asked: Sequence[Asked]) -> None:
            for _ in looks.found(asked):
                progress.advance()

        for decision in own:
            next(searching, None)
            look_at(closely(usual, decision))
        num_missing = next(searching, 0)
        winner = search.order[0]
        if not num_missing and winner == DEFAULT:
            progress.extend(-len(own))
        elif not num_missing:
            winning = compared([pool[winner]])[:1]
            look_at([one for decision in own for one in closely(winning, decision)])
    _tell_what_is_next(shard, num_missing)


def _searching(
    looks: Looks, pool: Sequence[Candidate], search: Halving, shard: Shard, progress: Progress
) -> Iterator[int]:
    """Search with the looks of a shard; how many of others are missing whenever it cannot go on."""
    for pairs in search.asked_by_rung():
        own = [pairs[number] for number in shard.chunks(len(pairs))]
        asked = [asked_of(pool[candidate], decision) for candidate, decision in own]
        for pair, (_, arrays) in zip(own, looks.found(asked), strict=True):
            search.tell(*pair, measures(arrays))
            progress.advance()
        others = [pair for pair in pairs if pair not in own]
        while others := [pair for pair in others if not _is_told(looks, pool, search, pair)]:
            yield len(others)


def _is_told(looks: Looks, pool: Sequence[Candidate], search: Halving, pair: tuple[int, int]) -> bool:
    """Tell the search what another shard found, if that is there."""
    found = looks.known(asked_of(pool[pair[0]], pair[1]))
    if found is not None:
        search.tell(*pair, measures(found))
    return found is not None


def _tell_what_is_next(shard: Shard, num_missing: int) -> None:
    part = f"part {shard.index + 1} of {shard.count} is done"
    if num_missing:
        log.info(
            "%s as far as the search goes, which waits for %d looks of other parts; once these are there the same "
            "command goes on, and without shard it looks at all that is missing and writes tuned.yaml",
            *(part, num_missing),
        )
    else:
        log.info("%s; when all are, the same command without shard writes tuned.yaml", part)
