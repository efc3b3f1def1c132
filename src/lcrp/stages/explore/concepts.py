"""What the explorer shows of layers and their concepts, from a statistics file.

Axes: K class, C concept, D decision, N rank.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lcrp.decisions.concept_choice import ConceptChoice
from lcrp.decisions.references import reference_source
from lcrp.decisions.subject import StatisticsSettings, Subject
from lcrp.page.content import ContextContent, LayerContent, Likeness, Spread, Target
from lcrp.runs.run import Run
from lcrp.stages.explore.pictured import Pictured, Wanted, pictured, ranked
from lcrp.stages.explore.settings import ExploreSettings
from lcrp.storage.statistics import StatisticsFile
from lcrp.values.geometry import Box
from lcrp.values.statistics import LayerStatistics, TargetLog

Array = npt.NDArray[Any]

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
ALIKE = 6  # concepts that are named as most alike
LEAST_DECISIONS = 8  # that concepts are correlated over


class Gatherer:
    """Gathers what is known of layers.

    Args:
        subject: the network and the dataset.
        statistics: how the concept statistics were made.
        settings: what is shown.
        path: the statistics file.
        run: shows the progress.
    """

    def __init__(
        self, subject: Subject, statistics: StatisticsSettings, settings: ExploreSettings, path: Path, run: Run
    ) -> None:
        self._subject, self._statistics, self._settings = subject, statistics, settings
        self._path, self._run = path, run

    def layer(
        self, name: str, context: ContextContent | None, shares: npt.NDArray[np.float32] | None = None
    ) -> LayerContent:
        """All that is known of one layer.

        Args:
            name: of the layer.
            context: what stage=context measured of it.
            shares: [D, C] of the explained decisions, over which concepts are correlated where nothing was recorded.
        """
        with StatisticsFile(self._path, class_names=self._subject.explainer.class_names) as file:
            found = file.layer(name)
            record = file.record(name).astype(np.float32) if name in file.recorded else None
            log = file.targets()
        boxes = {(one.target.sample, one.target.class_id, one.target.item): one.box for one in log.explained if one.box}
        pictures = self._pictured(name, found, boxes)
        return LayerContent(
            name=name,
            moments=found.moments,
            ranking=found.relevance,
            references=pictures.references,
            strips=pictures.strips,
            of_class=pictures.of_class,
            further_strips=pictures.further_strips,
            context=context,
            spread=None if record is None else _spread(record, log, found),
            likeness=likeness(record if record is not None else shares),
        )

    def _pictured(self, layer: str, found: LayerStatistics, boxes: Mapping[Target, Box]) -> Pictured:
        settings, dataset, names = self._settings, self._subject.dataset, self._subject.explainer.class_names
        wanted = Wanted(
            of_class=leading(found, settings.n_concepts_per_class),
            num_references=settings.n_references,
            num_of_class=settings.n_references_per_class,
        )
        if not settings.pictures:
            return ranked(found, wanted, dataset.key)
        choice = ConceptChoice(mode="relevance", layer=layer, n_concepts=1, n_references=settings.n_references)
        source = reference_source(self._path, dataset, names, choice, batch_size=self._statistics.batch_size)
        total = wanted.count(found, wanted.concepts)
        with (
            self._run.progress(total, f"reference samples of {layer}", "pictures") as progress,
            self._subject.explainer.attributor([layer]) as attributor,
        ):
            return pictured(attributor, replace(source, boxes=boxes), found, wanted, progress)


def leading(found: LayerStatistics, count: int) -> dict[int, list[int]]:
    """By row of a class, the concepts that are most relevant for it, `count` of each class, in ascending order."""
    mean = np.nan_to_num(found.moments.mean())  # [K, C]
    order = np.argsort(-mean, axis=1, kind="stable")[:, :count]
    chosen = {
        row: sorted(int(concept) for concept in line if mean[row, concept] > 0.0) for row, line in enumerate(order)
    }
    return chosen if any(chosen.values()) else {0: list(range(min(count, len(found.relevance.filled))))}


def likeness(shares: npt.NDArray[np.float32] | None) -> Likeness | None:
    """Which concepts come and go together, by Pearson's r of the columns of [D, C]; None for too few decisions."""
    if shares is None or len(shares) < LEAST_DECISIONS:
        return None
    centred = shares.astype(np.float64) - shares.mean(axis=0, dtype=np.float64)
    norm = np.sqrt((centred**2).sum(axis=0))
    unit = np.divide(centred, norm, out=np.zeros_like(centred), where=norm > 0.0)
    correlation = unit.T @ unit
    np.fill_diagonal(correlation, -np.inf)
    count = min(ALIKE, len(correlation) - 1)
    order = np.argsort(-correlation, axis=1, kind="stable")[:, :count]
    best = np.take_along_axis(correlation, order, axis=1)
    is_known = best > 0.0
    return Likeness(
        concept=np.where(is_known, order, -1).astype(np.int32),
        correlation=np.where(is_known, best, 0.0).astype(np.float32),
        num_decisions=len(shares),
    )


def _spread(record: npt.NDArray[np.float32], log: TargetLog, found: LayerStatistics) -> Spread:
    owner = np.array([one.target.class_id for one in log.explained])
    rows = [record[owner == class_id] for class_id in found.moments.class_ids.tolist()]
    quantiles = [np.quantile(of_class, QUANTILES, axis=0).T for of_class in rows]  # [C, 5] each
    return Spread(quantiles=np.stack(quantiles).astype(np.float32))
