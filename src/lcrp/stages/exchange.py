"""Concept statistics from zennit-crp's folders, and for them: stage=import, and a format of stage=export.

zennit-crp stores top samples with score and neuron. Classes of the samples over all classes are found again by sample,
score and neuron in the tables of the single classes (-1 where none holds them), items are 0 (the best detection).
Counts, moments and the log of targets are not stored there: counts and sums are 0, the log is empty.

Axes: K class, C concept, N rank.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from lcrp.attribution.layers import layer_names
from lcrp.decisions.auto import layers_of
from lcrp.decisions.subject import StatisticsSettings, Subject, statistics_header, statistics_key
from lcrp.errors import StoreError, nearest
from lcrp.ranking.entries import class_row, matched_classes, ranked_table, stacked, table_entries
from lcrp.runs.run import Run
from lcrp.stages.settled import settled
from lcrp.storage.crp_folder import (
    BY_CLASS,
    OVERALL,
    Convention,
    CrpFolder,
    Score,
    Shape,
)
from lcrp.storage.location import find_statistics, imported_key, statistics_path
from lcrp.storage.new_crp_folder import write_class, write_class_list, write_overall
from lcrp.storage.new_folder import new_folder
from lcrp.storage.statistics import StatisticsFile, write_statistics
from lcrp.values.statistics import (
    Entries,
    IntArray,
    LayerStatistics,
    Moments,
    TargetLog,
    TopTable,
)

log = logging.getLogger(__name__)

_NOTHING = TargetLog(explained=(), skipped_targets=(), skipped_samples=())


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportSettings:
    """What is imported.

    Attributes:
        folder: of zennit-crp, or one that holds exactly one such folder.
        convention: how it names layers and classes.
        overwrite: replace statistics that were imported before.
    """

    folder: Path
    convention: Convention = field(default_factory=Convention)
    overwrite: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CrpExport:
    """What is exported, and where to.

    Attributes:
        folder: is made; must not be there yet.
        convention: how it is to name layers and classes.
        statistics: file with the concept statistics; None finds the one that fits.
    """

    folder: Path
    convention: Convention = field(default_factory=Convention)
    statistics: Path | None = None


def import_statistics(subject: Subject, statistics: StatisticsSettings, settings: ImportSettings, run: Run) -> Path:
    """Make a statistics file from a folder of zennit-crp, where stage=render finds it.

    Args:
        subject: model, dataset (in the order in which the folder counts its samples) and composite.
        statistics: with what settings the folder was made; longer tables are cut to these sizes.
        settings: which folder.
        run: shows the progress, and has the folder of what runs share.

    Returns:
        The statistics file. It says in its configuration where it comes from, and how much it really holds.

    Raises:
        StoreError: the folder is damaged or does not fit, or statistics were imported before.
    """
    limit, length = statistics.num_samples, len(subject.dataset)
    num_samples = length if limit is None else min(limit, length)
    num_classes = len(subject.explainer.class_names)
    subject = settled(subject, statistics, run, statistics.layers)
    folder = CrpFolder(settings.folder, settings.convention, num_samples=num_samples, num_classes=num_classes)
    names = _imported_layers(subject, statistics, folder)
    stated = _stated(subject, statistics, folder, names)
    key = imported_key(statistics_key(subject, stated))
    path = statistics_path(run.output_root, key)
    if path.exists() and not settings.overwrite:
        raise StoreError(f"'{path}' was imported before", mend="stage.overwrite=true replaces it.")
    source = _Source(folder=folder, shapes=_shapes(subject, names), statistics=stated, run=run)
    write_statistics(path, statistics_header(subject, key, num_samples), _NOTHING, _layers(source))
    log.info("imported %d layers from '%s'; written to %s", len(names), folder.path, path)
    if replace(stated, record=statistics.record) != statistics:
        sizes = f"statistics.top_n={stated.top_n} statistics.top_n_per_class={stated.top_n_per_class}"
        log.warning(
            "the folder holds less than was asked for, %d layers and %s: render finds it with these settings, "
            "and with others if no other statistics fit",
            len(names),
            sizes,
        )
    return path


def export_statistics(subject: Subject, statistics: StatisticsSettings, settings: CrpExport, run: Run) -> Path:
    """Write concept statistics as a folder that zennit-crp's FeatureVisualization reads.

    Args:
        subject: model, dataset and composite.
        statistics: how the concept statistics were made.
        settings: where to.
        run: shows the progress, and has the folder of what runs share.

    Returns:
        The folder.

    Raises:
        StoreError: there are no statistics that fit, or the folder is there already.
    """
    path = find_statistics(run.output_root, statistics_key(subject, statistics), given=settings.statistics)
    convention = settings.convention
    with (
        StatisticsFile(path, class_names=subject.explainer.class_names) as file,
        new_folder(settings.folder) as folder,
    ):
        seen: dict[Score, set[int]] = {score: set() for score in BY_CLASS}
        with run.progress(len(file.layer_names), "export", "layers") as progress:
            for name in file.layer_names:
                layer = file.layer(name)
                for score, table, by_class in _tables(layer):
                    write_overall(folder, score, name, table_entries(table), convention)
                    for class_id, entries in _class_entries(by_class, layer.moments.class_ids):
                        write_class(folder, score, (name, class_id), entries, convention)
                        seen[score].add(class_id)
                progress.advance()
        for score, class_ids in seen.items():
            write_class_list(folder, score, class_ids, convention)
    log.info("exported %s to %s", path, settings.folder)
    return settings.folder


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """A folder whose layers are read one at a time."""

    folder: CrpFolder
    shapes: Mapping[str, Shape]
    statistics: StatisticsSettings
    run: Run


def _imported_layers(subject: Subject, statistics: StatisticsSettings, folder: CrpFolder) -> list[str]:
    """Layers that are asked for and in the folder, in the order of the network."""
    known = layer_names(subject.explainer.network)
    for name in folder.layer_names:
        if name not in known:
            raise StoreError(
                f"layer '{name}' in '{folder.path}' is not in {subject.explainer.name}; "
                f"nearest: {nearest(name, known)}. Choose the folder's model, or what is put in front of its layers.",
                mend="Set stage.layer_prefix.",
            )
    wanted = layers_of(subject.explainer, statistics.layers)
    lacking = [name for name in wanted if name not in folder.layer_names]
    if lacking and statistics.layers:
        raise StoreError(
            f"'{folder.path}' has no layer '{lacking[0]}'; nearest: {nearest(lacking[0], folder.layer_names)}.",
            mend="Set statistics.layers.",
        )
    return [name for name in wanted if name in folder.layer_names]


def _stated(
    subject: Subject, statistics: StatisticsSettings, folder: CrpFolder, names: Sequence[str]
) -> StatisticsSettings:
    """The settings with the sizes and layers that are really there."""
    longest, longest_of_class = folder.sizes()
    is_whole = bool(statistics.layers) or names == layer_names(subject.explainer.network)
    return replace(
        statistics,
        layers=statistics.layers if is_whole else tuple(names),
        top_n=min(statistics.top_n, longest),
        top_n_per_class=min(statistics.top_n_per_class, longest_of_class),
        record=False,
    )


def _shapes(subject: Subject, names: Sequence[str]) -> dict[str, Shape]:
    """(C, h, w) of every layer's output, from one forward pass."""
    model = subject.explainer
    picture = torch.zeros(1, 3, model.transform.height, model.transform.width)
    with subject.explainer.attributor(names) as attributor:
        activation = attributor.forward(picture).activation
        return {name: (maps.shape[1], maps.shape[2], maps.shape[3]) for name, maps in activation.items()}


def _layers(source: _Source) -> Iterator[tuple[str, LayerStatistics]]:
    """Name and statistics of every layer; tells at the end how many classes are unknown."""
    num_unknown = num_entries = 0
    with source.run.progress(len(source.shapes), "import", "layers") as progress:
        for name, shape in source.shapes.items():
            layer = _layer(source, name, shape)
            num_unknown += int((layer.relevance.class_id < 0).sum())
            num_entries += layer.relevance.class_id.size
            yield name, layer
            progress.advance()
    if num_unknown:
        log.warning(
            "the class of %d of %d samples is in no table of %s: render leaves them out",
            num_unknown,
            num_entries,
            BY_CLASS["relevance"],
        )


def _layer(source: _Source, name: str, shape: Shape) -> LayerStatistics:
    folder, top_n, top_n_per_class = source.folder, source.statistics.top_n, source.statistics.top_n_per_class
    relevance, activation = (folder.overall(score, name, shape) for score in OVERALL)
    relevant, active = (folder.by_class(score, name, shape) for score in BY_CLASS)
    class_ids = sorted(relevant.keys() | active.keys())
    known = matched_classes(relevance, relevant) if relevance.class_id is None else relevance.class_id
    return LayerStatistics(
        map_size=shape[1:],
        relevance=ranked_table(_best(replace(relevance, class_id=known)), top_n),
        relevance_by_class=_stacked(
            {class_id: _best(entries) for class_id, entries in relevant.items()}, class_ids, shape[0], top_n_per_class
        ),
        activation=ranked_table(activation, top_n),
        activation_by_class=_stacked(active, class_ids, shape[0], top_n_per_class),
        moments=_no_moments(class_ids, shape[0]),
    )


def _best(entries: Entries) -> Entries:
    """Entries of relevance: where no item is told it is 0, the best one."""
    return replace(entries, item=np.zeros(entries.sample.shape, dtype=np.int64)) if entries.item is None else entries


def _stacked(by_class: Mapping[int, Entries], class_ids: Sequence[int], num_concepts: int, size: int) -> TopTable:
    """The table [K, C, N] of all classes; one that is missing has no entries."""
    none = np.zeros((0, num_concepts), dtype=np.int64)
    nothing = Entries(sample=none, score=none.astype(np.float32), peak=none)
    return stacked([ranked_table(by_class.get(class_id, nothing), size) for class_id in class_ids])


def _no_moments(class_ids: Sequence[int], num_concepts: int) -> Moments:
    total = np.zeros((len(class_ids), num_concepts), dtype=np.int64)
    count = np.zeros(len(class_ids), dtype=np.int64)
    ids = np.array(class_ids, dtype=np.int32)
    return Moments(class_ids=ids, count=count, total=total, square_high=total, square_low=total)


def _tables(layer: LayerStatistics) -> tuple[tuple[Score, TopTable, TopTable], ...]:
    return (
        ("relevance", layer.relevance, layer.relevance_by_class),
        ("activation", layer.activation, layer.activation_by_class),
    )


def _class_entries(by_class: TopTable, class_ids: IntArray) -> Iterator[tuple[int, Entries]]:
    """Class id and entries of every class that has some."""
    for row, class_id in enumerate(class_ids.tolist()):
        entries = table_entries(class_row(by_class, row))
        if len(entries.sample):
            yield class_id, entries
