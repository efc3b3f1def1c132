"""Concept statistics as a person meets them: which concepts count for a class, and where a concept counts.

Axes: K class, C concept, N rank.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lcrp.api.door import python_words
from lcrp.api.frames import frame
from lcrp.decisions.auto import named
from lcrp.decisions.selection import class_id_of
from lcrp.decisions.subject import StatisticsSettings, Subject
from lcrp.errors import LayerError, at_least, is_whole, refuse
from lcrp.runs.progress import OnProgress
from lcrp.storage.statistics import StatisticsFile
from lcrp.values.ledger import LedgerSummary
from lcrp.values.statistics import LayerStatistics, StatisticsHeader, TopTable

if TYPE_CHECKING:
    from pandas import DataFrame

    from lcrp.api.measuring import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedSample:
    """A sample where a concept counts much.

    Attributes:
        key: of the sample in the dataset.
        sample: its index.
        class_name: class of the decision that was explained; empty where the class does not matter (activation).
        item: of that decision; -1 where it does not matter.
        score: the concept's share of the layer's relevance (or activation) there.
        peak: (y, x) of the concept's strongest neuron on the layer's map.
    """

    key: str
    sample: int
    class_name: str
    item: int
    score: float
    peak: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConceptStatistics:
    """What a pass over a dataset found for one concept.

    Attributes:
        layer: its name.
        id: channel of the layer.
        count: decisions per class, by the class's name.
        mean: mean share of the layer's relevance in decisions for each class.
        deviation: its standard deviation.
        references: samples where it is most relevant, best first.
        activating: samples where it is most active, best first.
    """

    layer: str
    id: int
    count: Mapping[str, int]
    mean: Mapping[str, float]
    deviation: Mapping[str, float]
    references: tuple[RankedSample, ...]
    activating: tuple[RankedSample, ...]

    def __repr__(self) -> str:
        best = sorted(self.mean.items(), key=lambda pair: -abs(pair[1]))[:3]
        listed = ", ".join(f"{name} {100 * share:.1f} %" for name, share in best)
        return f"concept {self.id} of {self.layer}: {listed}; {len(self.references)} reference samples"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Statistics:
    """Concept statistics of a network on a dataset: what `statistics` returns.

    Example:
        >>> found = lcrp.statistics(explainer, "scenes", num_samples=24, layers=explainer.layer)
        >>> len(found.top("boat", n=3))
        3
        >>> found.concept(explainer.layer, 21)
        concept 21 of backbone.ERBlock_4.0.rbr_dense.conv: ...; 40 reference samples

    Attributes:
        path: the file that holds them.
        value: what the file says of itself.
        subject: the network, and the dataset from which reference samples are read.
        settings: how they were made.
    """

    path: Path
    value: StatisticsHeader
    subject: Subject
    settings: StatisticsSettings

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the network's classes; index = class id."""
        return self.value.class_names

    @property
    def num_samples(self) -> int:
        """Samples of the pass."""
        return self.value.num_samples

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers whose concepts were ranked."""
        with StatisticsFile(self.path) as file:
            return file.layer_names

    def ledger(self, class_name: str | int | None = None) -> LedgerSummary | None:
        """What became of the relevance of the decisions that the pass looked at; None where no ledger was kept.

        Args:
            class_name: name or id of the class of these decisions; None for all.

        Raises:
            TargetError: the network has no such class.
        """
        with python_words(), StatisticsFile(self.path) as file:
            class_id = None if class_name is None else class_id_of(class_name, self.class_names)
            found = file.ledger()
        return None if found is None else found.summary(class_id)

    def top(self, class_name: str | int, *, layer: str | None = None, n: int = 10) -> tuple[ConceptStatistics, ...]:
        """The concepts that count most in decisions for a class, by mean share of the relevance, highest first.

        There are none where no decision for the class was explained.

        Args:
            class_name: name or id of the class.
            layer: of the concepts; None takes the one that explanations show by default.
            n: at most so many.

        Raises:
            TargetError: the network has no such class.
            StoreError: the layer was not ranked.
            ConfigError: `n` is no number from 1 on.
        """
        name = named(self.subject.explainer, layer)
        refuse(at_least("n", n, 1))
        with python_words():
            class_id = class_id_of(class_name, self.class_names)
        found = self._read(name)
        if class_id not in found.moments.class_ids.tolist():
            return ()
        mean = found.moments.mean()[found.moments.class_ids.tolist().index(class_id)]  # [C]
        order = np.argsort(-mean, kind="stable")[:n]
        return tuple(self._concept(found, name, int(concept)) for concept in order)

    def concept(self, layer: str, concept: int) -> ConceptStatistics:
        """What was found for one concept.

        Args:
            layer: its name.
            concept: channel of the layer.

        Raises:
            StoreError: the layer was not ranked.
            LayerError: the layer has no such concept.
        """
        layer = named(self.subject.explainer, layer)
        found = self._read(layer)
        num_concepts = len(found.relevance.filled)
        if not is_whole(concept) or not 0 <= concept < num_concepts:
            raise LayerError(
                f"concept {concept} is not in layer '{layer}': it has {num_concepts} concepts, 0 to {num_concepts - 1}"
            )
        return self._concept(found, layer, concept)

    def to_dataframe(self, layer: str | None = None) -> "DataFrame":
        """One row a concept and class: count, mean and deviation of its share of the relevance. Needs pandas.

        Args:
            layer: of the concepts; None takes all.

        Raises:
            ConfigError: pandas is not installed.
            StoreError: the layer was not ranked.
        """
        rows: list[dict[str, object]] = []
        for name in self.layers if layer is None else (named(self.subject.explainer, layer),):
            moments = self._read(name).moments
            mean, deviation = moments.mean(), np.sqrt(moments.variance())
            for row, class_id in enumerate(moments.class_ids.tolist()):
                own = {"layer": name, "class_name": self.class_names[class_id], "count": int(moments.count[row])}
                pairs = zip(mean[row].tolist(), deviation[row].tolist(), strict=True)
                rows += [
                    own | {"concept": concept, "mean": one, "deviation": other}
                    for concept, (one, other) in enumerate(pairs)
                ]
        return frame(rows)

    def explore(
        self,
        path: str | Path,
        *,
        image: str | Path | None = None,
        class_name: str | int | None = None,
        confidence: float | None = None,
        max_targets: int = 5,
        num_decisions: int = 24,
        layers: str | Sequence[str] = (),
        n_concepts: int = 6,
        n_concepts_per_class: int = 50,
        n_references: int = 12,
        n_references_per_class: int = 4,
        max_megabytes: float = 25,
        pictures: bool = True,
        context: "Result | str | Path | None" = None,
        evaluate: "Result | str | Path | None" = None,
        progress: OnProgress | None = None,
    ) -> Path:
        """Write the explorer: one HTML file to send to a colleague, who opens it by a double click, offline.

        It shows which concepts the network uses, where it leans on context, and why it decided as it did, and links
        decisions, concepts, their references and other decisions that use them. It says what is not in it.
        What the newest `lcrp.missed` of this network, data and composite explained is shown, too.

        Args:
            path: the file ('audit.html'); any other name is a folder, with pictures in files of their own.
            image: pictures of your own (a file, folder or pattern) whose decisions are shown; None: of the dataset.
            class_name: only decisions for this class.
            confidence: of the decisions shown, at least; None takes the network's.
            max_targets: decisions explained per picture.
            num_decisions: explained at most; 0: none.
            layers: names or patterns; without any the one that explanations show by default.
            n_concepts: of every decision, shown on its picture.
            n_concepts_per_class: concepts with reference samples, the most relevant ones.
            n_references: reference samples of each.
            n_references_per_class: of each for every class for which it is among these; 0: none.
            max_megabytes: of the file; what does not fit is left out, and the page says so.
            pictures: whether photographs and crops are in it.
            context: what `lcrp.context` found, or its file; None takes the newest of these statistics.
            evaluate: what `lcrp.evaluate` found, likewise.
            progress: called with (done, total, description, unit); by default a bar in a terminal or notebook.

        Returns:
            The path.

        Raises:
            LcrpError: there are no such pictures, layers or files, or nothing can be written there.

        Example:
            >>> found.explore("audit.html", num_decisions=2, n_concepts_per_class=2, n_references=2)
            PosixPath('audit.html')
        """
        from lcrp.api.exploring import explored  # which knows results of measurements, and these know statistics

        return explored(
            self.subject,
            self.settings,
            (self.path,),
            path,
            image=image,
            class_name=class_name,
            confidence=confidence,
            max_targets=max_targets,
            num_decisions=num_decisions,
            layers=layers,
            n_concepts=n_concepts,
            n_concepts_per_class=n_concepts_per_class,
            n_references=n_references,
            n_references_per_class=n_references_per_class,
            max_megabytes=max_megabytes,
            pictures=pictures,
            context=context,
            evaluate=evaluate,
            progress=progress,
        )

    def __repr__(self) -> str:
        explainer, dataset = self.subject.explainer, self.subject.dataset
        return f"concept statistics of {explainer.name} on {self.num_samples} samples of {dataset.name}: {self.path}"

    def _read(self, layer: str) -> LayerStatistics:
        with python_words(), StatisticsFile(self.path, class_names=self.class_names) as file:
            return file.layer(layer)

    def _concept(self, found: LayerStatistics, layer: str, concept: int) -> ConceptStatistics:
        moments = found.moments
        names = [self.class_names[class_id] for class_id in moments.class_ids.tolist()]

        def by_class(values: npt.NDArray[np.float64]) -> dict[str, float]:
            return dict(zip(names, values[:, concept].tolist(), strict=True))

        return ConceptStatistics(
            layer=layer,
            id=concept,
            count=dict(zip(names, moments.count.tolist(), strict=True)),
            mean=by_class(moments.mean()),
            deviation=by_class(np.sqrt(moments.variance())),
            references=self._ranked(found.relevance, concept, found.map_size[1]),
            activating=self._ranked(found.activation, concept, found.map_size[1]),
        )

    def _ranked(self, table: TopTable, concept: int, width: int) -> tuple[RankedSample, ...]:
        samples = []
        for rank in range(int(table.filled[concept])):
            sample, class_id = int(table.sample[concept, rank]), int(table.class_id[concept, rank])
            y, x = divmod(int(table.peak[concept, rank]), width)
            samples.append(
                RankedSample(
                    key=self.subject.dataset.key(sample),
                    sample=sample,
                    class_name="" if class_id < 0 else self.class_names[class_id],
                    item=int(table.item[concept, rank]),
                    score=float(table.score[concept, rank]),
                    peak=(y, x),
                )
            )
        return tuple(samples)
