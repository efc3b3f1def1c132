"""stage=context: how much do classes, concepts and single decisions lean on what surrounds the object?

Context scores (Dreyer et al. 2023, section 4.3) say where the relevance of concepts lies; replaced backgrounds say
whether that is true; and concepts that are set to zero say what they are for.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from lcrp.attribution.engine import Attributor
from lcrp.decisions.selection import class_id_of
from lcrp.decisions.subject import StatisticsSettings, Subject
from lcrp.errors import TargetError, at_least, nearest, refuse
from lcrp.evidence.context import agreement, pair_means
from lcrp.runs.kept_units import kept_units
from lcrp.runs.run import Run
from lcrp.stages.context.backgrounds import Sensitivities, drawn_units, sensitivity_terms
from lcrp.stages.context.case_study import CaseStudy, Outcome, flipped_groups, outcomes
from lcrp.stages.context.pairs import RankedConcepts, ranked
from lcrp.stages.context.report import (
    Findings,
    LayerFindings,
    class_summaries,
    distinct_detections,
    studied_class,
    tables,
)
from lcrp.stages.context.scores import ContextScores, context_terms
from lcrp.stages.context.views import write_figures
from lcrp.stages.context.wording import log_findings, log_no_case
from lcrp.stages.glocal.statistics_file import layers_and_statistics
from lcrp.storage.evidence import write_evidence
from lcrp.storage.units import Units
from lcrp.values.paths import shown
from lcrp.values.target import Target

log = logging.getLogger(__name__)

Array = npt.NDArray[Any]
Parts = list[dict[str, Array]]

EVIDENCE_FILE = "context.h5"
UNIT_VERSION = 3  # raised when kept results hold something else


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextSettings:
    """What is looked at, and how closely.

    Attributes:
        layers: glob patterns of layer names; empty takes the model's own choice.
        n_concepts: concepts per class, the most relevant ones.
        n_references: reference samples per concept and class.
        num_samples_per_class: decisions per class whose background is replaced; 0 leaves out what needs that.
        min_pixels: of their objects.
        class_name: class of the case study; None takes the one that leans on its context most.
        context_class: class whose objects are the case study's context; None takes the whole background.
        num_flipped: concepts that the case study sets to zero.
        seed: of the draw of decisions, and of noise.
        statistics: file with the concept statistics; None finds the one that fits.
        make_statistics: where none fits, make them first, as stage=glocal does.
    """

    layers: tuple[str, ...]
    n_concepts: int
    n_references: int
    num_samples_per_class: int
    min_pixels: int
    class_name: str | None
    context_class: str | None
    num_flipped: int
    seed: int
    statistics: Path | None = None
    make_statistics: bool = False

    def __post_init__(self) -> None:
        least = {"n_concepts": 1, "n_references": 1, "min_pixels": 1, "num_flipped": 1}
        least |= {"num_samples_per_class": 0, "seed": 0}
        refuse(problem for name, value in least.items() for problem in at_least(name, getattr(self, name), value))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """Everything that the parts of the stage share."""

    subject: Subject
    settings: ContextSettings
    ranked: RankedConcepts
    run: Run

    @property
    def layers(self) -> list[str]:
        """Names of the layers."""
        return [pairs.layer for pairs in self.ranked.layers]

    @property
    def title(self) -> str:
        """Model, dataset and composite in words."""
        subject = self.subject
        return f"{subject.explainer.name} · {subject.dataset.name} · {subject.explainer.composite.title}"

    def units(self, name: str, own: Mapping[str, object]) -> Units:
        """Where a part's results are kept; `own` is what determines them beside subject, statistics and layers."""
        model, dataset = self.subject.explainer.name, self.subject.dataset_name or self.subject.dataset.name
        identity = {**self.subject.identity, "statistics": self.ranked.config_hash, "layers": self.layers, **own}
        return Units(self.run.output_root, f"{name}_{model}_{dataset}", identity, version=UNIT_VERSION)


def context(subject: Subject, statistics: StatisticsSettings, settings: ContextSettings, run: Run) -> list[Path]:
    """Measure how much classes, concepts and decisions lean on their context.

    Args:
        subject: model, dataset and composite.
        statistics: how the concept statistics were made.
        settings: what is looked at, and how closely.
        run: where the files go.

    Returns:
        context.h5, its tables as CSV, and the figures.

    Raises:
        Interrupted: SIGINT or SIGTERM came; the same call goes on from there.
        LcrpError: there are no statistics, layers or classes as asked for, or nothing is found again.
    """
    model, task = subject.explainer, subject.explainer.task
    wanted = class_id_of(settings.class_name, task.class_names)
    context_id = class_id_of(settings.context_class, subject.dataset.class_names, setting="stage.context_class")
    given, is_made = settings.statistics, settings.make_statistics
    subject, layers, path = layers_and_statistics(
        subject, statistics, run, layers=settings.layers or (model.layer,), given=given, is_made=is_made
    )
    counts = (settings.n_concepts, settings.n_references)
    work = _Work(subject=subject, settings=settings, run=run, ranked=ranked(path, layers, task, counts))
    log.info("concepts and references from %s", shown(path))
    _check(work, wanted)
    with subject.explainer.attributor(layers) as attributor:
        looking = ContextScores(attributor, subject.dataset, work.ranked.layers)
        scored, changed = _scored(work, looking), _changed(work, attributor)
        findings = _findings(work, scored, changed)
        figures = write_figures(findings, looking, run.folder, work.title)
    class_id = studied_class(findings, changed) if wanted is None else wanted
    cases = _case_study(work, findings, class_id, context_id)
    return [*_written(work, findings, cases, class_id), *figures]


def _written(work: _Work, findings: Findings, cases: Sequence[Outcome], class_id: int) -> list[Path]:
    """Tell the most important, and write all of it."""
    subject = work.subject
    keys = [subject.dataset.key(sample) for sample in findings.detections["sample"].tolist()]
    log_findings(findings, cases, class_id, keys)
    settings = {"statistics": work.ranked.config_hash, "layers": work.layers, **_plain(work.settings)}
    return write_evidence(
        work.run.folder / EVIDENCE_FILE,
        tables(findings, cases, class_id, keys),
        title=f"context · {work.title}",
        settings={**subject.identity, **settings},
    )


def _check(work: _Work, wanted: int | None) -> None:
    """Refuse early what would find nothing."""
    names = work.subject.explainer.task.class_names
    if not any(len(pairs.concept) for pairs in work.ranked.layers):
        listed = ", ".join(f"'{layer}'" for layer in work.layers)
        raise TargetError(f"no concept of {listed} speaks for any class: choose layers that lead to the decisions")
    if wanted is not None and wanted not in work.ranked.targets:
        known = nearest(names[wanted], [names[class_id] for class_id in work.ranked.targets])
        raise TargetError(
            f"the statistics hold no decision for '{names[wanted]}'; nearest: {known}.", mend="Set stage.class_name."
        )


def _scored(work: _Work, looking: ContextScores) -> Parts:
    """Terms of the context scores, from all reference samples."""
    settings, names = work.settings, looking.units
    units = work.units("context_scores", {"n_concepts": settings.n_concepts, "n_references": settings.n_references})
    with work.run.progress(len(names), "context scores", "groups of reference samples") as progress:
        parts = list(progress.counted(kept_units(units, names, looking.unit)))
    num_found, total = sum(len(part["sample"]) for part in parts), looking.num_targets
    if num_found < total:
        log.warning("%d of %d reference samples are left out: %s", total - num_found, total, looking.lost(parts))
    if not num_found:
        raise TargetError(f"none of the {total} reference samples is found again: is this the dataset that was ranked?")
    return parts


def _changed(work: _Work, attributor: Attributor) -> Parts:
    """Relevance of the concepts of decisions, and its change by replaced backgrounds."""
    settings = work.settings
    looking = Sensitivities(
        attributor, work.subject.dataset, work.layers, seed=settings.seed, min_pixels=settings.min_pixels
    )
    units = work.units("context_backgrounds", {"seed": settings.seed, "min_pixels": settings.min_pixels})
    limit, num_found, drawn = settings.num_samples_per_class, Counter[int](), dict[str, list[Target]]()

    def names() -> Iterator[str]:
        for class_id, targets in sorted(work.ranked.targets.items()):
            for name, some in drawn_units(targets, class_id, settings.seed).items():
                if num_found[class_id] >= limit:
                    break
                drawn[name] = some
                yield name

    parts: Parts = []
    total = sum(min(limit, len(targets)) for targets in work.ranked.targets.values())
    with work.run.progress(total, "replaced backgrounds", "decisions") as progress:
        for part in kept_units(units, names(), lambda name: looking.unit(drawn[name])):
            for class_id in part["class_id"][:1].tolist():  # all of a unit are of one class
                parts.append({name: values[: limit - num_found[class_id]] for name, values in part.items()})
                num_found[class_id] += len(parts[-1]["sample"])
                progress.advance(len(parts[-1]["sample"]))
    return parts


def _findings(work: _Work, scored: Parts, changed: Parts) -> Findings:
    """Everything but the case study."""
    layers = []
    for number, pairs in enumerate(work.ranked.layers):
        size = len(pairs.concept)
        scores, changes = context_terms(scored, number), sensitivity_terms(changed, number, pairs)
        layers.append(
            LayerFindings(
                pairs=pairs,
                scores=scores,
                changes=changes,
                context=pair_means(scores, size),
                sensitivity=pair_means(changes, size),
                agreement=agreement(scores, changes, size),
            )
        )
    detections = distinct_detections([*scored, *changed])
    drawn = distinct_detections(changed) if changed else detections
    names = work.subject.explainer.task.class_names
    classes = class_summaries(detections, drawn, layers, names)
    return Findings(class_names=names, layers=tuple(layers), detections=detections, classes=classes)


def _case_study(work: _Work, findings: Findings, class_id: int, context_id: int | None) -> list[Outcome]:
    """What concepts of one class do, those with the highest context scores and those with the lowest."""
    settings, subject = work.settings, work.subject
    flipped = [
        group
        for layer in findings.layers
        for group in flipped_groups(layer.pairs, class_id, layer.context, settings.num_flipped)
    ]
    limit = settings.num_samples_per_class
    if not flipped or not limit:
        return []
    drawn = drawn_units(work.ranked.targets[class_id], class_id, settings.seed)
    num_with = Counter[bool]()  # pictures without and with the context
    own = {"seed": settings.seed, "min_pixels": settings.min_pixels, "class": class_id, "context": context_id}
    units = work.units("context_case", own | {"flipped": [[one.layer, list(one.concepts)] for one in flipped]})

    def names() -> Iterator[str]:
        for name in drawn:
            if min(num_with[True], num_with[False]) >= limit:
                break
            yield name

    parts: Parts = []
    with (
        subject.explainer.reader() as attributor,
        work.run.progress(2 * limit, f"case study of {findings.class_names[class_id]}", "pictures") as progress,
    ):
        looking = CaseStudy(
            attributor,
            subject.dataset,
            flipped,
            context_id=context_id,
            seed=settings.seed,
            min_pixels=settings.min_pixels,
        )
        for part in kept_units(units, names(), lambda name: looking.unit(drawn[name])):
            parts.append(part)
            num_with.update(part["is_with"].tolist())
            progress.advance(len(part["sample"]))
    if not num_with.total():
        log_no_case(findings.class_names[class_id], len(work.ranked.targets[class_id]), settings.min_pixels)
        return []
    return outcomes(parts, flipped, limit)


def _plain(settings: ContextSettings) -> dict[str, object]:
    """The settings that determine numbers, as plain values."""
    paths = ("statistics", "make_statistics")
    return {name: value for name, value in asdict(settings).items() if name not in paths and name != "layers"}
