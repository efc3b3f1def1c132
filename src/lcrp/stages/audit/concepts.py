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
    at_own_place,
    candidates,
    fall,
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
MOST_GROUNDS = 3  # pictures without the class, per decision


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassConcepts:
    """What is known of a class's concepts.

    Attributes:
        class_id: the class.
        samples: [N] pictures of its decisions.
        relevance: [N, V, C] in logits, in its own picture, the placebo, and pictures without the class.
        taylor: [N, V, C] what the logit would lose without each, to first order.
        outside: [N, V] of what surrounds the object.
        share: [N, V] of the positive relevance that lies there.
        scores: [N, V] of the decisions.
        chosen: K concepts without which the fall shrinks most, to first order.
        without: [N, K, V] scores once each of the chosen is set to zero; NaN in its own picture.
    """

    class_id: int
    samples: Array
    relevance: Array
    taylor: Array
    outside: Array
    share: Array
    scores: Array
    chosen: tuple[int, ...] = ()
    without: Array | None = None

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

    def cuts(self) -> Array:
        """How much smaller the fall of the score is without each of the chosen, [N, K]."""
        assert self.without is not None
        return fall(self.scores)[:, None] - fall(np.moveaxis(self.without, 1, 2))

    def losses(self) -> Array:
        """What the score loses without each of the chosen, [N, K, V]."""
        assert self.without is not None
        lost: Array = self.scores[:, None] - self.without
        return lost

    @property
    def carrier(self) -> int | None:
        """The concept without which the fall is smallest at half of the decisions, if the other half proves it.

        It is chosen of those that cost the score over the placebo: what only lifts scores elsewhere carries nothing.
        It is proved where the whole 95 % interval of its cut lies above 0. None if there is no such concept.
        """
        if not self.chosen or self.without is None:
            return None
        cuts, usual, proves = self.cuts(), self.losses()[:, :, 1], self.proves
        means = np.where(usual[~proves].mean(axis=0) > 0, cuts[~proves].mean(axis=0), -np.inf)
        best = int(np.argmax(means))
        if not means[best] > 0 or not proves.any():
            return None
        return self.chosen[best] if self.proved(best).low > 0 else None

    def proved(self, place: int) -> Interval:
        """How much one of the chosen cuts at the decisions that did not choose it."""
        drawn = mean_draws(self.cuts()[self.proves, place], self.samples[self.proves])
        value = float(self.cuts()[self.proves, place].mean()) if self.proves.any() else float("nan")
        return expanded_interval(value, drawn, len(np.unique(self.samples[self.proves])))


class ConceptWork:
    """Looks at the concepts of classes.

    Args:
        subject: network and pictures; concepts are those of its layer.
        objects: of the dataset.
        make: an object's picture and its grounds, by its place among the objects.
    """

    def __init__(self, subject: Subject, objects: Objects, make: Make) -> None:
        self._explainer, self._objects, self._make = subject.explainer, objects, make

    def relevance(self, places: Sequence[int]) -> dict[str, Array]:
        """A few decisions of one class: `samples`, `scores`, `relevance`, `taylor`, `outside` and `share`."""
        layer = self._explainer.layer
        made = []
        with self._explainer.attributor([layer], composite=GRADIENT) as attributor:
            for place, sample, grounds in self._each(places):
                explained = self.decision(attributor, place, sample)
                if explained is not None:
                    class_id = int(self._objects.class_id[place])
                    first = {"scores": scores_without(attributor, layer, [None], class_id, grounds)}
                    first |= taylor_rows(attributor, layer, explained, grounds)
                    made.append((sample, explained, grounds, first))
        samples, parts = [], []
        with self._explainer.attributor([layer]) as attributor:
            for sample, explained, grounds, first in made:
                samples.append(sample.index)
                parts.append({**relevance_rows(attributor, layer, sample, explained, grounds), **first})
        if not parts:
            return {"samples": np.zeros(0, dtype=np.int64)}
        return {"samples": np.array(samples), **padded(parts, 2 + MOST_GROUNDS)}

    def without(self, places: Sequence[int], concepts: Sequence[int]) -> dict[str, Array]:
        """Scores of a few decisions of one class `without` each of the concepts, [N, K, V]; NaN in its own picture."""
        parts = []
        with self._explainer.reader() as attributor:
            for place, sample, grounds in self._each(places):
                if self.decision(attributor, place, sample) is None:
                    continue
                class_id = int(self._objects.class_id[place])
                silent = scores_without(attributor, self._explainer.layer, concepts, class_id, grounds[1:])
                parts.append({"without": np.vstack([np.full((1, len(concepts)), np.nan), silent.T])[None]})
        return {"without": np.moveaxis(padded(parts, 2 + MOST_GROUNDS)["without"], 1, 2)}

    def _each(self, places: Sequence[int]) -> Iterator[tuple[int, Sample, list[Ground]]]:
        for place in places:
            made = self._make(place)
            if made is not None:
                grounds = at_own_place(made[1])[: 2 + MOST_GROUNDS]
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
    """What concepts lose, and what the score loses without them, in usual surroundings and in others."""
    lines: list[dict[str, Any]] = []
    for one in found:
        if one.without is None:
            continue
        lost = one.losses()
        cuts = one.cuts()
        falls = fall(one.relevance)
        order = np.argsort(-cuts.mean(axis=0), kind="stable").tolist()
        for place in order:
            concept = one.chosen[place]
            lines.append(
                {
                    "class": names[one.class_id],
                    "layer": layer,
                    "concept": concept,
                    "is_carrier": int(concept == one.carrier),
                    "relevance": float(one.relevance[:, 0, concept].mean()),
                    "relevance_fall": float(falls[:, concept].mean()),
                    "taylor_fall": float(fall(one.taylor)[:, concept].mean()),
                    "usual_loss": float(lost[:, place, 1].mean()),
                    "unusual_loss": float(mean_of_known(lost[:, place, 2:]).mean()),
                    "cut": one.proved(place),
                    "decisions": int(one.proves.sum()),
                }
            )
    columns: dict[str, Any] = {
        name: [line[name] for line in lines]
        for name in ("class", "layer", "concept", "is_carrier", "relevance", "relevance_fall", "taylor_fall")
    }
    columns |= {name: [line[name] for line in lines] for name in ("usual_loss", "unusual_loss", "decisions")}
    columns = {name: values if name in ("class", "layer") else np.array(values) for name, values in columns.items()}
    return Table(name="concepts", columns=columns | interval_columns("cut", [line["cut"] for line in lines]))


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
