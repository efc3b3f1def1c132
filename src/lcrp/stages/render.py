"""stage=render: single decisions explained, as figures, numbers and raw maps."""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lcrp.attribution.engine import Attributor
from lcrp.attribution.layers import layer_names
from lcrp.data.dataset import Dataset
from lcrp.data.folder import FolderDataset
from lcrp.decisions.explained import ConceptChoice, explained_decisions
from lcrp.decisions.references import ReferenceSource, reference_samples
from lcrp.decisions.selection import Selection, class_id_of, sample_indices
from lcrp.decisions.subject import StatisticsSettings, Subject
from lcrp.errors import ConfigError, DataError, LayerError, TargetError, nearest
from lcrp.figures.explanation import draw_explanation
from lcrp.figures.saving import FORMATS
from lcrp.runs.run import Run
from lcrp.stages.glocal.statistics_file import statistics_file
from lcrp.storage.atomic import write_json
from lcrp.storage.explanation import write_explanation
from lcrp.storage.explanation_json import explanation_json
from lcrp.storage.reference_cache import ReferenceCache
from lcrp.storage.statistics import StatisticsFile
from lcrp.values.explanation import Explanation
from lcrp.values.sample import Sample

SEARCHED = 64  # samples that are tried where none is named
CACHE_FOLDER = "references"
LONGEST_KEY = 80  # characters of a sample's key in file names

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderSettings:
    """What is explained, and how it is shown.

    Attributes:
        selection: which pictures and which of their decisions.
        choice: which concepts, and how many references of each.
        formats: of the figures: 'png', 'svg', 'pdf'.
        statistics: file with the concept statistics; None finds the one that fits.
        make_statistics: where none fits, make them first, as stage=glocal does.
    """

    selection: Selection
    choice: ConceptChoice
    formats: tuple[str, ...] = ("png",)
    statistics: Path | None = None
    make_statistics: bool = False

    def __post_init__(self) -> None:
        for name in self.formats or ("",):
            if name not in FORMATS:
                raise ConfigError(f"figures cannot be written as '{name}'; formats: {nearest(name, FORMATS)}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """Everything that explaining one picture needs."""

    subject: Subject
    settings: RenderSettings
    attributor: Attributor
    class_id: int | None
    source: ReferenceSource | None
    run: Run


def render(subject: Subject, statistics: StatisticsSettings, settings: RenderSettings, run: Run) -> list[Path]:
    """Explain decisions and write, for each, figures, a JSON of the numbers and an HDF5 of the raw maps.

    Args:
        subject: the network, its dataset (whose samples are the references) and the composite.
        statistics: how the concept statistics were made.
        settings: what is explained, and how it is shown.
        run: where the files go.

    Returns:
        The figures.

    Raises:
        LcrpError: nothing was explained; the message says what is there instead, or what is missing.
    """
    layer = _layer(subject, settings.choice.layer)
    settings = replace(settings, choice=replace(settings.choice, layer=layer))
    class_id = class_id_of(settings.selection.class_name, subject.explainer.task.class_names)
    pictures = _pictures(subject, settings.selection)
    indices = _indices(pictures, settings.selection)
    source = _source(subject, statistics, settings, run) if settings.choice.n_references else None
    attributor = subject.explainer.attributor([layer])
    work = _Work(subject=subject, settings=settings, attributor=attributor, class_id=class_id, source=source, run=run)
    is_search = settings.selection.samples is None and settings.selection.image is None
    with attributor:
        return _rendered(work, pictures, indices, is_search=is_search)


def _rendered(work: _Work, pictures: Dataset, indices: Sequence[int], *, is_search: bool) -> list[Path]:
    """Figures of all pictures; a search ends with the first picture in which something is explained."""
    figures: list[Path] = []
    refused: list[TargetError | DataError] = []
    for index in indices:
        try:
            figures += _figures(work, pictures[index])
        except (TargetError, DataError) as error:
            refused.append(error)
            log.log(logging.DEBUG if is_search else logging.WARNING, "%s", error)
            continue
        if is_search:
            break
    if not figures:
        raise _nothing(refused, pictures.name)
    return figures


def _figures(work: _Work, sample: Sample) -> list[Path]:
    """Explain the chosen decisions of one picture and write their files."""
    settings = work.settings
    explanations = explained_decisions(work.attributor, sample, settings.selection, work.class_id, settings.choice)
    shown = {part.concept for explanation in explanations for part in explanation.concepts}
    references = reference_samples(work.attributor, work.source, sorted(shown)) if work.source else {}
    figures = []
    for explanation in explanations:
        concepts = tuple(replace(part, references=references.get(part.concept, ())) for part in explanation.concepts)
        complete = replace(explanation, title=_title(work), concepts=concepts)
        figures += _written(complete, settings, work.run.folder)
    return figures


def _written(explanation: Explanation, settings: RenderSettings, folder: Path) -> list[Path]:
    stem = file_stem(explanation)
    write_json(folder / f"{stem}.json", explanation_json(explanation))
    write_explanation(folder / f"{stem}.h5", explanation)
    figures = [folder / f"{stem}.{name}" for name in settings.formats]
    draw_explanation(explanation, figures, num_references=settings.choice.n_references)
    for figure in figures:
        log.info("drawn: %s", figure.name)
    return figures


def file_stem(explanation: Explanation) -> str:
    """File name of an explanation without its suffix: '<key>_<class>_<item>_<layer>', safe on every system."""
    target = explanation.explained.target
    parts = (explanation.explained.key[-LONGEST_KEY:], explanation.class_name, str(target.item), explanation.layer)
    return "_".join(re.sub(r"[^\w.-]+", "-", part).strip("-.") for part in parts)


def _title(work: _Work) -> str:
    subject = work.subject
    dataset = subject.dataset.name
    if work.settings.selection.image is not None:
        dataset = f"references from {dataset}"
    return " · ".join((subject.explainer.name, dataset, subject.explainer.composite.name))


def _layer(subject: Subject, name: str | None) -> str:
    layer = subject.explainer.layer if name is None else name
    names = layer_names(subject.explainer.network)
    if layer not in names:
        raise LayerError(
            f"layer '{layer}' is not in {subject.explainer.name}; nearest: {nearest(layer, names)}. Set stage.layer."
        )
    return layer


def _pictures(subject: Subject, selection: Selection) -> Dataset:
    """The pictures to explain: the user's own, or the dataset."""
    if selection.image is None:
        return subject.dataset
    return FolderDataset(selection.image, subject.explainer.transform, subject.explainer.class_names)


def _indices(pictures: Dataset, selection: Selection) -> Sequence[int]:
    if selection.samples is not None:
        return sample_indices(pictures, selection.samples)
    return range(len(pictures) if selection.image is not None else min(SEARCHED, len(pictures)))


def _source(subject: Subject, statistics: StatisticsSettings, settings: RenderSettings, run: Run) -> ReferenceSource:
    """The ranking of the layer's concepts, from the statistics file that fits."""
    choice = settings.choice
    assert choice.layer is not None
    path = statistics_file(subject, statistics, run, given=settings.statistics, is_made=settings.make_statistics)
    with StatisticsFile(path, class_names=subject.explainer.class_names) as file:
        ranking, config_hash = file.layer(choice.layer), file.header.config_hash
    log.info("references from %s", path)
    return ReferenceSource(
        dataset=subject.dataset,
        table=ranking.activation if choice.mode == "activation" else ranking.relevance,
        layer=choice.layer,
        mode=choice.mode,
        num_references=choice.n_references,
        batch_size=statistics.batch_size,
        cache=ReferenceCache(
            folder=path.parent / CACHE_FOLDER, config_hash=config_hash, layer=choice.layer, mode=choice.mode
        ),
    )


def _nothing(refused: Sequence[TargetError | DataError], name: str) -> TargetError | DataError:
    """Why nothing was explained: the one reason there is, or how many there are and the first."""
    if len(refused) == 1:
        return refused[0]
    if not refused:
        return DataError(f"{name} has no pictures to explain.")
    return TargetError(f"nothing to explain in {len(refused)} pictures of {name}; the first: {refused[0]}")
