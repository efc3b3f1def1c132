"""stage=evaluate: which method ranks concepts rightly, on this model and this dataset?"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy.typing as npt

from lcrp.decisions.auto import layers_of
from lcrp.decisions.subject import StatisticsSettings, Subject, check_classes
from lcrp.errors import ConfigError, TargetError
from lcrp.figures.curves import draw_curves
from lcrp.runs.kept_units import kept_units
from lcrp.runs.run import Run
from lcrp.stages.evaluate.checks import checks_table, ledger_table, sanity_checks
from lcrp.stages.evaluate.comparison import Comparison, Curves
from lcrp.stages.evaluate.flipping import Flipping
from lcrp.stages.evaluate.settings import EvaluateSettings
from lcrp.stages.settled import settled
from lcrp.storage.evidence import write_evidence
from lcrp.storage.units import Units
from lcrp.values.evidence import Table

log = logging.getLogger(__name__)

EVIDENCE_FILE = "evaluate.h5"
FIGURE_FILE = "curves.png"
UNIT_VERSION = 1  # raised when kept results hold something else
LAYERS_SEED = 0  # of the order of pictures that tell which layers lead to decisions: all seeds look at the same layers


def evaluate(subject: Subject, statistics: StatisticsSettings, settings: EvaluateSettings, run: Run) -> list[Path]:
    """Compare the orders in which methods rank the concepts of layers.

    Args:
        subject: model and dataset; the composite is of no account, since each method has its own.
        statistics: which targets and layers; `batch_size` and `num_samples` count too.
        settings: what is compared, and how closely.
        run: where files go.

    Returns:
        The figure, and the numbers as HDF5 and CSV.

    Raises:
        Interrupted: SIGINT or SIGTERM came; what was found so far is kept, and the same call goes on from there.
        TargetError: the model decides nothing in these pictures.
        ConfigError: a chunk of one picture has no other to take activations from, or annotated targets are asked for,
            and the classes of model and dataset differ.
    """
    if statistics.batch_size < 2 and settings.needs_others:
        raise ConfigError("ablations 'mean' and 'resample' need other pictures", mend="Write statistics.batch_size=2.")
    if statistics.targets == "annotated":
        check_classes(subject)
    subject = settled(subject, statistics, run, [*statistics.layers, *([None] if settings.checks else [])])
    layers = compared_layers(subject, statistics, settings)
    flipping = Flipping(subject, statistics, settings, layers)
    checks = _checked(flipping) if settings.checks else []
    parts = [part for part in _parts(flipping, run) if len(part["sample"])]
    if not any(part[f"plays_{number}"].any() for part in parts for number in range(len(layers))):
        raise _nothing(subject)
    num_found = sum(len(part["sample"]) for part in parts)
    if num_found < settings.num_targets:
        log.info("%d decisions instead of %d: these pictures hold no more", num_found, settings.num_targets)
    comparison = Comparison(Curves.of(parts, layers, settings), subject.explainer.task.class_names)
    title = f"{subject.explainer.name} on {subject.dataset.name}"
    figure = run.folder / FIGURE_FILE
    draw_curves(figure, comparison.panels(), comparison.outcomes(), title=title)
    name = subject.explainer.name
    tables = [*comparison.tables(), comparison.verdict(name), *checks]
    files = write_evidence(run.folder / EVIDENCE_FILE, tables, title=title, settings=flipping.identity())
    for line in comparison.report(name):
        log.info("%s", line)
    return [figure, *files]


def _nothing(subject: Subject) -> TargetError:
    return TargetError(
        f"{subject.explainer.name} decides nothing in {subject.dataset.name} that these layers lead to: nothing to "
        "evaluate; choose other layers, or other targets",
        mend="Set statistics.layers or statistics.targets.",
    )


def _checked(flipping: Flipping) -> list[Table]:
    """Sanity checks and the ledger of every layer, on the first chunk that has targets."""
    for number in range(flipping.num_chunks):
        images, found = flipping.chunk(number)
        if found:
            checks = sanity_checks(flipping.subject.explainer, images, found)
            return [checks_table(checks), ledger_table(flipping.subject.explainer, images, found)]
    return []


def compared_layers(subject: Subject, statistics: StatisticsSettings, settings: EvaluateSettings) -> list[str]:
    """All layers that are asked for, or so many of those that lead to decisions, which no seed alters."""
    layers = layers_of(subject.explainer, statistics.layers)
    if settings.num_layers is None:
        return layers
    leading = Flipping(subject, statistics, replace(settings, seed=LAYERS_SEED), layers).leading()
    return spread(leading, settings.num_layers)


def spread(names: Sequence[str], count: int) -> list[str]:
    """`count` of the names, evenly spread, neither the first nor the last among them; all if there are no more."""
    if count >= len(names):
        return list(names)
    return [names[(place + 1) * len(names) // (count + 1)] for place in range(count)]


def _parts(flipping: Flipping, run: Run) -> Iterator[Mapping[str, npt.NDArray[Any]]]:
    """Results chunk by chunk, until there are targets enough."""
    subject, num_targets = flipping.subject, flipping.settings.num_targets
    name = f"evaluate_{subject.explainer.name}_{subject.dataset_name or subject.dataset.name}"
    units = Units(run.output_root, name, flipping.identity(), version=UNIT_VERSION)
    num_found = 0

    def wanted() -> Iterator[str]:
        for number in range(flipping.num_chunks):
            if num_found >= num_targets:
                return
            yield f"{number:06d}"

    with run.progress(num_targets, "evaluate", "targets") as progress:
        for part in kept_units(units, wanted(), flipping.unit):
            part = {name: values[: num_targets - num_found] for name, values in part.items()}
            num_found += len(part["sample"])
            progress.advance(len(part["sample"]))
            yield part
