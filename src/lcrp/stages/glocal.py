"""stage=glocal: one pass over a dataset that ranks, per concept, where it is most relevant and most active.

Axes: B image of a chunk, T target, C concept, h w feature map.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from lcrp.attribution.engine import Attributor, Trace
from lcrp.attribution.layers import layer_names
from lcrp.attribution.task import Targets
from lcrp.data.loader import OnError, chunks
from lcrp.errors import ConfigError, DataError, LcrpError, StoreError, TargetError
from lcrp.ranking.accumulator import StatisticsAccumulator
from lcrp.stages.rounds import Chunk, Queue, chunk_of, explained_chunk, parts_of
from lcrp.stages.run import Run
from lcrp.stages.subject import StatisticsSettings, Subject, statistics_header, statistics_key
from lcrp.storage.location import StatisticsKey, content_hash, statistics_path
from lcrp.storage.statistics import read_header, write_statistics
from lcrp.values.sample import Batch, Sample
from lcrp.values.statistics import TargetLog
from lcrp.values.target import ExplainedTarget, SkippedSample, SkippedTarget

log = logging.getLogger(__name__)

_LISTED_REASONS = 3
_LISTED_CLASSES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class GlocalSettings:
    """How a pass is run; none of it changes the numbers.

    Attributes:
        output: the file; None for the place where it is found again.
        on_error: 'skip' lists samples that cannot be read, 'raise' stops at the first.
        overwrite: compute again what is there.
    """

    output: Path | None = None
    on_error: OnError = "skip"
    overwrite: bool = False


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
        ConfigError: annotated targets are asked for, and the classes of model and dataset differ.
        DataError: no sample can be read, or one cannot and `on_error` is 'raise'.
        TargetError: nothing could be explained.
        StoreError: nothing can be written, or another file lies where the user wants this one.
    """
    key = statistics_key(subject, statistics)
    path = statistics_path(run.output_root, key) if settings.output is None else settings.output
    if path.exists() and not settings.overwrite and _is_kept(path, key, is_named=settings.output is not None):
        log.info("already there: %s (stage.overwrite=true makes it anew)", path)
        return path
    if statistics.targets == "annotated":
        _check_classes(subject)
    found = _passed(subject, statistics, settings, run)
    if found.accumulator is None:
        raise _nothing_explained(found, subject, statistics)
    target_log = found.target_log()
    header = statistics_header(subject, key, found.num_samples)
    write_statistics(path, header, target_log, found.accumulator.results(), records=found.recorded())
    log.info("%s", _summary(target_log, found.num_samples, path))
    return path


class _Findings:
    """What a pass has found so far.

    Attributes:
        num_samples: samples of the pass, read or not.
        accumulator: the concepts' statistics; None as long as nothing was explained.
    """

    def __init__(self, statistics: StatisticsSettings, num_samples: int) -> None:
        self.num_samples = num_samples
        self.accumulator: StatisticsAccumulator | None = None
        self._statistics = statistics
        self._explained: list[ExplainedTarget] = []
        self._skipped_targets: list[SkippedTarget] = []
        self._skipped_samples: list[SkippedSample] = []
        self._records: dict[str, list[npt.NDArray[np.float16]]] = {}

    def skip(self, targets: Sequence[SkippedTarget], samples: Sequence[SkippedSample]) -> None:
        """Note targets that are not there and samples that cannot be read."""
        self._skipped_targets += targets
        self._skipped_samples += samples

    def add(self, attributor: Attributor, chunk: Chunk, queues: Sequence[Queue]) -> None:
        """Explain the targets of every image of a chunk."""
        if not any(queues):
            return
        if self.accumulator is None:
            self.accumulator = StatisticsAccumulator(
                chunk.activations.shapes,
                top_n=self._statistics.top_n,
                top_n_per_class=self._statistics.top_n_per_class,
                device=chunk.images.device,
            )
        scores = explained_chunk(attributor, chunk, queues, self.accumulator.least_relevance)
        targets = [one.target for one in scores.explained]
        self.accumulator.update(targets, scores.relevance, chunk.activations.scores, scores.images)
        self._explained += scores.explained
        if self._statistics.record:
            for name, layer in scores.relevance.items():
                self._records.setdefault(name, []).append(layer.score.to(torch.float16).cpu().numpy())

    def target_log(self) -> TargetLog:
        """Everything that was explained or skipped."""
        return TargetLog(
            explained=tuple(self._explained),
            skipped_targets=tuple(self._skipped_targets),
            skipped_samples=tuple(self._skipped_samples),
        )

    def recorded(self) -> dict[str, npt.NDArray[np.float16]]:
        """Relevance [T, C] of every explained target per layer, if it is to be recorded."""
        return {name: np.concatenate(parts) for name, parts in self._records.items()}


def _passed(subject: Subject, statistics: StatisticsSettings, settings: GlocalSettings, run: Run) -> _Findings:
    """One pass over the dataset, chunk by chunk."""
    model, dataset = subject.model, subject.dataset
    limit = statistics.num_samples
    num_samples = len(dataset) if limit is None else min(limit, len(dataset))
    found = _Findings(statistics, num_samples)
    batches = chunks(
        dataset,
        batch_size=statistics.batch_size,
        num_workers=subject.num_workers,
        on_error=settings.on_error,
        indices=range(num_samples),
        pinned=subject.device.type == "cuda",
    )
    layers = layer_names(model.network, statistics.layers)
    attributor = Attributor(
        model.network, subject.composite, subject.task, layers=layers, mean=model.mean, std=model.std
    )
    with attributor, run.progress(num_samples, "glocal", "samples") as progress:
        for batch in batches:
            for part in parts_of(batch, subject.device):
                chunk = chunk_of(attributor, part.images.to(subject.device, non_blocking=True))
                queues, skipped = _queues(subject, statistics, chunk.trace, part)
                found.skip(skipped, ())
                found.add(attributor, chunk, queues)
            found.skip((), batch.broken)
            progress.advance(len(batch.samples) + len(batch.broken))
    return found


def _queues(
    subject: Subject, statistics: StatisticsSettings, trace: Trace, batch: Batch
) -> tuple[list[list[ExplainedTarget]], list[SkippedTarget]]:
    """Targets of every row [B] of a chunk, and those that are not there."""
    predictions = subject.task.predictions(trace.output)
    queues: list[list[ExplainedTarget]] = [[] for _ in predictions]
    skipped: list[SkippedTarget] = []
    for sample, row in zip(batch.samples, batch.rows, strict=True):
        if statistics.targets == "predicted":
            targets: Targets = subject.task.predicted_targets(predictions[row], sample)
        else:
            _check_annotated(sample, subject)
            targets = subject.task.annotated_targets(predictions[row], sample)
        queues[row] = targets[0]
        skipped += targets[1]
    return queues, skipped


def _is_kept(path: Path, key: StatisticsKey, *, is_named: bool) -> bool:
    """Whether the file is the one that is asked for; another one is replaced, but not where the user named it."""
    try:
        header = read_header(path)
    except StoreError as error:
        if is_named:
            raise StoreError(f"{error}; stage.overwrite=true replaces it") from error
        log.warning("%s; it is replaced", error)
        return False
    fits = header.complete and header.config_hash == content_hash(key.config())
    if is_named and not fits:
        raise StoreError(
            f"'{path}' holds statistics of another configuration; stage.overwrite=true replaces it, or name another "
            "file (stage.output)"
        )
    return fits


def _check_classes(subject: Subject) -> None:
    model, dataset = subject.model, subject.dataset
    if model.class_names == dataset.class_names:
        return
    raise ConfigError(
        f"{dataset.name} is annotated with {_listed_classes(dataset.class_names)}, but {model.name} knows "
        f"{_listed_classes(model.class_names)}. Set statistics.targets=predicted, or choose a checkpoint that fits"
    )


def _listed_classes(names: Sequence[str]) -> str:
    rest = ", ..." if len(names) > _LISTED_CLASSES else ""
    return f"{len(names)} classes ({', '.join(names[:_LISTED_CLASSES])}{rest})"


def _check_annotated(sample: Sample, subject: Subject) -> None:
    if sample.annotation is None:
        raise ConfigError(f"{subject.dataset.name} has no annotations ({sample.key}); set statistics.targets=predicted")


def _nothing_explained(found: _Findings, subject: Subject, statistics: StatisticsSettings) -> LcrpError:
    target_log = found.target_log()
    unreadable, skipped = target_log.skipped_samples, target_log.skipped_targets
    name, total = subject.dataset.name, found.num_samples
    if total and len(unreadable) == total:
        return DataError(f"none of the {total} samples of {name} can be read; the first: {unreadable[0].reason}")
    reasons = [f"{count} x {reason}" for reason, count in Counter(one.reason for one in skipped).most_common()]
    if unreadable:
        reasons.append(f"{len(unreadable)} x unreadable ({unreadable[0].reason})")
    listed = "; ".join(reasons[:_LISTED_REASONS]) or f"nothing is {statistics.targets}"
    return TargetError(
        f"{subject.model.name} explains nothing of the {total} samples of {name}: {listed}. Do the checkpoint and the "
        "input suit the dataset?"
    )


def _summary(target_log: TargetLog, num_samples: int, path: Path) -> str:
    """For example ``glocal: 812 targets of 500 samples explained, 31 x not detected; written to ...``."""
    reasons = Counter(one.reason for one in target_log.skipped_targets).most_common()
    parts = [f"{len(target_log.explained)} targets of {num_samples} samples explained"]
    parts += [f"skipped {count} x {reason}" for reason, count in reasons]
    if target_log.skipped_samples:
        parts.append(f"{len(target_log.skipped_samples)} samples could not be read")
    return f"glocal: {', '.join(parts)}; written to {path}"
