"""The concept phase of stage=audit, class by class: relevance, then scores without each of a few concepts.

Axes: N decision, V picture, C concept, K candidate.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lcrp.attribution.engine import Attributor
from lcrp.composites.spec import GRADIENT
from lcrp.decisions.annotated_objects import AnnotatedObject
from lcrp.decisions.subject import Subject
from lcrp.evidence.crossed import expanded_interval
from lcrp.evidence.intervals import Interval, mean_draws, mean_interval
from lcrp.stages.audit.carriers import (
    candidates,
    fall,
    first_groups,
    mean_of_known,
    padded,
    relevance_rows,
    scores_without,
    taylor_rows,
)
from lcrp.stages.audit.grounds import Ground
from lcrp.stages.audit.objects import Objects, annotated, decisions
from lcrp.stages.audit.tables import interval_columns
from lcrp.values.evidence import Table
from lcrp.values.sample import Sample

Array = npt.NDArray[Any]
Work = Callable[[], Mapping[str, Array]]
Make = Callable[[int], tuple[Sample, list[Ground]] | None]

MOST_DECISIONS = 24  # of a class: every other one chooses its carrier, the others prove it
LOSSES = ("usual_loss", "unusual_loss", "decisions")
MOST_GROUNDS = 3  # pictures without the class, per decision


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassConcepts:
    """What is known of a class's concepts.

    Attributes:
        class_id: the class.
        places: [N] of its decisions, among the objects.
        samples: [N] their pictures.
        relevance: [N, V, C] in logits, in its own picture, the placebo, and pictures without the class.
        taylor: [N, V, C] what the logit would lose without each, to first order.
        outside: [N, V] of what surrounds the object.
        share: [N, V] of the positive relevance that lies there.
        scores: [N, V] of the decisions.
        chosen: K concepts without which the fall shrinks most, to first order.
        without: [N, K, V] scores once each of the chosen is set to zero; NaN in its own picture.
        together: [N, G, V] the same of groups: the first of the chosen, the first two, four, and so on, and all.
    """

    class_id: int
    places: Array
    samples: Array
    relevance: Array
    taylor: Array
    outside: Array
    share: Array
    scores: Array
    chosen: tuple[int, ...] = ()
    without: Array | None = None
    together: Array | None = None

    def candidates(self, count: int) -> list[int]:
        """The concepts that are worth setting to zero, by the decisions that choose."""
        chooses = ~self.proves
        return candidates(self.scores[chooses], self.taylor[chooses], count)

    @property
    def proves(self) -> Array:
        """Which decisions [N] prove the carrier: those of every other picture, so that none chooses and proves."""
        _, first, number = np.unique(self.samples, return_index=True, return_inverse=True)
        turn = np.argsort(np.argsort(first))[number]  # pictures in the order of the decisions
        is_odd: Array = turn % 2 == 1
        return is_odd

    @property
    def likely(self) -> tuple[int, ...]:
        """The concepts that together most likely carry the fall; none where no group makes it smaller.

        Of the groups, it is the one without which the fall is smallest at half of the decisions, among those that cost
        the score over the placebo: what only lifts scores elsewhere carries nothing.
        """
        if self.together is None:
            return ()
        chooses = ~self.proves
        usual = self.losses(self.together)[chooses, :, 1].mean(axis=0)
        means = np.where(usual > 0, self.cuts(self.together)[chooses].mean(axis=0), -np.inf)
        return first_groups(self.chosen)[int(np.argmax(means))] if means.max() > 0 else ()

    @property
    def carriers(self) -> tuple[int, ...]:
        """The likely ones, where the other half of the decisions proves them: the cut's 95 % interval is above 0."""
        if self.together is None or not self.likely:
            return ()
        place = first_groups(self.chosen).index(self.likely)
        return self.likely if self.proved(self.together)[place].low > 0 else ()

    def cuts(self, without: Array) -> Array:
        """How much smaller the fall of the score is [N, K], by scores without something [N, K, V]."""
        return fall(self.scores)[:, None] - fall(np.moveaxis(without, 1, 2))

    def losses(self, without: Array) -> Array:
        """What the score loses, [N, K, V], likewise."""
        lost: Array = self.scores[:, None] - without
        return lost

    def proving_losses(self, without: Array) -> Array:
        """What the score loses at the decisions that did not choose, [K, 2]: usual surroundings, others."""
        lost = self.losses(without)[self.proves]
        if not len(lost):
            return np.full((without.shape[1], 2), np.nan)
        others = mean_of_known(np.moveaxis(lost[:, :, 2:], 1, 2))
        means: Array = np.stack([lost[:, :, 1], others], axis=2).mean(axis=0)
        return means

    def proved(self, without: Array) -> list[Interval]:
        """How much is cut at the decisions that did not choose, likewise, K intervals."""
        cuts, samples = self.cuts(without)[self.proves], self.samples[self.proves]
        if not len(samples):
            return [Interval(value=float("nan"), low=float("nan"), high=float("nan"))] * without.shape[1]
        count = len(np.unique(samples))
        return [expanded_interval(float(cut.mean()), mean_draws(cut, samples), count) for cut in cuts.T]


class ConceptWork:
    """Looks at the concepts of classes.

    Args:
        subject: network and pictures; concepts are those of its layer.
        objects: of the dataset.
        make: an object's picture and its grounds at its own place, by its place among the objects.
    """

    def __init__(self, subject: Subject, objects: Objects, make: Make) -> None:
        self._explainer, self._objects, self._make = subject.explainer, objects, make

    def relevance(self, places: Sequence[int]) -> dict[str, Array]:
        """A few decisions of one class: `places`, `samples`, `scores`, `relevance`, `taylor`, `outside` and `share`."""
        layer = self._explainer.layer
        made = []
        with self._explainer.attributor([layer], composite=GRADIENT) as attributor:
            for place, sample, grounds in self._each(places):
                explained = self.decision(attributor, place, sample)
                if explained is not None:
                    class_id = int(self._objects.class_id[place])
                    first = {"scores": scores_without(attributor, layer, [()], class_id, grounds)}
                    first |= taylor_rows(attributor, layer, explained, grounds)
                    made.append((place, sample, explained, grounds, first))
        parts = []
        with self._explainer.attributor([layer]) as attributor:
            for _, sample, explained, grounds, first in made:
                parts.append({**relevance_rows(attributor, layer, sample, explained, grounds), **first})
        own = np.array([place for place, *_ in made], dtype=np.int64)
        return {
            "places": own,
            "samples": self._objects.sample[own],
            **(padded(parts, 2 + MOST_GROUNDS) if parts else {}),
        }

    def without(self, places: Sequence[int], concepts: Sequence[int]) -> dict[str, Array]:
        """Scores of a few decisions of one class `without` each concept, and `together` without the first ones."""
        groups = [*((concept,) for concept in concepts), *first_groups(concepts)[1:]]
        parts = []
        with self._explainer.reader() as attributor:
            for place, sample, grounds in self._each(places):
                if self.decision(attributor, place, sample) is None:
                    continue
                class_id = int(self._objects.class_id[place])
                silent = scores_without(attributor, self._explainer.layer, groups, class_id, grounds[1:])
                parts.append({"without": np.vstack([np.full((1, len(groups)), np.nan), silent.T])[None]})
        found = np.moveaxis(padded(parts, 2 + MOST_GROUNDS)["without"], 1, 2)  # [N, K + G - 1, V]
        count = len(concepts)
        return {"without": found[:, :count], "together": np.concatenate([found[:, :1], found[:, count:]], axis=1)}

    def _each(self, places: Sequence[int]) -> Iterator[tuple[int, Sample, list[Ground]]]:
        for place in places:
            made = self._make(place)
            if made is not None:
                grounds = made[1][: 2 + MOST_GROUNDS]
                if len(grounds) > 2:
                    yield place, made[0], grounds

    def decision(self, attributor: Attributor, place: int, sample: Sample) -> Any:
        """The decision for an object in its own picture; None where rules leave it undecided."""
        task = attributor.task
        annotation = annotated(sample, task)
        assert annotation is not None
        assert annotation.masks is not None
        number, class_id = int(self._objects.number[place]), int(self._objects.class_id[place])
        item = AnnotatedObject(sample=sample, annotation=annotation, number=number, mask=annotation.masks[number])
        prediction = task.predictions(attributor.output(sample.image[None]))[0]
        return decisions(task, prediction, [item], [class_id])[0]


def concepts_table(found: Sequence[ClassConcepts], names: Sequence[str], layer: str) -> Table:
    """What concepts lose, and what the score loses without them, at the decisions that did not choose."""
    lines: list[dict[str, Any]] = []
    for one in found:
        if one.without is None:
            continue
        lost, proved, carriers = one.proving_losses(one.without), one.proved(one.without), one.carriers
        falls = fall(one.relevance)
        order = np.argsort(-one.cuts(one.without).mean(axis=0), kind="stable").tolist()
        for place in order:
            concept = one.chosen[place]
            lines.append(
                {
                    "class": names[one.class_id],
                    "layer": layer,
                    "concept": concept,
                    "is_carrier": int(concept in carriers),
                    "relevance": float(one.relevance[:, 0, concept].mean()),
                    "relevance_fall": float(falls[:, concept].mean()),
                    "taylor_fall": float(fall(one.taylor)[:, concept].mean()),
                    "usual_loss": float(lost[place, 0]),
                    "unusual_loss": float(lost[place, 1]),
                    "decisions": int(one.proves.sum()),
                    "cut": proved[place],
                }
            )
    counted = ("concept", "is_carrier", "relevance", "relevance_fall", "taylor_fall", *LOSSES)
    return _table("concepts", lines, ("class", "layer"), counted)


def carriers_table(found: Sequence[ClassConcepts], names: Sequence[str], layer: str) -> Table:
    """The concepts that together most likely carry the fall of each class, and whether that is sure."""
    lines: list[dict[str, Any]] = []
    for one in found:
        likely = one.likely
        if not likely or one.together is None:
            continue
        place = first_groups(one.chosen).index(likely)
        usual, others = one.proving_losses(one.together)[place].tolist()
        lines.append(
            {
                "class": names[one.class_id],
                "layer": layer,
                "concepts": " ".join(str(concept) for concept in likely),
                "is_sure": int(bool(one.carriers)),
                "usual_loss": usual,
                "unusual_loss": others,
                "decisions": int(one.proves.sum()),
                "cut": one.proved(one.together)[place],
            }
        )
    return _table("carriers", lines, ("class", "layer", "concepts"), ("is_sure", *LOSSES))


def _table(name: str, lines: Sequence[dict[str, Any]], words: Sequence[str], numbers: Sequence[str]) -> Table:
    """Lines as columns: words, numbers, and the interval of the cut."""
    columns: dict[str, Any] = {word: [line[word] for line in lines] for word in words}
    columns |= {number: np.array([line[number] for line in lines]) for number in numbers}
    return Table(name=name, columns=columns | interval_columns("cut", [line["cut"] for line in lines]))


def surroundings_table(found: Sequence[ClassConcepts], names: Sequence[str]) -> Table:
    """Relevance outside the object, in its own picture and in pictures without its class."""
    shown = [one for one in found if len(one.samples)]
    parts = {
        "share": [(one.share[:, 0], one) for one in shown],
        "share_unusual": [(mean_of_known(one.share[:, 2:]), one) for one in shown],
        "relevance": [(one.outside[:, 0], one) for one in shown],
        "relevance_fall": [(fall(one.outside), one) for one in shown],
    }
    columns: dict[str, Any] = {
        "class": [names[one.class_id] for one in shown],
        "decisions": np.array([len(one.samples) for one in shown], dtype=np.int64),
    }
    for name, values in parts.items():
        columns |= interval_columns(name, [mean_interval(column, one.samples) for column, one in values])
    return Table(name="surroundings", columns=columns)
