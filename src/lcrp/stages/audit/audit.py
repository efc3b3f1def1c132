"""stage=audit: does a network need the context? Annotated objects stay, what surrounds them becomes something else."""

import logging
from pathlib import Path

from lcrp.decisions.subject import StatisticsSettings, Subject, check_classes
from lcrp.runs.run import Run
from lcrp.stages.audit.carrying import Carrying
from lcrp.stages.audit.concepts import carriers_table, concepts_table, surroundings_table
from lcrp.stages.audit.pictured import write_figures, write_pictures
from lcrp.stages.audit.settings import AuditSettings
from lcrp.stages.audit.views import shown_objects
from lcrp.stages.audit.wording import sentences
from lcrp.stages.audit.work import AuditWork
from lcrp.stages.settled import settled
from lcrp.storage.evidence import write_evidence

log = logging.getLogger(__name__)

EVIDENCE_FILE = "audit.h5"


def audit(subject: Subject, statistics: StatisticsSettings, settings: AuditSettings, run: Run) -> list[Path]:
    """Say of every class whether decisions for it need their context, and which concepts carry that.

    Args:
        subject: network and annotated pictures; concepts are those of the network's layer.
        statistics: only `batch_size` and `num_samples` count here.
        settings: what is looked at, and how closely.
        run: where the files go.

    Returns:
        audit.h5, its tables as CSV, and the figures; nothing where only a part of the decisions was to be looked at.

    Raises:
        Interrupted: SIGINT or SIGTERM came; the same call goes on from there.
        ConfigError: the pictures have no annotation, or name no class of the network.
        DataError: no picture can be read.
        TargetError: the network finds none of the objects.
    """
    check_classes(subject)
    subject = settled(subject, statistics, run, [None] if settings.n_concepts else [])
    work = AuditWork(subject, statistics, settings, run)
    rows = work.rows()
    if rows is None:
        log.info(
            "part %d of %d is done; when all are, the same command without shard writes the tables",
            *(settings.shard.index + 1, settings.shard.count),
        )
        return []
    found, tables = work.tables(rows)
    concepts = work.concepts(found, tables["verdicts"])
    names = subject.explainer.class_names
    layer = subject.explainer.layer
    extra = (
        concepts_table(concepts, names, layer),
        carriers_table(concepts, names, layer),
        surroundings_table(concepts, names),
    )
    tables |= {table.name: table for table in extra}
    for line in sentences(tables):
        log.info("%s", line)
    title = f"audit · {subject.explainer.name} · {subject.dataset.name}"
    identity = {**subject.identity, "audit": settings.identity()}
    shown = shown_objects(found, rows, tables["verdicts"], work.made, work.names)
    carriers = Carrying(work, rows, tables).views(concepts, statistics, run)
    figures = write_figures(run.folder, tables["verdicts"], shown, carriers, title)
    pictures, table = write_pictures(run.folder, shown, work)
    evidence = [*tables.values(), table]
    written = write_evidence(run.folder / EVIDENCE_FILE, evidence, title=title, settings=identity)
    return [*written, *figures, *pictures]
