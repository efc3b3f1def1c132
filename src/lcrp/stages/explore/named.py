"""Names that the explorer proposes for concepts, where pictures are annotated."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from lcrp.decisions.sightings import sightings
from lcrp.decisions.subject import StatisticsSettings, Subject
from lcrp.evidence.naming import Proposal, proposals
from lcrp.page.content import Proposed
from lcrp.runs.run import Run
from lcrp.values.statistics import Moments

log = logging.getLogger(__name__)

PER_DECISION = 4  # as many times more are looked at, of each only where the evidence lies


def proposed_names(
    subject: Subject,
    layer: str,
    moments: Moments,
    *,
    num_decisions: int,
    statistics: StatisticsSettings,
    run: Run,
) -> Proposed | None:
    """Names for a layer's concepts; None where nothing is annotated.

    Args:
        subject: the network and the dataset.
        layer: its name.
        moments: of its concepts, over the whole pass.
        num_decisions: that the page shows; names are proposed from four times as many of the dataset.
        statistics: how the concept statistics were made.
        run: shows the progress.
    """
    if not num_decisions:
        return None
    wanted = PER_DECISION * num_decisions
    found = list(
        sightings(
            *(subject, layer, run.progress),
            num_decisions=wanted,
            batch_size=statistics.batch_size,
            num_samples=statistics.num_samples,
        )
    )
    if not found:
        return None
    names = agreeing(proposals(found), moments, subject.explainer.class_names, _backgrounds(subject))
    log.info("names that fit are proposed for %d of %d concepts", sum(one.fits for one in names), len(names))
    return Proposed(proposals=names, num_decisions=len(found))


def agreeing(
    names: Sequence[Proposal], moments: Moments, class_names: Sequence[str], backgrounds: Sequence[int] = ()
) -> tuple[Proposal, ...]:
    """The proposals, of which no class fits but that for which the concept counts most over the whole pass.

    Args:
        names: of all concepts.
        moments: of their shares per class.
        class_names: of the network.
        backgrounds: classes that are no objects.
    """
    rows = [row for row, one in enumerate(moments.class_ids.tolist()) if moments.count[row] and one not in backgrounds]
    if not rows:
        return tuple(names)
    most = [class_names[moments.class_ids[rows[row]]] for row in moments.mean()[rows].argmax(axis=0).tolist()]
    return tuple(
        replace(one, fits=one.fits and (one.name not in class_names or one.name == own))
        for one, own in zip(names, most, strict=True)
    )


def _backgrounds(subject: Subject) -> list[int]:
    task = subject.explainer.task
    return [one for one in range(len(task.class_names)) if task.is_background(one)]
