"""What model.layer=auto stands for in a run: as earlier statistics say, else as the first decisions do."""

import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from lcrp.data.dataset import Dataset
from lcrp.decisions.auto import chosen_layer, is_auto, read_samples, undecided, with_chosen
from lcrp.decisions.counting import StartCounting
from lcrp.decisions.subject import StatisticsSettings, Subject, statistics_key
from lcrp.errors import StoreError
from lcrp.runs.run import Run
from lcrp.storage.location import chosen_layer as known_layer
from lcrp.storage.statistics import read_header
from lcrp.values.chosen_layer import ChosenLayer

log = logging.getLogger(__name__)


def settled(
    subject: Subject,
    statistics: StatisticsSettings,
    run: Run,
    layers: Iterable[str | None],
    *,
    path: Path | None = None,
    pictures: Dataset | None = None,
) -> Subject:
    """The same, knowing what 'auto' stands for, if it is among the layers.

    Args:
        subject: model and dataset, by whose first decisions a layer is chosen.
        statistics: how its statistics are made.
        run: has the folder of what runs share, and shows the progress.
        layers: that are asked for; None is the explainer's own.
        path: statistics that are used, which may have chosen before.
        pictures: by which a layer is chosen instead, all that is predicted in them.

    Raises:
        LayerError: nothing is decided, or no layer has places and carries relevance.
    """
    if not is_auto(subject.explainer, layers):
        return subject
    chosen = _known(subject, statistics, run, path)
    if chosen is None:
        chosen = (
            choice(subject, statistics, run.progress)
            if pictures is None
            else chosen_layer(subject.explainer, read_samples(pictures, None), start_counting=run.progress)
        )
    if chosen is None:
        raise undecided(subject.explainer, (pictures or subject.dataset).name)
    tell(chosen)
    return knowing(subject, chosen)


def choice(
    subject: Subject, statistics: StatisticsSettings, start_counting: StartCounting | None = None
) -> ChosenLayer | None:
    """What 'auto' stands for by the first decisions about the whole dataset; None if there are none.

    Args:
        subject: model and dataset.
        statistics: how its statistics are made.
        start_counting: opens a count of what is looked at, as `Run.progress` does.
    """
    explainer, dataset = subject.explainer, subject.dataset
    is_foreign = dataset.class_names != explainer.class_names  # so that annotations name other classes
    targets = "predicted" if is_foreign else statistics.targets
    return chosen_layer(explainer, read_samples(dataset, statistics.num_samples), targets, start_counting)


def knowing(subject: Subject, chosen: ChosenLayer) -> Subject:
    """The subject whose 'auto' stands for this layer."""
    return replace(subject, explainer=with_chosen(subject.explainer, chosen))


def tell(chosen: ChosenLayer) -> None:
    """Say which layer it is, and how much of the decisions it carries."""
    log.info("layer auto: %s", chosen)


def _known(subject: Subject, statistics: StatisticsSettings, run: Run, path: Path | None) -> ChosenLayer | None:
    """What earlier statistics say."""
    if path is not None:
        try:
            return read_header(path).chosen
        except StoreError:  # who uses the file tells
            return None
    return known_layer(run.output_root, statistics_key(subject, statistics), is_exact=False)
