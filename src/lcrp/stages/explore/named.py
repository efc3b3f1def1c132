"""Names that the explorer proposes for concepts, where pictures are annotated."""

import logging

from lcrp.decisions.sightings import sightings
from lcrp.decisions.subject import Subject
from lcrp.evidence.naming import proposals
from lcrp.page.content import Proposed
from lcrp.runs.run import Run

log = logging.getLogger(__name__)

PER_DECISION = 4  # as many times more are looked at, of each only where the evidence lies


def proposed_names(
    subject: Subject, layer: str, num_decisions: int, num_samples: int | None, run: Run
) -> Proposed | None:
    """Names for a layer's concepts; None where nothing is annotated.

    Args:
        subject: the network and the dataset.
        layer: its name.
        num_decisions: that the page shows; names are proposed from four times as many of the dataset.
        num_samples: of the dataset, the first so many; None for all.
        run: shows the progress.
    """
    if not num_decisions:
        return None
    wanted = PER_DECISION * num_decisions
    found = list(sightings(subject, layer, run.progress, num_decisions=wanted, num_samples=num_samples))
    if not found:
        return None
    names = proposals(found)
    log.info("names that fit are proposed for %d of %d concepts", sum(one.fits for one in names), len(names))
    return Proposed(proposals=names, num_decisions=len(found))
