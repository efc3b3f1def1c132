"""stage=render: single decisions explained, as figures, numbers and raw maps."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lcrp.attribution.layers import AUTO
from lcrp.data.dataset import Dataset
from lcrp.data.tiles import TiledDataset
from lcrp.decisions.concept_choice import ConceptChoice
from lcrp.decisions.doubts import Loss, losses_in, tell_losses
from lcrp.decisions.explained import explained, layer_of, title_of
from lcrp.decisions.many import annotated_names, pictures_of
from lcrp.decisions.references import ReferenceSource, reference_source
from lcrp.decisions.selection import Selection, class_id_of, sample_indices
from lcrp.decisions.subject import StatisticsSettings, Subject
from lcrp.decisions.thresholds import Thresholds
from lcrp.decisions.tiled import explained_tiles
from lcrp.errors import DataError, StoreError, TargetError, one_of, refuse
from lcrp.figures.explanation import draw_explanation
from lcrp.figures.saving import FORMATS
from lcrp.runs.run import Run
from lcrp.stages.glocal.statistics_file import layers_and_statistics
from lcrp.stages.settled import settled
from lcrp.storage.atomic import write_json
from lcrp.storage.explanation import write_explanation
from lcrp.storage.explanation_json import explanation_json
from lcrp.values.explanation import Explanation
from lcrp.values.names import safe_name, unique_name
from lcrp.values.paths import shown as shown_path
from lcrp.values.sample import Sample

SEARCHED = 64  # samples that are tried where none is named
LONGEST_NAME = 50  # bytes of a class or layer in names of files

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
        distinct_pictures: no picture twice among the references of a concept, where enough others exist.
    """

    selection: Selection
    choice: ConceptChoice
    formats: tuple[str, ...] = ("png",)
    statistics: Path | None = None
    make_statistics: bool = False
    distinct_pictures: bool = True

    def __post_init__(self) -> None:
        refuse(problem for name in self.formats or ("",) for problem in one_of("formats", name, FORMATS))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """Everything that explaining one picture needs; `taken` are the names of files that are written already.

    What was lost of the decisions on their way to the picture is kept in `losses`, to be told at the end.
    """

    subject: Subject
    settings: RenderSettings
    references: ReferenceSource | None
    run: Run
    taken: set[str] = field(default_factory=set)
    losses: list[Loss] = field(default_factory=list)

    @property
    def is_own(self) -> bool:
        """Whether pictures are a person's own, and not the dataset's."""
        return self.settings.selection.image is not None


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
    if (settings.choice.layer or subject.explainer.layer) != AUTO:
        layer_of(subject.explainer, settings.choice.layer)  # refused before statistics are made
    class_id_of(settings.selection.class_name, subject.explainer.class_names)  # likewise
    settings.selection.thresholds.of(subject.explainer.task)  # likewise
    pictures = pictures_of(subject, settings.selection)
    indices = _indices(pictures, settings.selection)
    subject, path = _with_statistics(subject, statistics, settings, run, pictures)
    if path is None:
        settings = replace(settings, choice=replace(settings.choice, n_references=0))
    choice = replace(settings.choice, layer=layer_of(subject.explainer, settings.choice.layer))
    settings = replace(settings, choice=choice)
    references = None if path is None else _ranking(subject, statistics, settings, path)
    return _rendered(_Work(subject=subject, settings=settings, references=references, run=run), pictures, indices)


def _with_statistics(
    subject: Subject, statistics: StatisticsSettings, settings: RenderSettings, run: Run, pictures: Dataset
) -> tuple[Subject, Path | None]:
    """The subject that knows its layer, and the statistics; None where no references are shown.

    Pictures of a person's own are explained without references where nothing was ranked yet.
    """
    is_own = settings.selection.image is not None
    layers = [settings.choice.layer or subject.explainer.layer]
    if settings.choice.n_references:
        given, is_made = settings.statistics, settings.make_statistics
        try:
            subject, _, path = layers_and_statistics(
                subject, statistics, run, layers=layers, given=given, is_made=is_made
            )
        except StoreError as error:  # none, or of other settings
            if not is_own or given is not None or is_made:
                raise
            log.info("figures show no samples of what concepts look like: %s", error.with_mend())
        else:
            return subject, path
    if not is_own:
        return settled(subject, statistics, run, layers), None
    explainer = subject.explainer  # the layer is chosen by what is explained
    read = Thresholds(read=settings.selection.thresholds.read)
    shown = replace(explainer, task=read.of(explainer.task))
    found = settled(replace(subject, explainer=shown), statistics, run, layers, pictures=pictures).explainer
    return replace(subject, explainer=replace(explainer, layer=found.layer, chosen=found.chosen)), None


def _rendered(work: _Work, pictures: Dataset, indices: Sequence[int]) -> list[Path]:
    """Figures of all pictures; where none is named, of the first one in which something is explained."""
    is_search = work.settings.selection.samples is None and not work.is_own
    level = logging.DEBUG if is_search else logging.WARNING
    figures: list[Path] = []
    refused: list[TargetError | DataError] = []
    num_told = 0
    for index in indices:
        try:
            figures += _figures(work, pictures, index)
        except (TargetError, DataError) as error:
            refused.append(error)
        if figures:  # else the error at the end says it
            for told in refused[num_told:]:
                log.log(level, "%s", told)
            num_told = len(refused)
        if figures and is_search:
            break
    tell_losses(work.losses)
    if not figures:
        raise _nothing(refused, pictures.name)
    return figures


def _figures(work: _Work, pictures: Dataset, index: int) -> list[Path]:
    """Explain the chosen decisions of one picture and write their files."""
    by_tiles = _photographs(work.settings.selection, pictures)
    explanations = _explained(work, pictures[index] if by_tiles is None else [pictures[one] for one in by_tiles[index]])
    work.losses.extend(losses_in(explanations))
    return [figure for explanation in explanations for figure in _written(work, explanation)]


def _explained(work: _Work, picture: Sample | list[Sample]) -> list[Explanation]:
    """The chosen decisions of a picture, or of the tiles of one."""
    settings, explainer, title = work.settings, work.subject.explainer, _title(work)
    if isinstance(picture, list):
        return explained_tiles(
            explainer,
            picture,
            settings.selection,
            settings.choice,
            title=title,
            references=work.references,
            start_counting=work.run.progress,
        )
    return explained(
        explainer,
        picture,
        settings.selection,
        settings.choice,
        title=title,
        data_names=None if work.is_own else annotated_names(work.subject.dataset),
        references=work.references,
        start_counting=work.run.progress,
    )


def _photographs(selection: Selection, pictures: Dataset) -> Sequence[range] | None:
    """The tiles of every picture of a person's own, whose decisions are joined; None where there are no tiles."""
    if not isinstance(pictures, TiledDataset) or selection.image is None or selection.samples is not None:
        return None
    return pictures.by_picture


def _written(work: _Work, explanation: Explanation) -> list[Path]:
    folder, stem = work.run.folder, unique_name(file_stem(explanation), work.taken)
    write_json(folder / f"{stem}.json", explanation_json(explanation))
    write_explanation(folder / f"{stem}.h5", explanation)
    figures = [folder / f"{stem}.{name}" for name in work.settings.formats]
    draw_explanation(explanation, figures, num_references=work.settings.choice.n_references)
    for figure in figures:
        log.info("drawn: %s", figure.name)
    return figures


def file_stem(explanation: Explanation) -> str:
    """File name of an explanation without its suffix: '<picture>_<class>_<item>_<layer>', safe on every system."""
    place = str(explanation.explained.target.item)
    names = (explanation.class_name, place, explanation.layer)
    return "_".join((safe_name(explanation.source), *(safe_name(name, LONGEST_NAME) for name in names)))


def _title(work: _Work) -> str:
    """Model, weights, data and composite; folders by their name alone."""
    explainer, data = work.subject.explainer, work.subject.dataset.name
    if work.settings.selection.image is None:
        return title_of(explainer, data)
    folder = Path(work.settings.selection.image)
    is_named = folder.is_dir() and folder != Path.home()  # whose name is a person's
    return title_of(explainer, folder.name if is_named else "", f"references from {data}" if work.references else "")


def _indices(pictures: Dataset, selection: Selection) -> Sequence[int]:
    if selection.samples is not None:
        return sample_indices(pictures, selection.samples)
    photographs = _photographs(selection, pictures)
    number = len(pictures) if photographs is None else len(photographs)
    return range(number if selection.image is not None else min(SEARCHED, number))


def _ranking(subject: Subject, statistics: StatisticsSettings, settings: RenderSettings, path: Path) -> ReferenceSource:
    """The ranking of the layer's concepts, from a statistics file."""
    log.info("references from %s", shown_path(path))
    return reference_source(
        path,
        subject.dataset,
        subject.explainer.class_names,
        settings.choice,
        batch_size=statistics.batch_size,
        distinct_pictures=settings.distinct_pictures,
    )


def _nothing(refused: Sequence[TargetError | DataError], name: str) -> TargetError | DataError:
    """Why nothing was explained: the one reason there is, or how many there are and the first."""
    if len(refused) == 1:
        return refused[0]
    if not refused:
        return DataError(f"{name} has no pictures to explain.")
    first = refused[0]
    return TargetError(f"nothing to explain in {len(refused)} pictures of {name}; the first: {first}", mend=first.mend)
