"""stage=missed: which annotated objects a network misses, and why; and what it finds that is not there."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lcrp.attribution.boxes import BoxDecisions
from lcrp.attribution.engine import Attributor
from lcrp.attribution.task import Task
from lcrp.decisions.explained import layer_of
from lcrp.decisions.many import annotated_names
from lcrp.decisions.missed_decisions import explained_miss
from lcrp.decisions.misses import Filter
from lcrp.decisions.selection import class_id_of
from lcrp.decisions.spans import batches, spans
from lcrp.decisions.subject import StatisticsSettings, Subject, check_classes
from lcrp.decisions.together import parts_of
from lcrp.errors import ConfigError, DataError, refuse
from lcrp.figures.explanation import draw_explanation
from lcrp.runs.kept_units import kept_units
from lcrp.runs.run import Run
from lcrp.stages.missed.boxes import BoxErrors
from lcrp.stages.missed.explained import chosen_misses, explained_misses, lacking_of
from lcrp.stages.missed.pixels import PixelErrors
from lcrp.stages.missed.settings import MissedSettings
from lcrp.stages.missed.tables import joined, misses_of
from lcrp.stages.missed.wording import sentences
from lcrp.storage.evidence import write_evidence
from lcrp.storage.units import Arrays, Units
from lcrp.values.missed import Lacking
from lcrp.values.names import safe_name, unique_name

log = logging.getLogger(__name__)

Parts = Sequence[Mapping[str, npt.NDArray[Any]]]

EVIDENCE_FILE = "missed.h5"
UNIT_VERSION = 2  # raised when kept results hold something else
NOT_ANNOTATED, BROKEN = "pictures.not_annotated", "pictures.broken"  # counts of a unit


def missed(subject: Subject, statistics: StatisticsSettings, settings: MissedSettings, run: Run) -> list[Path]:
    """Say of every annotated object that is not found why, and of every false alarm what is wrong with it.

    Args:
        subject: network and annotated pictures.
        statistics: only `batch_size` and `num_samples` count here.
        settings: which detections count, and what is a candidate.
        run: where the files go.

    Returns:
        missed.h5 and its tables as CSV; nothing where only a part of the pictures was to be looked at.

    Raises:
        Interrupted: SIGINT or SIGTERM came; the same call goes on from there.
        ConfigError: a setting says nothing to the network, or the pictures have no annotation.
        DataError: no picture can be read.
    """
    check_classes(subject)
    subject = replace(subject, explainer=_with_thresholds(subject, settings))
    if settings.layer is not None:
        layer_of(subject.explainer, settings.layer)  # refused before anything is looked at
    looking = _looking(subject, settings)
    every = spans(subject, statistics)
    units = _units(subject, statistics, settings, run)
    parts = _looked_at(looking, subject, statistics, [every[i] for i in settings.shard.chunks(len(every))], units, run)
    is_part, is_explaining = settings.shard.count > 1, isinstance(looking, BoxErrors) and settings.explained != 0
    if is_part and is_explaining:  # which misses are explained is known when all pictures were looked at
        parts = [part for span in every if (part := units.read(_unit_name(span))) is not None]
    if is_part and not (is_explaining and len(parts) == len(every)):
        _tell_what_is_next(settings, is_explaining=is_explaining)
        return []
    _tell_left_out(parts, subject)
    tables = looking.tables(parts, subject.dataset.key)
    lackings: tuple[Lacking, ...] = ()
    if is_explaining:
        misses = misses_of(tables["misses"], subject.explainer.class_names)
        chosen = chosen_misses(misses, settings.explained)
        own = [chosen[number] for number in settings.shard.chunks(len(chosen))]
        kept = _units(subject, statistics, settings, run, of="lacking", layer=settings.layer)
        tables |= explained_misses(subject, own, joined(parts), kept, run, layer=settings.layer)
        lackings = lacking_of(tables, misses)
    if is_part:
        _tell_what_is_next(settings, is_explaining=False)
        return []
    for line in sentences(tables, background_of(subject.explainer.task)):
        log.info("%s", line)
    title = f"missed · {subject.explainer.name} · {subject.dataset.name}"
    identity = {**subject.identity, "missed": settings.identity()}
    files = write_evidence(run.folder / EVIDENCE_FILE, list(tables.values()), title=title, settings=identity)
    return [*files, *_drawn(subject, lackings, settings.formats, run)]


def _looked_at(
    looking: BoxErrors | PixelErrors,
    subject: Subject,
    statistics: StatisticsSettings,
    own: Sequence[tuple[int, int]],
    units: Units,
    run: Run,
) -> list[Mapping[str, npt.NDArray[Any]]]:
    """Everything about some spans of pictures."""
    num_pictures = sum(end - start for start, end in own)
    with subject.explainer.reader() as attributor, run.progress(num_pictures, "missed", "pictures") as progress:
        names = {_unit_name(span): span for span in own}
        made: set[str] = set()

        def work(name: str) -> Arrays:
            made.add(name)
            return _unit(looking, attributor, subject, statistics, names[name], progress.advance)

        parts: list[Mapping[str, npt.NDArray[Any]]] = []
        for (name, (start, end)), part in zip(names.items(), kept_units(units, names, work), strict=True):
            progress.advance(0 if name in made else end - start)
            parts.append(part)
    return parts


def _unit_name(span: tuple[int, int]) -> str:
    return f"pictures_{span[0]:07d}_{span[1]:07d}"


def _tell_what_is_next(settings: MissedSettings, *, is_explaining: bool) -> None:
    """Say what is left to do when a part of the pictures, or of the misses, is done."""
    again = "once more explains its part of the misses, and " if is_explaining else ""
    log.info(
        "part %d of %d is done; when all are, the same command %swithout shard writes the tables",
        *(settings.shard.index + 1, settings.shard.count, again),
    )


def _drawn(subject: Subject, lackings: Sequence[Lacking], formats: Sequence[str], run: Run) -> list[Path]:
    """Figures of the misses that were explained."""
    figures: list[Path] = []
    taken: set[str] = set()
    if not lackings:
        return figures
    with run.progress(len(lackings), "drawing what is missed", "figures") as progress:
        for one in lackings:
            progress.advance(1)
            try:
                found = explained_miss(subject.explainer, subject.dataset, one)
            except DataError as error:  # its picture was readable a moment ago
                log.warning("no figure of a miss: %s", error)
                continue
            stem = f"missed_{safe_name(found.source)}_{safe_name(found.class_name)}_{one.miss.number}"
            stem = unique_name(stem, taken)  # names of two pictures may differ in what no file name holds
            own = [run.folder / f"{stem}.{name}" for name in formats]
            draw_explanation(found, own)
            figures += own
    return figures


def background_of(task: Task) -> list[str]:
    """Names of the classes that are no objects."""
    return [name for number, name in enumerate(task.class_names) if task.is_background(number)]


def _with_thresholds(subject: Subject, settings: MissedSettings) -> Any:
    """The network with the thresholds of the settings."""
    explainer = subject.explainer
    refuse(["read says nothing to stage=missed; leave it out"] if settings.thresholds.read else [])
    return replace(explainer, task=settings.thresholds.of(explainer.task))


def _looking(subject: Subject, settings: MissedSettings) -> BoxErrors | PixelErrors:
    """What looks at pictures."""
    explainer, names = subject.explainer, annotated_names(subject.dataset)
    if isinstance(explainer.task, BoxDecisions):
        chosen = settings.class_names
        class_ids = None if chosen is None else tuple(_class_ids(chosen, explainer.class_names))
        wanted = Filter(class_ids=class_ids, min_area=settings.min_area)
        return BoxErrors(explainer.class_names, names, wanted, settings.least_score)
    if settings.class_names is not None:
        raise ConfigError("class_names says nothing to a network that decides about pixels; leave it out")
    return PixelErrors(explainer.task, names, settings.min_area)


def _class_ids(chosen: Sequence[str], class_names: Sequence[str]) -> Iterator[int]:
    for name in chosen:
        found = class_id_of(name, class_names, "stage.class_names")
        assert found is not None
        yield found


def _units(
    subject: Subject,
    statistics: StatisticsSettings,
    settings: MissedSettings,
    run: Run,
    of: str = "missed",
    **own: object,
) -> Units:
    """Where results are kept; `own` is what else determines those of explained misses."""
    model, dataset = subject.explainer.name, subject.dataset_name or subject.dataset.name
    identity = {**subject.identity, "missed": settings.identity(), "batch_size": statistics.batch_size}
    if own:
        identity |= {**own, "num_samples": statistics.num_samples}
    return Units(run.output_root, f"{of}_{model}_{dataset}", identity, version=UNIT_VERSION)


def _unit(
    looking: BoxErrors | PixelErrors,
    attributor: Attributor,
    subject: Subject,
    statistics: StatisticsSettings,
    span: tuple[int, int],
    advance: Callable[[int], None],
) -> Arrays:
    """Everything about a few pictures."""
    counts = {NOT_ANNOTATED: 0, BROKEN: 0}
    found: list[Any] = []
    for batch in batches(subject, statistics, span):
        counts[BROKEN] += len(batch.broken)
        for broken in batch.broken:
            log.warning("%s is left out: %s", broken.key, broken.reason)
        for part in parts_of(batch, subject.explainer.device, takes_one=attributor.takes_one):
            for sample, one in looking.look(attributor, part):
                if one is None:
                    counts[NOT_ANNOTATED] += 1
                    log.debug("%s has no annotation", sample.key)
                else:
                    found.append(one)
        advance(len(batch.samples) + len(batch.broken))
    return {**looking.packed(found), **{name: np.array([count]) for name, count in counts.items()}}


def _tell_left_out(parts: Parts, subject: Subject) -> None:
    """Say which pictures told nothing.

    Raises:
        DataError: no picture can be read.
        ConfigError: none is annotated.
    """
    num_broken, num_bare = (sum(int(part[name][0]) for part in parts) for name in (BROKEN, NOT_ANNOTATED))
    num_judged = sum(len(part["pictures.sample"]) for part in parts)
    name = subject.dataset.name
    if not num_judged and not num_bare:
        raise DataError(f"none of the {num_broken} pictures of {name} can be read")
    if not num_judged:
        what = "boxes" if isinstance(subject.explainer.task, BoxDecisions) else "masks of classes"
        raise ConfigError(
            f"none of the {num_bare} pictures of {name} is annotated with {what}: what is missed is told beside an "
            "annotation"
        )
    if num_broken or num_bare:
        reasons = ((num_broken, "cannot be read"), (num_bare, "are not annotated"))
        told = ", ".join(f"{count} {why}" for count, why in reasons if count)
        log.warning("of %d pictures %s: they are left out", num_judged + num_broken + num_bare, told)
