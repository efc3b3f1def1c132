"""stage=glocal: one pass over a dataset that ranks, per concept, where it is most relevant and most active.

Axes: B image of a chunk, T target, C concept, h w feature map.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import get_args

from lcrp.attribution.engine import Attributor
from lcrp.attribution.layers import AUTO
from lcrp.attribution.task import Targets
from lcrp.attribution.trace import Trace
from lcrp.data.loader import OnError, Shard, num_chunks
from lcrp.decisions.auto import is_auto, layers_of, undecided
from lcrp.decisions.rounds import Shapes, chunk_of, shapes_of_largest
from lcrp.decisions.subject import StatisticsSettings, Subject, check_classes, statistics_header, statistics_key
from lcrp.decisions.together import parts_of
from lcrp.errors import ConfigError, InaccessibleError, Interrupted, StoreError, at_least, one_of, refuse
from lcrp.runs.interruption import StopRequest, stop_request
from lcrp.runs.processes import in_order, threads_of_each
from lcrp.runs.run import Run
from lcrp.runs.threads import torch_threads
from lcrp.stages.glocal.checkpoint import Job, beginning, keep, stopped
from lcrp.stages.glocal.estimate import tell_cost
from lcrp.stages.glocal.findings import Explained, Findings
from lcrp.stages.glocal.pieces import Piece, pieces_of
from lcrp.stages.glocal.wording import nothing_explained, summary, tell_ledger
from lcrp.stages.settled import choice, knowing, tell
from lcrp.storage.location import chosen_layer as known_layer
from lcrp.storage.location import shard_path, statistics_path
from lcrp.storage.lock import sole_writer
from lcrp.storage.statistics import read_header
from lcrp.values.paths import shown
from lcrp.values.sample import Batch, Sample
from lcrp.values.target import ExplainedTarget, SkippedSample, SkippedTarget

log = logging.getLogger(__name__)

PACE = 4  # samples of every further process, before the time that is left is told: memory of the first ones is new
_REPLACE = "stage.overwrite=true replaces it."


@dataclass(frozen=True, slots=True, kw_only=True)
class GlocalSettings:
    """How a pass is run; none of it changes the numbers.

    Attributes:
        output: the file; None for the place where it is found again.
        on_error: 'skip' lists samples that cannot be read, 'raise' stops at the first.
        overwrite: compute again what is there.
        shard: the part of the pass that is made, in a file of its own.
        checkpoint_minutes: least time between checkpoints; a pass that was stopped goes on from the last one.
    """

    output: Path | None = None
    on_error: OnError = "skip"
    overwrite: bool = False
    shard: Shard = field(default_factory=Shard)
    checkpoint_minutes: float = 10.0

    def __post_init__(self) -> None:
        late = at_least("checkpoint_minutes", self.checkpoint_minutes, 0, is_count=False)
        refuse([*one_of("on_error", self.on_error, get_args(OnError)), *late])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What was found in a piece.

    Attributes:
        explained: relevance and activations.
        skipped: targets that are not there.
        broken: samples that cannot be read.
    """

    explained: list[Explained] = field(default_factory=list)
    skipped: list[SkippedTarget] = field(default_factory=list)
    broken: Sequence[SkippedSample] = ()


def glocal(subject: Subject, statistics: StatisticsSettings, settings: GlocalSettings, run: Run) -> Path:
    """Make the concept statistics of a model on a dataset.

    Args:
        subject: model, dataset and composite.
        statistics: what is explained and how much is kept.
        settings: where the file lies, and what happens to broken samples.
        run: shows the progress, and has the folder of what runs share.

    Returns:
        The statistics file; one that is there already is kept.

    Raises:
        Interrupted: SIGINT or SIGTERM came; what was found so far is kept, and the same call goes on from there.
        ConfigError: annotated targets are asked for, and the classes of model and dataset differ.
        DataError: no sample can be read, or one cannot and `on_error` is 'raise'.
        TargetError: nothing could be explained.
        StoreError: nothing can be written, or another file lies where the user wants this one.
        InaccessibleError: the file or its checkpoint is there and cannot be opened now; neither is touched.
    """
    job = _job(subject, statistics, settings, run)
    with stop_request() as stop, sole_writer(job.path):
        if job.path.exists() and not settings.overwrite and _is_kept(job, is_named=settings.output is not None):
            anew = " (stage.overwrite=true makes it anew)" if subject.command else ""
            log.info("already there: %s%s", shown(job.path), anew)
            return job.path
        if statistics.targets == "annotated":
            check_classes(subject)
        subject, job = _settled(subject, statistics, run, job)
        found = _passed(subject, statistics, settings, run, job, stop=stop)
        if found.accumulator is None and settings.shard.count == 1:
            job.checkpoint.unlink(missing_ok=True)
            raise nothing_explained(found.log(), job.header.num_samples, subject, statistics)
        found.write(job.path, job.header)
        job.checkpoint.unlink(missing_ok=True)
    log.info("%s", summary(found.log(), job.span[1] - job.span[0], statistics.targets, job.path))
    tell_ledger(job.path)
    if stop.signal is not None:
        raise Interrupted(
            f"stopped by {stop.signal.name} after all samples; they are in '{job.path}'", signal=stop.signal
        )
    return job.path


def _job(subject: Subject, statistics: StatisticsSettings, settings: GlocalSettings, run: Run) -> Job:
    key, limit, size = statistics_key(subject, statistics), statistics.num_samples, statistics.batch_size
    num_samples = len(subject.dataset) if limit is None else min(limit, len(subject.dataset))
    numbers = settings.shard.chunks(num_chunks(num_samples, size))
    span = (min(num_samples, numbers.start * size), min(num_samples, numbers.stop * size))
    path = statistics_path(run.output_root, key) if settings.output is None else settings.output
    if settings.shard.count > 1:
        path = shard_path(path, settings.shard.index, settings.shard.count)
    return Job(path=path, header=statistics_header(subject, key, num_samples, [span]), span=span)


def _settled(subject: Subject, statistics: StatisticsSettings, run: Run, job: Job) -> tuple[Subject, Job]:
    """Subject and job that know what 'auto' stands for, if it is asked for: the same in all parts of a pass.

    Raises:
        LayerError: it stands for nothing, and no other layer is asked for.
    """
    explainer = subject.explainer
    if is_auto(explainer, (None, *statistics.layers)):
        key = statistics_key(subject, statistics)
        with torch_threads(threads_of_each(explainer.device)):
            chosen = known_layer(run.output_root, key, is_exact=True) or choice(subject, statistics, run.progress)
        if chosen is None and AUTO in statistics.layers:
            raise undecided(explainer, subject.dataset.name)
        if chosen is not None:
            tell(chosen)
            subject = knowing(subject, chosen)
    return subject, replace(job, header=replace(job.header, chosen=subject.explainer.chosen))


def _passed(
    subject: Subject,
    statistics: StatisticsSettings,
    settings: GlocalSettings,
    run: Run,
    job: Job,
    *,
    stop: StopRequest,
) -> Findings:
    """One pass over the samples of a job, chunk by chunk, from its checkpoint on if there is one."""
    begun = beginning(job, statistics, subject.explainer.device, run)
    found, first = begun.found, begun.first
    if first == job.span[1]:
        return found
    attributor = subject.explainer.attributor(layers_of(subject.explainer, statistics.layers))
    pause, written = settings.checkpoint_minutes * 60, time.monotonic()
    total, done, is_told = job.span[1] - job.span[0], first - job.span[0], False
    line = run.progress(total, "glocal", "samples", done=done, stop=stop)
    with attributor, torch_threads(begun.threads), line as progress:
        shapes = shapes_of_largest(attributor, subject.dataset.transform)

        def explained(piece: Piece) -> _Found:
            return _explained(subject, statistics, attributor, piece.batch, found, shapes)

        pieces = pieces_of(subject, statistics, settings.on_error, job, attributor, first)
        for piece, own in in_order(explained, pieces, begun.processes, subject.explainer.told):
            found.skip(own.skipped, own.broken)
            for one in own.explained:
                found.add(one)
            first = piece.indices.stop
            progress.advance(len(piece.indices))
            if not piece.is_last:
                continue
            is_at_pace = first - begun.first >= PACE * (begun.processes - 1)
            if is_at_pace and not is_told and first < job.span[1]:
                is_told = tell_cost(found, job, statistics, seen=(begun.first, first), seconds=progress.seconds)
            if stop or (first < job.span[1] and time.monotonic() - written >= pause):
                is_kept = keep(found, job, first)
                written = time.monotonic()
            if stop.signal is not None:
                raise stopped(stop.signal, job, first, is_kept=is_kept)
    return found


def _explained(
    subject: Subject,
    statistics: StatisticsSettings,
    attributor: Attributor,
    batch: Batch,
    found: Findings,
    shapes: Shapes | None,
) -> _Found:
    """Explain all targets of some samples; what was found before is not altered."""
    own = _Found(broken=batch.broken)
    for part in parts_of(batch, subject.explainer.device, takes_one=attributor.takes_one):
        chunk = chunk_of(attributor, part.images.to(subject.explainer.device, non_blocking=True), shapes)
        queues, skipped = _queues(subject, statistics, chunk.trace, part)
        own.skipped.extend(skipped)
        own.explained.append(found.explained(attributor, chunk, queues, [sample.index for sample in part.samples]))
    return own


def _queues(
    subject: Subject, statistics: StatisticsSettings, trace: Trace, batch: Batch
) -> tuple[list[list[ExplainedTarget]], list[SkippedTarget]]:
    """Targets of every row [B] of a chunk, and those that are not there."""
    predictions = subject.explainer.task.predictions(trace.output)
    queues: list[list[ExplainedTarget]] = [[] for _ in predictions]
    skipped: list[SkippedTarget] = []
    for sample, row in zip(batch.samples, batch.rows, strict=True):
        if statistics.targets == "predicted":
            targets: Targets = subject.explainer.task.predicted_targets(predictions[row], sample)
        else:
            _check_annotated(sample, subject)
            targets = subject.explainer.task.annotated_targets(predictions[row], sample)
        queues[row] = targets[0]
        skipped += targets[1]
    return queues, skipped


def _is_kept(job: Job, *, is_named: bool) -> bool:
    """Whether the file is the one that is asked for; another one is replaced, but not where the user named it."""
    try:
        header = read_header(job.path)
    except InaccessibleError:
        raise
    except StoreError as error:
        if is_named:
            raise StoreError(str(error), mend=_REPLACE) from error
        log.warning("%s; it is replaced", error)
        return False
    fits = header.config_hash == job.header.config_hash
    if is_named and not fits:
        raise StoreError(
            f"'{job.path}' holds statistics of another configuration; name another file",
            mend=f"{_REPLACE} Or set stage.output.",
        )
    return fits and header.coverage == job.header.coverage


def _check_annotated(sample: Sample, subject: Subject) -> None:
    if sample.annotation is None:
        raise ConfigError(
            f"{subject.dataset.name} has no annotations ({sample.key}): explain what is predicted",
            mend="Set statistics.targets=predicted.",
        )
